"""The policy on a board: Verilog around the core, board files, the link, simulated boards, the Gym loop on hardware.

:class:`Link` talks to a board, real or simulated; :func:`simulated_board` runs one; :func:`run_hil` drives Gymnasium
with it; :func:`build_bitstream` makes what a board is loaded with.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hls4rl.firmware.bitstream import build_bitstream
    from hls4rl.firmware.boards import Board, load_board
    from hls4rl.firmware.hil import Session, open_board, run_hil
    from hls4rl.firmware.link import Expected, Link
    from hls4rl.firmware.simulated_board import Trouble, simulated_board

__all__ = [
    "Board", "Expected", "Link", "Session", "Trouble", "build_bitstream", "load_board", "open_board", "run_hil",
    "simulated_board",
]

_HOMES = {
    "build_bitstream": "bitstream", "Board": "boards", "load_board": "boards", "Session": "hil", "open_board": "hil",
    "run_hil": "hil", "Expected": "link", "Link": "link", "Trouble": "simulated_board",
    "simulated_board": "simulated_board",
}


def __getattr__(name: str) -> Any:
    # On first use, so that the simulated board's process starts without what it doesn't need.
    if name not in _HOMES:
        raise AttributeError(f"module 'hls4rl.firmware' has no attribute '{name}'")
    return getattr(importlib.import_module(f"hls4rl.firmware.{_HOMES[name]}"), name)
