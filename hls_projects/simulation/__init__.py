"""Executors of RTL and netlists, and the simulator of gates below them."""
