"""The console as a compiled library: made of the cartridge that ale-py brings, once for each user of a machine."""

from __future__ import annotations

import ctypes
import hashlib
import os
import shutil
import tempfile
from functools import cache
from pathlib import Path

import ale_py

from hls4rl.errors import ProjectError, ToolError
from hls4rl.library import load_library, record_library
from hls4rl.processes import run
from hls4rl.train.pixels.console.translate import translate

CARTRIDGE = Path(ale_py.__file__).parent / "roms" / "pong.bin"
_SOURCES = tuple(Path(__file__).with_name(name) for name in ("console.cpp", "chips.hpp"))
_FLAGS = ("-std=c++17", "-O2", "-w", "-fPIC", "-shared", "-ffp-contract=off")
_LIBRARY = "console.so"


@cache
def console_library() -> ctypes.CDLL:
    """The compiled console; compiling takes a minute, the first time.

    Raises:
        ProjectError: no g++, or another cartridge than a program of 2 KiB.
        ToolError: g++ failed.
    """
    rom = CARTRIDGE.read_bytes()
    sources = {path.name: path.read_text(encoding="utf-8") for path in _SOURCES}
    sources |= {"program.inc": translate(rom), "rom.inc": _as_array(rom)}
    folder = _kept() / f"pong-{hashlib.sha256(repr((sources, _FLAGS)).encode()).hexdigest()[:16]}"
    if not (folder / _LIBRARY).is_file():
        _build(folder, sources)
    library = load_library(folder / _LIBRARY, f"remove {folder} and run again")
    pointer, number = ctypes.c_void_p, ctypes.c_int64
    for name in ("console_bytes", "console_state_bytes"):
        getattr(library, name).restype = number
    for name, result in (("refusal", ctypes.c_char_p), ("ram", pointer), ("screen", pointer), ("paint", None)):
        function = getattr(library, f"console_{name}")
        function.argtypes, function.restype = [pointer], result
    library.console_start.argtypes, library.console_start.restype = [pointer, number], None
    library.console_step.argtypes, library.console_step.restype = [pointer, number, *[pointer] * 7], None
    return library


def _kept() -> Path:
    """Where compiled programs are kept from one run to the next."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hls4rl"


def _as_array(rom: bytes) -> str:
    return f"constexpr uint8_t ROM[{len(rom)}] = {{{','.join(map(str, rom))}}};\n"


def _build(folder: Path, sources: dict[str, str]) -> None:
    """Compile ``sources``; whoever is the first of several to have done it leaves the folder."""
    compiler = shutil.which("g++")
    if compiler is None:
        raise ProjectError("g++ is not on the PATH; install it (Debian, Ubuntu: apt install g++) and run again")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as scratch:
        place = Path(scratch) / folder.name
        place.mkdir()
        for name, text in sources.items():
            (place / name).write_text(text, encoding="utf-8")
        done = run([compiler, *_FLAGS, "console.cpp", "-o", _LIBRARY], place)
        if done.returncode:
            raise ToolError("g++ failed on the console", done.stdout + done.stderr)
        record_library(place / _LIBRARY, [place / name for name in sources])
        try:
            place.rename(folder)
        except OSError:
            if not (folder / _LIBRARY).is_file():
                raise
