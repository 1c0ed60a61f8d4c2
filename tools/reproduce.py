"""Two full runs in two places: the same seed gives the same policy, project, RTL and bitstream, byte for byte."""

from __future__ import annotations

import argparse
import hashlib
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

from hls4rl.artefact import write_json
from hls4rl.errors import ProjectError
from tools.faults import bytes_of, command, differences, run

ARTEFACTS = {
    "policy": ("policy/policy.safetensors",),
    "QONNX and ONNX": ("onnx/*.onnx",),
    "hls4ml project": ("hls4ml/firmware/**/*", "hls4ml/*.tcl", "hls4ml/*.yml", "hls4ml/*.cpp", "hls4ml/*.sh"),
    "C simulation": ("hls4ml/csim/*.so",),
    "RTL": ("*/policy_*.v",),
    "netlist": ("*/netlist.json",),
    "bitstream": ("*/core.bi*",),
}


def hashes(run_directory: Path) -> dict[str, str]:
    """One SHA-256 for each kind of artefact of a run, over names and contents of its files."""
    found = {}
    for kind, patterns in ARTEFACTS.items():
        total = hashlib.sha256()
        paths = sorted({path for pattern in patterns for path in run_directory.glob(pattern) if path.is_file()})
        if not paths:
            raise ProjectError(f"{run_directory}: no {kind}; the run is not whole")
        for path in paths:
            total.update(f"{path.relative_to(run_directory)}\n".encode())
            total.update(hashlib.sha256(path.read_bytes()).digest())
        found[kind] = total.hexdigest()
    return found


def compare(arguments: list[str], folder: Path) -> dict[str, object]:
    """Run ``arguments`` below two roots of ``folder`` and compare all that they leave."""
    roots = [folder / "first", folder / "the second one"]
    for root in roots:
        run([*arguments, "--root", str(root)])
    pairs = []
    for root in roots:
        reports = sorted(root.rglob("report/summary.json"))
        pairs.append({str(path.parent.parent.relative_to(root)): hashes(path.parent.parent) for path in reports})
    first, second = pairs
    return {
        "equal": first == second and not differences(roots[1], bytes_of(roots[0])),
        "differing_files": differences(roots[1], bytes_of(roots[0])), "first": first, "second": second,
    }


def main() -> None:
    """Run twice, print the table and, last, the path of the JSON result."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--output", type=Path, default=Path("build/reproduce"))
    chosen, rest = options.parse_known_args()
    output = chosen.output.resolve()
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output, prefix="roots-") as folder:
        result = compare(command("synth", *rest), Path(folder))
    table = Table()
    for label in ("run", "artefact", "first", "second", "equal"):
        table.add_column(label)
    first, second = result["first"], result["second"]
    assert isinstance(first, dict)
    assert isinstance(second, dict)
    for name, kinds in first.items():
        for kind, digest in kinds.items():
            other = second.get(name, {}).get(kind, "–")
            table.add_row(name, kind, digest[:16], other[:16], "yes" if digest == other else "NO")
    Console(width=110).print(table)
    path = output / "reproduce.json"
    write_json(path, result)
    print(path)
    if not result["equal"]:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
