"""Continuous and discrete control in the fewest gates: the shipped records and the verb that makes them again."""
