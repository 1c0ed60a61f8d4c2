"""Proof that a built policy's netlist, RTL and software are one function, for all inputs of the input type."""
