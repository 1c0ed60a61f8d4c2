"""A linear-quadratic regulator of the simulator's own model, in the integers that are deployed."""
