"""A streaming accelerator for observations too wide for one clock: several inputs a clock, weights in block RAM."""
