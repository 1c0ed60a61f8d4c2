"""Whole flows, from the integer network to a placed core."""
