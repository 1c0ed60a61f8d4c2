"""AMD's 7 series: cells are counted; there is no open place and route here."""

from hls4rl.hls_projects.fpga.family import Family

FAMILY = Family(
    name="xilinx",
    synthesise="synth_xilinx -flatten",
    recipes={"as Yosys does it": (-1, "")},
    cells={
        "lut": {"LUT[1-6]": 1}, "ff": {"FD[RSCP]E(_1)?": 1}, "dsp": {"DSP48E1": 1},
        "bram": {"RAMB18E1": 1, "RAMB36E1": 2},
    },
    without_pads="-noiopad",
)
