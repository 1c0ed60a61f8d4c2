"""Parts, and the tools that bring Verilog onto them: Yosys, nextpnr, packers."""
