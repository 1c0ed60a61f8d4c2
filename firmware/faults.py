"""Faults of a bad wire, injected into a stream of bytes at a given rate, repeatable by seed, and counted."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

KINDS = ("dropped", "flipped", "doubled")

_DELAYS_PER_FAULT = 0.01


@dataclass
class Wire:
    """One direction of the link.

    Of all bytes, ``rate`` are dropped, flipped (a random pattern) or doubled, in equal shares; a hundredth of that
    rate holds the stream up.
    """

    rate: float
    rng: np.random.Generator
    injected: dict[str, int] = field(default_factory=lambda: dict.fromkeys((*KINDS, "delayed"), 0))
    """Faults so far, by kind."""

    def carry(self, data: bytes) -> tuple[bytes, bool]:
        """What comes out of the wire for ``data``, and whether it comes late."""
        if not self.rate or not data:
            return data, False
        struck = np.flatnonzero(self.rng.random(len(data)) < self.rate)
        out, done = bytearray(), 0
        for place in struck.tolist():
            out += data[done:place]
            out += self._strike(data[place])
            done = place + 1
        late = bool(self.rng.random() < self.rate * _DELAYS_PER_FAULT * len(data))
        self.injected["delayed"] += late
        return bytes(out + data[done:]), late

    def _strike(self, byte: int) -> bytes:
        kind = KINDS[self.rng.integers(len(KINDS))]
        self.injected[kind] += 1
        if kind == "dropped":
            return b""
        if kind == "flipped":
            return bytes([byte ^ int(self.rng.integers(1, 256))])
        return bytes([byte, byte])
