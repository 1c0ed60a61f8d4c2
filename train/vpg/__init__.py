"""Vanilla policy gradient: the readable reference, and a compiled kernel of the same meaning."""
