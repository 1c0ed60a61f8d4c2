"""Writes a folded core: Verilog that says what ``policy_folded.v`` is to be, and its memories' contents.

``policy_core`` is what is deployed; ``policy_logits`` is the same with the last layer's results brought out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hls4rl.artefact import write_json
from hls4rl.contract import Argmax
from hls4rl.hls_projects.rtl.fold_plan import Entry, FoldedLayer, Plan, plan
from hls4rl.hls_projects.rtl.fold_storage import BOOKS, bits
from hls4rl.hls_projects.rtl.pipelined import CORE, LOGITS
from hls4rl.network import IntegerNetwork
from hls4rl.plain import build, read_json

INFO = "folded.json"
WEIGHTS, CONSTANTS, PROGRAM, TABLE = "weights.hex", "constants.hex", "program.hex", "table.hex"
"""Memories: a line is a word, for ``$readmemh``."""
SOURCE = Path(__file__).with_name("policy_folded.v")
_FIELD = 40
"""Bits of a number in the parameters that say how to cut."""


@dataclass(frozen=True)
class FoldedInfo:
    """What a test bench or a wrapper has to know of a folded core."""

    features: int
    """``observation`` takes one per clock while ``in_valid`` and ``in_ready``."""
    observation_bits: int
    outputs: int
    """Results of the last layer: logits, or dimensions of a continuous action."""
    action_widths: tuple[int, ...]
    """Width of each integer of ``action``, the first lowest; they hold while ``out_valid``, until ``out_ready``."""
    action_signed: bool
    """Whether those integers are two's complement."""
    logit_bits: int
    units: int
    """Neurons that are computed side by side."""
    cycles: int
    """Clock periods from the edge that samples the first feature to the edge that makes ``out_valid`` and
    ``action`` readable, if the features come one per clock."""
    interval: int
    """Clocks between two observations, if answers are fetched at once."""
    weight_bits: int
    """Stored bits of one weight, the gap before it included."""
    memory_bits: int
    """Of all memories together, activations included."""

    @property
    def action_bits(self) -> int:
        """Width of ``action``."""
        return sum(self.action_widths)


def write_folded(network: IntegerNetwork, directory: Path, units: int) -> FoldedInfo:
    """Write ``policy_core.v``, ``policy_logits.v``, the memories and ``folded.json`` to ``directory``.

    Args:
        units: neurons side by side.

    Raises:
        ProjectError: the network has something that the core does not compute.
    """
    core = plan(network, units)
    memories = {
        WEIGHTS: _with_end(core.storage.words), CONSTANTS: _with_end(constant_words(core)),
        PROGRAM: _with_end(program_words(core)),
    }
    if core.tabled:
        memories[TABLE] = table_words(core)
    for name, words in memories.items():
        (directory / name).write_text(_hexadecimal(words), encoding="utf-8")
    source = SOURCE.read_text(encoding="utf-8")
    parameters = _parameters(core, {name: len(words) for name, words in memories.items()})
    (directory / f"{CORE}.v").write_text(_module(core, CORE, parameters, False) + source, encoding="utf-8")
    (directory / f"{LOGITS}.v").write_text(_module(core, LOGITS, parameters, True) + source, encoding="utf-8")
    cycles, interval = core.clocks
    activations = 2 * core.activation_bits << core.place_bits
    info = FoldedInfo(
        network.features, network.input.bits, network.outputs, tuple(kind.bits for kind in network.action_types),
        network.action_types[0].signed, core.value_bits, units, cycles, interval,
        core.storage.code_bits + core.storage.gap_bits,
        activations + sum(words.size for words in memories.values()),
    )
    write_json(directory / INFO, asdict(info))
    return info


def sequencer_parameters(network: IntegerNetwork, units: int) -> tuple[dict[str, int], tuple[Entry, ...]]:
    """The parameters of ``folded_sequencer`` that say how wide its counters are, and the layer program."""
    core = plan(network, units)
    step_bits, repeat_bits, book_bits = _program_bits(core)
    parameters = {
        "FEATURES": network.features, "PLACE_BITS": core.place_bits, "STEP_BITS": step_bits,
        "REPEAT_BITS": repeat_bits, "BOOK_BITS": book_bits,
    }
    return parameters, core.program


def is_folded(directory: Path) -> bool:
    """Whether the core in ``directory`` is a folded one."""
    return (directory / INFO).is_file()


def read_folded_info(directory: Path) -> FoldedInfo:
    """Read what :func:`write_folded` left in ``directory``.

    Raises:
        ProjectError: there is no folded core, or it isn't whole.
    """
    path = directory / INFO
    data = read_json(path, f"{directory}: no folded core here; build it first")
    info: FoldedInfo = build(FoldedInfo, data, str(path))
    return info


def constant_words(core: Plan) -> NDArray[np.uint8]:
    """Bits of the memory of constants, shape (neurons of full groups, bits of a word), lowest first."""
    return np.concatenate([
        _constants_of(core, layer, final=layer is core.layers[-1]) for layer in core.layers
    ])


def table_words(core: Plan) -> NDArray[np.uint8]:
    """Bits of the tables, one for each format, shape (words, bits of an activation), lowest first."""
    size = 1 << _table_bits(core)
    values = np.zeros((len(core.formats), size), dtype=np.int64)
    for row, item in zip(values, core.formats, strict=True):
        if item.table is not None:
            row[np.arange(item.table.input.minimum, item.table.input.maximum + 1) % size] = item.table.values
    return bits(values.reshape(-1), core.activation_bits)


def _table_bits(core: Plan) -> int:
    """Width of what activations are looked up by."""
    return max((item.table.input.bits for item in core.formats if item.table is not None), default=1)


def _constants_of(core: Plan, layer: FoldedLayer, final: bool) -> NDArray[np.uint8]:
    count, formats = len(layer.constant), core.formats
    rows = -(-count // core.units) * core.units
    constant, flags = np.zeros(rows, dtype=np.int64), np.zeros((rows, 5), dtype=np.int64)  # store head first last end
    constant[:count] = layer.constant
    multiplier = np.zeros(rows, dtype=np.int64)
    multiplier[:count] = layer.multiplier
    flags[:count, 1 if final else 0] = 1
    if final:
        sizes = np.array(core.network.output.sizes(count))
        flags[np.cumsum(sizes) - sizes, 2] = flags[np.cumsum(sizes) - 1, 3] = flags[count - 1, 4] = 1
    index = np.full(rows, formats.index(layer.format) if layer.format else 0)
    return np.concatenate([
        bits(constant, core.constant_bits), bits(multiplier, core.multiplier_bits),
        bits(index, _index_bits(len(formats))), flags.astype(np.uint8),
    ], axis=1)


def program_words(core: Plan) -> NDArray[np.uint8]:
    """Bits of the layer program, shape (words, bits of a word), lowest first."""
    step_bits, repeat_bits, book_bits = _program_bits(core)
    fields = [
        (np.array([entry.steps - 1 for entry in core.program]), step_bits),
        (np.array([entry.period - 2 for entry in core.program]), step_bits),
        (np.array([entry.repeats - 1 for entry in core.program]), repeat_bits),
        (np.array([entry.book for entry in core.program]), book_bits),
        (np.array([entry.swap for entry in core.program], dtype=np.int64), 1),
        (np.array([entry.last for entry in core.program], dtype=np.int64), 1),
    ]
    return np.concatenate([bits(values, width) for values, width in fields], axis=1)


def _with_end(words: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The memory's words, and one more where an address that has gone one too far would read beyond them."""
    missing = len(words) < 1 << _index_bits(len(words))
    return np.pad(words, ((0, int(missing)), (0, 0)))


def _program_bits(core: Plan) -> tuple[int, int, int]:
    step_bits = max(core.place_bits, max(entry.period - 1 for entry in core.program).bit_length())
    return step_bits, max(1, max(entry.repeats - 1 for entry in core.program).bit_length()), _index_bits(
        1 if core.storage.books is None else len(core.layers))


def _index_bits(count: int) -> int:
    return max(1, (count - 1).bit_length())


def _choices(core: Plan) -> tuple[int, int]:
    """Integers of the action, and the width that each has inside the core."""
    widths = [kind.bits for kind in core.network.action_types]
    return len(widths), max(widths)


def _parameters(core: Plan, words: dict[str, int]) -> dict[str, str | int]:
    storage, formats, network = core.storage, core.formats, core.network
    step_bits, repeat_bits, book_bits = _program_bits(core)
    choices, choice_bits = _choices(core)
    books = storage.books if storage.kind == BOOKS and storage.books is not None else ()
    entries = np.zeros((max(1, len(books)), 1 << storage.code_bits), dtype=np.int64)
    for row, book in zip(entries, books, strict=False):
        row[:len(book)] = book
    return {
        "UNITS": core.units, "FEATURES": network.features, "INPUT_BITS": network.input.bits,
        "INPUT_SIGNED": int(network.input.signed), "ACTIVATION_BITS": core.activation_bits,
        "PLACE_BITS": core.place_bits, "WEIGHTS": storage.kind, "WEIGHT_WORDS": words[WEIGHTS],
        "WEIGHT_ADDRESS_BITS": _index_bits(words[WEIGHTS]), "CODE_BITS": storage.code_bits,
        "VALUE_BITS": storage.value_bits, "GAP_BITS": storage.gap_bits, "BOOKS": max(1, len(books)),
        "BOOK_BITS": book_bits, "BOOK_VALUES": _vector(entries.reshape(-1), storage.value_bits) if books else 0,
        "SUM_BITS": core.sum_bits, "MULTIPLIER_BITS": core.multiplier_bits,
        "SCALED_BITS": core.scaled_bits, "CONSTANT_BITS": core.constant_bits,
        "CONSTANT_WORDS": words[CONSTANTS], "CONSTANT_ADDRESS_BITS": _index_bits(words[CONSTANTS]),
        "FORMATS": len(formats), "FORMAT_BITS": _index_bits(len(formats)),
        "SHIFTS": _vector([item.shift for item in formats], _FIELD),
        "LOWS": _vector([item.low for item in formats], _FIELD),
        "HIGHS": _vector([item.high for item in formats], _FIELD),
        "SIGNS": _vector([item.sign for item in formats], 1),
        "TIE_EVEN": _vector([item.tie_even for item in formats], 1),
        "CUT_BITS": core.cut_bits,
        "TABLE": int(core.tabled), "TABLED": _vector([item.table is not None for item in formats], 1),
        "TABLE_WORDS": words.get(TABLE, 2), "TABLE_BITS": _table_bits(core),
        "PROGRAM_WORDS": words[PROGRAM], "PROGRAM_ADDRESS_BITS": _index_bits(words[PROGRAM]),
        "STEP_BITS": step_bits, "REPEAT_BITS": repeat_bits, "RAW": int(core.raw), "VALUE_WIDTH": core.value_bits,
        "ARGMAX": int(isinstance(network.output, Argmax)), "YES_OR_NO": int(1 in network.output.sizes(network.outputs)),
        "CHOICE_BITS": choice_bits, "CHOICES": choices,
    }


def _module(core: Plan, name: str, parameters: dict[str, str | int], values: bool) -> str:
    ports = [
        "input wire clk", "input wire restart", "input wire in_valid", "output wire in_ready",
        f"input wire [{core.network.input.bits - 1}:0] observation", "output wire out_valid", "input wire out_ready",
        f"output wire [{sum(kind.bits for kind in core.network.action_types) - 1}:0] action",
    ]
    if values:
        ports += ["output wire value_valid", f"output wire [{core.value_bits - 1}:0] value"]
    names = [port.split()[-1] for port in ports] + ([] if values else ["value_valid", "value"])
    shown = {port.split()[-1] for port in ports}
    choices, width = _choices(core)
    types = list(enumerate(core.network.action_types))
    joined = ", ".join(f"fields[{place * width} +: {kind.bits}]" for place, kind in reversed(types))
    wires = {item: item for item in shown} | {"action": "fields"}
    connections = ", ".join(f".{item}({wires.get(item, '')})" for item in names)
    settings = ",\n".join(f"        .{key}({value})" for key, value in parameters.items())
    lines = ",\n".join(f"    {port}" for port in ports)
    return (f"module {name} (\n{lines}\n);\n    wire [{choices * width - 1}:0] fields;\n"
            f"    assign action = {{{joined}}};\n    policy_folded #(\n{settings}\n    ) core ({connections});\n"
            "endmodule\n\n")


def _hexadecimal(words: NDArray[np.uint8]) -> str:
    rows = np.packbits(words, axis=1, bitorder="little")[:, ::-1]
    return "".join(f"{row.tobytes().hex()}\n" for row in rows)


def _vector(values: Sequence[int] | NDArray[np.int64], width: int) -> str:
    packed = sum((int(value) % (1 << width)) << (index * width) for index, value in enumerate(values))
    return f"{len(values) * width}'h{packed:x}"
