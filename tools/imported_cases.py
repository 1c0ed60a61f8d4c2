"""Checks a folder of imported models that went wrong once: each acts as its own execution does, or is refused by name.

    python -m tools.imported_cases FOLDER
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np

from hls4rl.errors import ProjectError
from hls4rl.export.imported.original import Original

REFUSED = {
    "cast_bool.onnx": r"node 'Cast_6' \(Cast\) casts to BOOL",
    "div0.onnx": r"node 'Div_3' \(Div\) divides by 0",
    "in_floor.onnx": r"node 'Quant_0' \(Quant\) rounds the observation by FLOOR",
    "in_incast.onnx": r"node 'Cast_0' \(Cast\) changes the observation before it is quantised",
}
"""What must not be built, and how it is told."""
ALWAYS = {"grid.onnx": 1}
"""Models whose action is the same for every observation."""
BUILT = ("grid.onnx", "cast_int.onnx")
ROWS = 5000


def check(path: Path) -> str:
    """What became of one model, in a line.

    Raises:
        AssertionError: not what is right.
        MismatchError: its integers are not what the file says.
    """
    try:
        original = Original.load(path)
    except ProjectError as error:
        if not re.search(REFUSED.get(path.name, "$^"), str(error)):
            raise AssertionError(f"{path.name}: refused, but by: {error}") from error
        return f"refused: {error}"
    assert path.name not in REFUSED, f"{path.name}: built, and should be refused"
    verdict = original.judged(ROWS)
    if path.name in ALWAYS:
        rows = np.random.default_rng(0).integers(
            original.input.minimum, original.input.maximum, size=(ROWS, original.features), endpoint=True
        )
        actions = set(np.argmax(original.infer(rows), axis=1).tolist())
        assert actions == {ALWAYS[path.name]}, f"{path.name}: actions {actions}"
    return f"built by {', '.join(original.folded.ways) or 'nothing'}: {verdict}"


def main() -> None:
    """Check every model of the folder that is named above; say what became of each."""
    if len(sys.argv) != 2 or not Path(sys.argv[1]).is_dir():
        sys.exit(__doc__)
    wrong = 0
    for name in (*BUILT, *REFUSED):
        try:
            print(f"{name}: {check(Path(sys.argv[1]) / name)}")
        except (AssertionError, ProjectError) as error:
            wrong += 1
            print(f"WRONG {error}")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
