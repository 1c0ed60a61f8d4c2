"""Strangers' archives, read so that nothing in them runs: zips within limits, tensors, and the data of a pickle.

A pickle is a program. Here its names are never looked up: each that is on a list becomes an inert record of what it was
called with, and any other name ends the reading.
"""

from __future__ import annotations

import io
import pickle
import pickletools
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hls4rl.contract import FloatArray
from hls4rl.errors import ProjectError

MAXIMUM_BYTES = 1 << 28
"""Of a file, and of all that a zip unpacks to."""
MAXIMUM_ENTRIES = 4096
SAFE_FILE = 'in Python, where it was trained: hls4rl.save_policy(model, "policy.safetensors")'
"""The remedy for whatever cannot be read safely."""
_FLOATS: dict[str, Any] = {"F64": np.float64, "F32": np.float32, "F16": np.float16}
"""As safetensors calls them."""


def read_bytes(path: Path, what: str) -> bytes:
    """The content of ``path``, which is to be ``what`` ("policy").

    Raises:
        ProjectError: it isn't there, or is larger than :data:`MAXIMUM_BYTES` (told before it's read).
    """
    if not path.is_file():
        raise ProjectError(f"{path}: no such file; give the path of a {what}")
    if path.stat().st_size > MAXIMUM_BYTES:
        raise ProjectError(f"{path}: larger than {MAXIMUM_BYTES >> 20} MiB; this is no {what}")
    return path.read_bytes()


def read_zip(data: bytes, where: str) -> dict[str, bytes]:
    """The entries of a zip by name, unpacked in memory only.

    Raises:
        ProjectError: damaged, or it would unpack to more than :data:`MAXIMUM_BYTES`.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
            if len(entries) > MAXIMUM_ENTRIES or len({item.filename for item in entries}) < len(entries):
                raise ProjectError(f"{where}: a zip with {len(entries)} entries, or the same name twice; this is no "
                                   "policy")
            if sum(item.file_size for item in entries) > MAXIMUM_BYTES:
                raise ProjectError(f"{where}: unpacks to more than {MAXIMUM_BYTES >> 20} MiB; this is no policy")
            found = {}
            for item in entries:
                with archive.open(item) as file:
                    found[item.filename] = file.read(item.file_size)
            return found
    except (zipfile.BadZipFile, OSError, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
        raise ProjectError(f"{where}: not a whole zip ({' '.join(str(error).split())[:200]}); save it again") from error


def read_state(data: bytes, where: str) -> Any:
    """What ``torch.save`` wrote, tensors and plain containers only (``weights_only``).

    Raises:
        ProjectError: it holds anything else, which could run; or it is damaged.
    """
    import torch

    if zipfile.is_zipfile(io.BytesIO(data)):  # else of a torch older than 1.6, where nothing is packed
        read_zip(data, where)
    try:
        return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises whatever its callees raise; none of it has run anything
        raise ProjectError(
            f"{where}: holds more than tensors, and code of a stranger is not run here "
            f"({' '.join(str(error).split())[:160]}); {SAFE_FILE}"
        ) from error


def arrays_of(state: Any, where: str) -> dict[str, FloatArray]:
    """The tensors of a state dict as float64 arrays, by name; what is no floating-point tensor is left out.

    Raises:
        ProjectError: ``state`` is no such dictionary, or a tensor is larger than :data:`MAXIMUM_BYTES`.
    """
    import torch

    if not isinstance(state, dict):
        raise ProjectError(f"{where}: no state dict, but {type(state).__name__}; {SAFE_FILE}")
    found = {}
    for name, tensor in state.items():
        if isinstance(name, str) and isinstance(tensor, torch.Tensor) and tensor.is_floating_point():
            if tensor.numel() * 8 > MAXIMUM_BYTES:
                raise ProjectError(f"{where}: '{name[:80]}' has {tensor.numel()} numbers; this is no policy")
            found[name] = tensor.detach().to(torch.float64).numpy().copy()
    return found


def tensor_arrays(tensors: list[tuple[str, Mapping[str, Any]]]) -> dict[str, FloatArray]:
    """The floating-point arrays of a safetensors file, as float64."""
    found = {}
    for name, tensor in tensors:
        if tensor["dtype"] == "BF16":
            whole = np.frombuffer(tensor["data"], dtype="<u2").astype(np.uint32) << 16
            found[name] = whole.view(np.float32).astype(np.float64).reshape(tensor["shape"])
        elif tensor["dtype"] in _FLOATS:
            flat = np.frombuffer(tensor["data"], dtype=_FLOATS[tensor["dtype"]])
            found[name] = flat.astype(np.float64).reshape(tensor["shape"])
    return found


class Inert:
    """What a pickle made by a name: its arguments, its state and its items, as data."""

    name = ""
    """Module and name that the pickle asked for; :func:`read_pickle` makes a class of each."""
    arguments: tuple[Any, ...]
    state: Any
    items: dict[Any, Any]

    def __new__(cls, *arguments: Any, **_: Any) -> Inert:
        """Keep what the pickle calls it with."""
        made = object.__new__(cls)
        made.arguments, made.state, made.items = arguments, None, {}
        return made

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        """Keep what the pickle says of it."""
        self.state = state

    def __setitem__(self, key: Any, value: Any) -> None:
        """Keep an item."""
        self.items[key] = value

    def extend(self, items: Any) -> None:
        """Items of something like a list, which are numbered."""
        for item in items:
            self.items[len(self.items)] = item

    def field(self, name: str) -> Any:
        """An attribute that the state holds; None without."""
        return self.state.get(name) if isinstance(self.state, dict) else None

    def array(self) -> FloatArray | None:
        """The NumPy array, or number, that this stands for; None for anything else, object arrays among it."""
        last = self.name.rsplit(".", 1)[-1]
        if last == "scalar" and len(self.arguments) == 2:
            return _decoded(self.arguments[0], self.arguments[1], ())
        if last == "_reconstruct" and isinstance(self.state, tuple) and len(self.state) == 5:
            _, shape, kind, fortran, data = self.state
            return _decoded(kind, data, shape, bool(fortran))
        if last == "_frombuffer" and len(self.arguments) == 4:
            data, kind, shape, order = self.arguments
            return _decoded(kind, bytes(data) if isinstance(data, bytearray) else data, shape, order == "F")
        return None


_NUMBERS = {f"{kind}{size}" for kind, sizes in (("f", "48"), ("i", "1248"), ("u", "1248")) for size in sizes}


def _decoded(kind: Any, data: Any, shape: Any, fortran: bool = False) -> FloatArray | None:
    code = kind.arguments[0] if isinstance(kind, Inert) and kind.name.endswith("dtype") and kind.arguments else None
    sizes = isinstance(shape, tuple) and all(isinstance(size, int) and 0 <= size <= MAXIMUM_BYTES for size in shape)
    if isinstance(data, Inert) and data.name == "_codecs.encode" and data.arguments:
        data = data.arguments[0]
    if isinstance(data, str):  # protocols below 3 keep bytes so
        data = data.encode("latin-1", errors="replace")
    if code not in _NUMBERS or not isinstance(data, bytes) or not sizes:
        return None
    order = ">" if isinstance(kind.state, tuple) and len(kind.state) > 1 and kind.state[1] == ">" else "<"
    flat: NDArray[Any] = np.frombuffer(data, dtype=np.dtype(order + code))
    if flat.size != int(np.prod(shape, dtype=np.float64)):
        return None
    return flat.astype(np.float64).reshape(shape, order="F" if fortran else "C")


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, allowed: tuple[str, ...], where: str) -> None:
        super().__init__(file)
        self._allowed, self._where = allowed, where

    def find_class(self, module: str, name: str) -> Any:
        full = f"{module}.{name}"
        if not any(full == item or (item.endswith(".") and full.startswith(item)) for item in self._allowed):
            raise ProjectError(f"{self._where}: its pickle asks for {full[:120]}, which is not run here; {SAFE_FILE}")
        return type("Inert", (Inert,), {"name": full})

    def persistent_load(self, pid: Any) -> Any:
        return Inert(pid)


def read_pickle(data: bytes, allowed: tuple[str, ...], where: str) -> Any:
    """The data of a pickle: each object is an :class:`Inert`, and nothing is imported or called.

    Args:
        allowed: names, as ``numpy.ndarray``, or their beginnings, which end in a dot; another one ends the reading.

    Raises:
        ProjectError: another name, or no whole pickle.
    """
    try:
        for opcode, argument, _ in pickletools.genops(data):
            if opcode.name in ("PUT", "BINPUT", "LONG_BINPUT") and int(str(argument)) > len(data):
                raise ValueError("a memo beyond its own size")  # the unpickler would make room for so many
        return _Unpickler(io.BytesIO(data), allowed, where).load()
    except ProjectError:
        raise
    except Exception as error:  # a damaged pickle fails in any way; nothing of it has run
        raise ProjectError(
            f"{where}: not a whole pickle ({' '.join(str(error).split())[:160]}); save it again"
        ) from error
