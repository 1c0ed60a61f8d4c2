"""Policies that were trained elsewhere, in real numbers: read without running them, rounded, and compared."""
