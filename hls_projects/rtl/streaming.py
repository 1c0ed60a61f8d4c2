"""From the integer network to a streaming core: the parameters of ``policy_stream.v`` and its memories' contents.

``policy_core`` is what is deployed; ``policy_logits`` is the same with its logits brought out, for simulation.
Weights are stored in as few bits as their values need: one bit where there are two values, else indices into a
table (the shared weights of a compressed policy) or the numbers themselves.

A shared weight is looked up as it is read, one look-up table a bit, and added with its pixel's sign. To add the
pixels of each shared weight first and to multiply at the end, as processors do, gives the same integers but takes an
accumulator for each of them: 8 times 128, where the adders of 4 inputs per clock already fill a quarter of a part.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hls4rl.artefact import write_json
from hls4rl.contract import Argmax, FixedPoint, IntArray, Sign
from hls4rl.errors import ProjectError
from hls4rl.hls_projects.rtl.pipelined import CORE, LOGITS
from hls4rl.network import IntegerNetwork, Layer
from hls4rl.plain import build, read_json

INFO = "stream.json"
WEIGHTS = "weights-{bank}.hex"
UNITS = "units.hex"
"""Memories: a line is a word, for ``$readmemh``."""
_BANK_BITS = 256
"""Of a word of one bank's memory, at most, so that a bank lies near its memory; too many banks waste block RAM."""
_SOURCE = Path(__file__).with_name("policy_stream.v")


@dataclass(frozen=True)
class StreamInfo:
    """What a test bench or a wrapper has to know of a streaming core."""

    features: int
    pixels: int
    """Inputs that ``observation`` takes per clock; the first one lies in its low bits. What a frame's last word has
    more than the frame must be 0."""
    words: int
    """Clocks with ``in_valid`` that make a frame; a new frame may begin in the next one."""
    observation_bits: int
    """Width of one input."""
    actions: int
    action_bits: int
    logit_bits: int
    cycles: int
    """Clock periods from the edge that samples a frame's first word to the edge that makes ``out_valid`` and
    ``action`` readable, if the words come one per clock."""
    weight_bits: int
    """Stored bits of one weight of the wide layer."""
    memory_bits: int
    """Of all memories together."""


def write_stream(network: IntegerNetwork, directory: Path, pixels: int = 4, lanes: int = 2) -> StreamInfo:
    """Write ``policy_core.v``, ``policy_logits.v``, the memories and ``stream.json`` to ``directory``.

    Args:
        pixels: inputs per clock.
        lanes: hidden units per clock on their way to the logits.

    Raises:
        ProjectError: the network has another shape or other types than the core computes.
    """
    _check(network, pixels)
    core = _Core(network, pixels, lanes)
    info = core.info()
    groups = core.units // lanes
    if info.words < groups + info.actions:
        raise ProjectError(
            f"a frame of {info.words} words is shorter than the {groups + info.actions} clocks its hidden units take; "
            "set hardware.inputs_per_clock to fewer"
        )
    source = _SOURCE.read_text(encoding="utf-8")
    (directory / f"{CORE}.v").write_text(core.deployed() + source, encoding="utf-8")
    (directory / f"{LOGITS}.v").write_text(core.with_logits() + source, encoding="utf-8")
    for bank, words in enumerate(np.split(core.weight_words(), core.banks, axis=1)):
        (directory / WEIGHTS.format(bank=bank)).write_text(_hexadecimal(words), encoding="utf-8")
    (directory / UNITS).write_text(_hexadecimal(core.unit_words()), encoding="utf-8")
    write_json(directory / INFO, asdict(info))
    return info


def read_stream_info(directory: Path) -> StreamInfo:
    """Read what :func:`write_stream` left in ``directory``.

    Raises:
        ProjectError: there is no streaming core, or it isn't whole.
    """
    path = directory / INFO
    info: StreamInfo = build(StreamInfo, read_json(path, f"{directory}: no streaming core here; build it first"),
                             str(path))
    return info


def _check(network: IntegerNetwork, pixels: int) -> None:
    if len(network.layers) != 2 or network.layers[1].activation is not None or network.layers[0].activation is None:
        raise ProjectError("the streaming core computes one hidden layer and logits; give it such a network")
    kind = network.layers[0].activation
    if not isinstance(kind, Sign) and not (isinstance(kind, FixedPoint) and not kind.signed):
        raise ProjectError("the streaming core computes ReLUs and signs; set network.activation to \"relu\"")
    if not isinstance(network.output, Argmax) or len(network.output.sizes(network.outputs)) > 1:
        raise ProjectError("the streaming core chooses one action of several; other action spaces need all features at "
                           "once: set hardware.inputs_per_clock to 0")
    if any(layer.rounding != "FLOOR" for layer in network.layers):
        raise ProjectError("the streaming core truncates activations; export the policy with rounding mode FLOOR")
    if (network.input.bits, network.input.signed) not in ((1, False), (2, True)):
        raise ProjectError(
            f"the streaming core takes inputs of 1 bit, or of 2 with a sign, not of {network.input.bits}; "
            "set the observation's bits to 2"
        )
    if network.outputs < 2:
        raise ProjectError("a policy with one action needs no hardware; give it two or more")
    if not 1 <= pixels < network.features:
        raise ProjectError(
            f"{network.features} inputs do not come {pixels} per clock; set hardware.inputs_per_clock to 1 or "
            "more, and fewer than all"
        )


@dataclass(frozen=True, eq=False)
class _Weights:
    """How the wide layer's weights are stored: weight = low + factor · value, where the code says the value."""

    codes: IntArray
    code_bits: int
    masks: bool
    factor: int
    low: int
    value_bits: int
    values: IntArray
    """The table that codes are indices of; empty where the code is the value."""

    @classmethod
    def smallest(cls, weight: IntArray) -> _Weights:
        """The storage of fewest bits."""
        values, indices = np.unique(weight, return_inverse=True)
        if len(values) <= 2:
            return cls(indices.reshape(weight.shape), 1, True, int(values[-1] - values[0]) or 1, int(values[0]), 1,
                       np.zeros(0, dtype=np.int64))
        bits, index_bits = signed_bits(int(values[0]), int(values[-1])), (len(values) - 1).bit_length()
        if index_bits < bits:
            return cls(indices.reshape(weight.shape), index_bits, False, 1, 0, bits, values)
        return cls(weight, bits, False, 1, 0, bits, np.zeros(0, dtype=np.int64))


class _Core:
    """The numbers of one core."""

    def __init__(self, network: IntegerNetwork, pixels: int, lanes: int) -> None:
        self._network, self._pixels, self._lanes = network, pixels, lanes
        hidden, output = network.layers
        self._weights = _Weights.smallest(hidden.weight)
        word_bits = len(hidden.weight) * pixels * self._weights.code_bits
        self.banks = 1 << (-(-word_bits // _BANK_BITS) - 1).bit_length()
        step = math.lcm(lanes, self.banks)
        self.units = -(-len(hidden.weight) // step) * step
        self._words = -(-network.features // pixels)
        self._activation = hidden.activation
        self._drop, self._factor, self._bias = self._before(hidden)
        kind = hidden.activation
        assert kind is not None
        unit = output.sum_lsb(kind.lsb)
        self._output = output.weight * int(kind.lsb * output.weight_lsb / unit)
        self._start = output.bias * int(output.bias_lsb / unit)
        self._output_bits = _bits_of(self._output)
        self._before_bits = self._bits_before(hidden)
        self._logit_bits = self._bits_of_logits()

    def _before(self, layer: Layer) -> tuple[int, int, IntArray]:
        """Bits that the activation drops, and factor and biases in the unit before that."""
        unit = layer.sum_lsb(self._network.input.lsb)
        factor = int(self._network.input.lsb * layer.weight_lsb / unit)
        bias = layer.bias * int(layer.bias_lsb / unit)
        drop = round(math.log2(layer.activation.lsb / unit)) if isinstance(layer.activation, FixedPoint) else 0
        if drop < 0:
            return 0, factor << -drop, bias << -drop
        return drop, factor, bias

    def _bits_before(self, layer: Layer) -> int:
        weight = layer.weight * self._factor
        low, high = self._network.input.minimum, self._network.input.maximum
        ends = np.stack([weight * low, weight * high])
        smallest, largest = ends.min(axis=0).sum(axis=1) + self._bias, ends.max(axis=0).sum(axis=1) + self._bias
        kind = self._activation
        limits = (kind.minimum, kind.maximum) if isinstance(kind, FixedPoint) else (0, 0)
        return max(signed_bits(int(min(smallest.min(), self._bias.min(), 0)), int(max(largest.max(), 0))),
                   signed_bits(*limits))

    def _bits_of_logits(self) -> int:
        kind = self._activation
        low, high = (kind.minimum, kind.maximum) if isinstance(kind, FixedPoint) else (-1, 1)
        ends = np.stack([self._output * low, self._output * high])
        smallest, largest = ends.min(axis=0).sum(axis=1) + self._start, ends.max(axis=0).sum(axis=1) + self._start
        return signed_bits(int(min(smallest.min(), self._start.min())), int(max(largest.max(), self._start.max())))

    def _bits_of_sums(self) -> int:
        # Of the terms that are added up: masked pixels, or products that lack the 1 of a two's complement.
        low, high = self._network.input.minimum, self._network.input.maximum
        if self._weights.masks:
            return signed_bits(self._network.features * low, self._network.features * high)
        weight = self._network.layers[0].weight
        terms = np.stack([weight * x - (x < 0) for x in range(low, high + 1)])
        return signed_bits(int(terms.min(axis=0).sum(axis=1).min()), int(terms.max(axis=0).sum(axis=1).max()))

    def info(self) -> StreamInfo:
        network, weights = self._network, self._weights
        levels, groups = (self._pixels - 1).bit_length(), self.units // self._lanes
        return StreamInfo(
            network.features, self._pixels, self._words, network.input.bits, network.outputs,
            (network.outputs - 1).bit_length(), self._logit_bits,
            self._words + levels + groups + network.outputs + 10 + (weights.values.size > 0), weights.code_bits,
            self._words * self.units * self._pixels * weights.code_bits + groups * self._unit_bits,
        )

    @property
    def _unit_bits(self) -> int:
        return self._lanes * (self._before_bits + self._network.outputs * self._output_bits)

    def _parameters(self) -> dict[str, str | int]:
        weights, network, kind = self._weights, self._network, self._activation
        limits = (kind.minimum, kind.maximum) if isinstance(kind, FixedPoint) else (-1, 1)
        low = network.features * network.input.minimum
        return {
            "WORDS": self._words, "PIXELS": self._pixels, "PIXEL_BITS": network.input.bits, "UNITS": self.units,
            "LANES": self._lanes, "BANKS": self.banks, "ACTIONS": network.outputs, "CODE_BITS": weights.code_bits,
            "MASKS": int(weights.masks), "VALUE_BITS": weights.value_bits, "INDICES": int(weights.values.size > 0),
            "VALUES": _vector(weights.values, weights.value_bits), "SUM_BITS": self._bits_of_sums(),
            "COMMON_BITS": signed_bits(low, network.features), "SUM_FACTOR": self._factor * weights.factor,
            "COMMON_FACTOR": self._factor * (weights.low if weights.masks else 1), "BEFORE_BITS": self._before_bits,
            "SIGNS": int(isinstance(kind, Sign)), "DROP": self._drop, "MINIMUM": limits[0], "MAXIMUM": limits[1],
            "HIDDEN_BITS": signed_bits(*limits), "OUTPUT_BITS": self._output_bits, "LOGIT_BITS": self._logit_bits,
            "START": _vector(self._start, self._logit_bits), "INDEX_BITS": self._index_bits,
            "GROUP_BITS": self._group_bits, "ACTION_BITS": (network.outputs - 1).bit_length(),
        }

    @property
    def _index_bits(self) -> int:
        return (self._words - 1).bit_length()

    @property
    def _group_bits(self) -> int:
        return max(1, (self.units // self._lanes - 1).bit_length())

    @property
    def _weight_word_bits(self) -> int:
        return self.units * self._pixels * self._weights.code_bits

    def weight_words(self) -> NDArray[np.uint8]:
        """Bits of the wide layer's memory, shape (words, bits of a word), lowest first."""
        codes = np.zeros((self.units, self._words, self._pixels), dtype=np.int64)
        stored = self._weights.codes
        missing = self._words * self._pixels - stored.shape[1]
        codes[:len(stored)] = np.pad(stored, ((0, 0), (0, missing))).reshape(-1, self._words, self._pixels)
        return _bits(codes.transpose(1, 0, 2), self._weights.code_bits).reshape(self._words, -1)

    def unit_words(self) -> NDArray[np.uint8]:
        """The same for biases and output weights, shape (groups of lanes, bits of a word)."""
        count = len(self._bias)
        bias = np.zeros((self.units, 1), dtype=np.int64)
        output = np.zeros((self.units, self._network.outputs), dtype=np.int64)
        bias[:count, 0], output[:count] = self._bias, self._output.T
        fields = [_bits(output, self._output_bits).reshape(self.units, -1), _bits(bias, self._before_bits)[:, 0]]
        return np.concatenate(fields, axis=1).reshape(self.units // self._lanes, -1)

    def deployed(self) -> str:
        """Verilog of the core."""
        return self._module(CORE, [], "")

    def with_logits(self) -> str:
        """Verilog of the core that brings its logits out."""
        port = f"output wire [{self._network.outputs * self._logit_bits - 1}:0] logits"
        return self._module(LOGITS, [port], "logits")

    def _weight_memories(self) -> list[str]:
        address, bits = self._index_bits, self._weight_word_bits // self.banks
        return [
            _memory(
                f"weight_memory_{bank}", self._words, WEIGHTS.format(bank=bank),
                f"weight_address[{bank * address} +: {address}]", address,
                f"weight_word[{bank * bits} +: {bits}]", bits,
            ) for bank in range(self.banks)
        ]

    def _module(self, name: str, ports: list[str], logits: str) -> str:
        info = self.info()
        all_ports = [
            "input wire clk", "input wire restart", "input wire in_valid",
            f"input wire [{self._pixels * info.observation_bits - 1}:0] observation",
            "output wire out_valid", f"output wire [{info.action_bits - 1}:0] action", *ports,
        ]
        body = [
            f"wire [{self.banks * self._index_bits - 1}:0] weight_address;",
            f"wire [{self._weight_word_bits - 1}:0] weight_word;",
            f"wire [{self._group_bits - 1}:0] unit_address;", f"wire [{self._unit_bits - 1}:0] unit_word;",
            *self._weight_memories(),
            _memory("unit_memory", self.units // self._lanes, UNITS, "unit_address", self._group_bits, "unit_word",
                    self._unit_bits),
        ]
        wires = ("clk", "restart", "in_valid", "observation", "weight_address", "weight_word", "unit_address",
                 "unit_word", "out_valid", "action")
        connections = ", ".join([*(f".{wire}({wire})" for wire in wires), f".logits({logits})"])
        parameters = ",\n".join(f"        .{key}({value})" for key, value in self._parameters().items())
        lines = ",\n".join(f"    {port}" for port in all_ports)
        inside = "".join(f"    {line}\n" for line in body)
        return (f"module {name} (\n{lines}\n);\n{inside}"
                f"    policy_stream #(\n{parameters}\n    ) core ({connections});\nendmodule\n\n")


def _memory(
    name: str, words: int, content: str, address: str, address_bits: int, word: str, word_bits: int
) -> str:
    return (
        f'stream_memory #(.WORDS({words}), .BITS({word_bits}), .ADDRESS_BITS({address_bits}), .CONTENT("{content}"))\n'
        f"        {name} (.clk(clk), .address({address}), .word({word}));"
    )


def signed_bits(low: int, high: int) -> int:
    """Width of the two's complement that holds ``low`` and ``high``."""
    return max(high.bit_length(), (~low).bit_length() if low < 0 else 0) + 1


def _bits_of(values: IntArray) -> int:
    return signed_bits(int(values.min()), int(values.max()))


def _bits(values: IntArray, width: int) -> NDArray[np.uint8]:
    """Bits of ``values``, lowest first, on a new last axis."""
    return ((values[..., None] >> np.arange(width)) & 1).astype(np.uint8)


def _hexadecimal(words: NDArray[np.uint8]) -> str:
    rows = np.packbits(words, axis=1, bitorder="little")[:, ::-1]
    return "".join(f"{row.tobytes().hex()}\n" for row in rows)


def _vector(values: IntArray, width: int) -> str:
    if not values.size:
        return "1'b0"
    packed = sum((int(value) % (1 << width)) << (index * width) for index, value in enumerate(values))
    return f"{len(values) * width}'h{packed:x}"
