"""Lattice Nexus (CrossLink-NX, Certus-NX): cells are counted."""

from hls4rl.hls_projects.fpga.family import Family

FAMILY = Family(
    name="nexus",
    synthesise="synth_nexus",
    recipes={"as Yosys does it": (-1, "")},
    cells={"lut": {"LUT4": 1, "CCU2": 2}, "ff": {"FD1P3.*": 1}, "dsp": {"MULT.*": 1}, "bram": {"DP(SC)?16K.*": 1}},
    without_pads="-noiopad",
)
