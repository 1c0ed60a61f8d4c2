"""Random graphs against the judge: built as the graph says, or refused in one line; nothing else."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from fuzz.graphs import RandomGraph

from hls4rl.errors import ProjectError
from hls4rl.export.check import MismatchError
from hls4rl.export.imported.original import Original

ROWS = 48
GRAPHS = 20_000
"""Of a nightly run."""


def fuzz_imports(seeds: Iterable[int], folder: Path) -> dict[str, int]:
    """Import one random graph a seed; returns how many were built, and refused.

    Raises:
        AssertionError: one gave other actions than its own execution, or a traceback; it lies in ``folder``.
    """
    counts: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as work:
        for seed in seeds:
            path = RandomGraph(seed).save(Path(work) / "graph.onnx")
            try:
                counts[_outcome(path)] += 1
            except BaseException as error:
                kept = folder / f"wrong-import-{seed}.onnx"
                kept.write_bytes(path.read_bytes())
                raise AssertionError(f"{kept}: {type(error).__name__}: {str(error)[:400]}") from error
    return {"graphs": sum(counts.values()), **counts}


def _outcome(path: Path) -> str:
    try:
        original = Original.load(path)
    except ProjectError as error:
        if "\n" in str(error):
            raise AssertionError("a refusal of more than one line") from error
        return "refused"
    try:
        verdict = original.judged(ROWS)
    except MismatchError as error:
        if "no arithmetic decides" in str(error):
            return "undecided"
        raise
    return "built, where float64 rounds otherwise" if verdict.rounded else "built"
