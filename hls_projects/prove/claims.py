"""What is to be shown of two descriptions of one policy, how far that has come, and the certificate of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from hls4rl.checked import read_if_whole, write_checked

CERTIFICATE = "certificate.json"
_PROGRESS = "progress.json"

PROVEN, REFUTED, OPEN = "proven", "refuted", "not proven"


@dataclass(frozen=True, eq=False)
class Side:
    """One description of the policy."""

    name: str
    what: str
    """What it is, in words."""
    files: dict[str, str]
    """SHA-256 of each file that it is read from."""


@dataclass
class Claim:
    """That two sides give the same answers."""

    left: Side
    right: Side
    outputs: str
    """What is compared: actions, or logits and actions."""
    method: str
    tool: str
    total: int
    """Observations of the input type."""
    status: str = OPEN
    covered: int = 0
    """Observations that were compared one by one; the first ones where all are enumerated."""
    seconds: float = 0.0
    """Of a processor, that the left side's answers took; where a solver decides, the time that it took."""
    reason: str = ""
    """Why it is not proven."""
    counterexample: dict[str, Any] | None = None

    @property
    def name(self) -> str:
        """Left = right."""
        return f"{self.left.name} = {self.right.name}"

    @property
    def key(self) -> str:
        """Equal for claims of which one's proof is the other's."""
        sides = [asdict(side) for side in (self.left, self.right)]
        text = json.dumps([sides, self.outputs, self.method, self.tool, self.total], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def progress(self) -> float:
        """How much of it is done, 0 to 1."""
        return 1.0 if self.status != OPEN else self.covered / self.total

    def to_json(self) -> dict[str, Any]:
        """What the certificate says of it."""
        enumerated = f"all {self.total:,} observations of the input type"
        return {
            "claim": self.name, "status": self.status, "outputs": self.outputs,
            "over": enumerated if self.status == PROVEN else f"{self.covered:,} of {self.total:,} observations",
            "method": self.method, "tool": self.tool, "seconds": round(self.seconds, 2),
            **({"reason": self.reason} if self.status == OPEN else {}),
            **({"counterexample": self.counterexample} if self.counterexample else {}),
        }


@dataclass
class Certificate:
    """All claims about one built policy, kept in one directory."""

    directory: Path
    design: dict[str, Any]
    """Which policy, for which part, and its input type."""
    trusted: Sequence[str]
    """What the proof rests on, in words."""
    claims: list[Claim] = field(default_factory=list)

    @property
    def path(self) -> Path:
        """The certificate's file."""
        return self.directory / CERTIFICATE

    @property
    def verdict(self) -> str:
        """``refuted`` if one claim is, ``proven`` if all are, else ``not proven``."""
        states = {claim.status for claim in self.claims}
        return REFUTED if REFUTED in states else PROVEN if states == {PROVEN} else OPEN

    def add(self, claim: Claim) -> Claim:
        """Take in ``claim``, with what was shown of it before; what was refuted is tried again."""
        known = self._progress().get(claim.key)
        if known is not None:
            claim.covered, claim.seconds = known["covered"], known["seconds"]
            claim.status = PROVEN if known["status"] == PROVEN else OPEN
        self.claims.append(claim)
        return claim

    def save(self) -> None:
        """Write the certificate, and what a later call goes on from."""
        self.directory.mkdir(parents=True, exist_ok=True)
        keys = ("status", "covered", "seconds")
        progress = self._progress() | {
            claim.key: {key: getattr(claim, key) for key in keys} for claim in self.claims
        }
        write_checked(self.directory / _PROGRESS, progress)
        sides = {side.name: side for claim in self.claims for side in (claim.left, claim.right)}
        write_checked(self.path, {
            **self.design,
            "verdict": self.verdict,
            "proven": [claim.name for claim in self.claims if claim.status == PROVEN],
            "not_proven": [claim.name for claim in self.claims if claim.status != PROVEN],
            "claims": [claim.to_json() for claim in self.claims],
            "sides": {name: {"what": side.what, "sha256": side.files} for name, side in sides.items()},
            "trusted": list(self.trusted),
        })

    def _progress(self) -> dict[str, Any]:
        return read_if_whole(self.directory / _PROGRESS) or {}
