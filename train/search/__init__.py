"""Evolution on the deployed integers: no gradient, no straight-through estimator; what is searched is what is built."""
