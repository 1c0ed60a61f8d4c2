"""The folded core: a network of any depth on a few multipliers, its weights in block RAM."""
