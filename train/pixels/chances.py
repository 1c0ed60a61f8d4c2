"""The state of a random generator as bytes, for checkpoints."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

BYTES = 64


def kept(rng: np.random.Generator) -> NDArray[np.uint8]:
    """The state of ``rng``, a PCG64, shape (64,)."""
    state = rng.bit_generator.state
    words = [state["state"]["state"], state["state"]["inc"], state["has_uint32"], state["uinteger"]]
    return np.frombuffer(b"".join(word.to_bytes(16, "little") for word in words), dtype=np.uint8)


def restore(rng: np.random.Generator, state: NDArray[np.uint8]) -> None:
    """Go back to what :func:`kept` answered."""
    words = state.tobytes()
    number, step, has_half, half = (int.from_bytes(words[i:i + 16], "little") for i in range(0, BYTES, 16))
    rng.bit_generator.state = {
        "bit_generator": "PCG64", "state": {"state": number, "inc": step}, "has_uint32": has_half, "uinteger": half,
    }
