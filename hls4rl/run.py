"""Where a run's files lie: ``<root>/<task>/<method>-h<hidden>-s<seed>/``, one directory for each artefact.

Whoever reads an artefact asks for it by :meth:`Run.verified` (or :meth:`Run.load_policy`): it is then the one that was
made here, from this run's policy, or it is refused.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from hls4rl.artefact import digest, verified
from hls4rl.errors import ProjectError
from hls4rl.policy import Policy, PolicySpec, load_policy

RUNS = Path("runs")
"""Where runs are kept unless told otherwise: below the current folder."""


def check_root(root: Path) -> Path:
    """``root``, if all that reads paths below it (Yosys' scripts, terminals, pages) takes them for what they are.

    Raises:
        ProjectError: it has quotes, backslashes, patterns or control characters, itself or in what it lies in.
    """
    found = re.search(r"""["\\*?\[\]\x00-\x1f\x7f]""", str(root.resolve()))
    if found:
        raise ProjectError(f"ROOT={str(root)!r}: runs cannot be kept in a path with {found[0]!r}; take another folder")
    return root


def root_word(root: Path) -> str:
    """What a printed ``make`` line has to end in, so that it finds the runs in ``root``."""
    return "" if root == RUNS else f" ROOT={shlex.quote(str(root))}"


def is_imported(directory: Path) -> bool:
    """Whether ``directory`` holds the build of an imported model, which has a file of its own in a policy's place."""
    return (directory / "onnx" / "original.onnx").is_file() and not (directory / "policy").is_dir()


@dataclass(frozen=True)
class Run:
    """The directory of one policy and of all that is made from it."""

    spec: PolicySpec
    root: Path = RUNS

    @property
    def directory(self) -> Path:
        """The run's own directory."""
        return self.root / self.spec.task / self.spec.directory_name

    @property
    def policy(self) -> Path:
        """The trained policy."""
        return self.directory / "policy" / "policy.safetensors"

    @property
    def qonnx(self) -> Path:
        """The policy as a cleaned QONNX graph."""
        return self.directory / "onnx" / "policy.qonnx.onnx"

    @property
    def onnx(self) -> Path:
        """The policy in plain ONNX operators."""
        return self.directory / "onnx" / "policy.onnx"

    @property
    def project(self) -> Path:
        """The hls4ml project."""
        return self.directory / "hls4ml"

    @classmethod
    def at(cls, directory: Path) -> Run:
        """The run that lies in ``directory``.

        Raises:
            ProjectError: there is no policy, or that of another run.
        """
        run = cls(load_policy(directory / "policy" / "policy.safetensors").spec, directory.parent.parent)
        if run.directory != directory:
            raise ProjectError(
                f"{directory}: holds the policy of {run.spec.task}/{run.spec.directory_name}; remove it, and run "
                "`make synth` for the policy that belongs there"
            )
        return run

    def verified(self, artefact: Path) -> Path:
        """One of this run's artefacts, once its files are found to be those that were made there.

        Raises:
            ProjectError: a file is missing or was changed, or was made from another policy than this run's.
        """
        remedy = f"run `make synth` for ENV={self.spec.task} and this METHOD, HIDDEN and SEED{root_word(self.root)}"
        policy = self.policy.parent
        if artefact == policy:
            return verified(policy, remedy, spec=self.spec.to_inputs())
        if not artefact.is_dir():
            raise ProjectError(f"{artefact} is not there yet; {remedy}")
        self.verified(policy)
        return verified(artefact, remedy, policy=digest(self.policy))

    def load_policy(self) -> Policy:
        """The trained policy.

        Raises:
            ProjectError: it isn't there, it was changed, or it is another run's.
        """
        self.verified(self.policy.parent)
        return load_policy(self.policy)

    def part(self, name: str) -> Path:
        """RTL, netlist, placement and bitstream for the part ``name``."""
        return self.directory / name

    @property
    def vendor(self) -> Path:
        """What the vendor's tool reported."""
        return self.directory / "vitis"

    @property
    def report(self) -> Path:
        """Reports: ``summary.json`` and one file for each kind of figure."""
        return self.directory / "report"
