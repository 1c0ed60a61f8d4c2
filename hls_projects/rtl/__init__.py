"""From the integer network to Verilog: one module for each kind of core."""
