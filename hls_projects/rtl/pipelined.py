"""From the integer network to pipelined Verilog, by replaying it on alkaid's symbolic fixed-point arrays.

Two cores come from the same trace. ``policy_core`` is what is deployed: only the action leaves it, so that
it computes differences of logits, and whatever cannot change the action vanishes. ``policy_logits`` brings
the logits out too, for checking each of them in simulation. Both start a new observation every clock.

Scale factors appear nowhere: a power of two is a matter of which wire goes where.
"""

from __future__ import annotations

import itertools
import math
import re
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import alkaid
import numpy as np
from alkaid.codegen import RTLModel
from alkaid.trace import FVArray, trace
from alkaid.trace.fixed_variable import FVariable, HWConfig

from hls4rl.artefact import write_json
from hls4rl.contract import Argmax, CutType, FixedPoint, FloatArray, IntArray, MultiplyShift, Sign, Table
from hls4rl.errors import ProjectError
from hls4rl.network import IntegerNetwork, activate, plain
from hls4rl.plain import build, read_json

CORE = "policy_core"
LOGITS = "policy_logits"
INFO = "rtl.json"
LOGIT_BITS = 64
"""Width of one logit port; the sums themselves have as many bits as they need."""

_ADDERS = HWConfig(1, 1, -1)  # alkaid's cost model: adders of any width, cost by width
_CONSTANT_BITS = 24  # of a float32's mantissa
_LIBRARY = Path(str(alkaid.__file__)).parent / "codegen" / "rtl" / "verilog" / "source"

Value = Any
"""A traced number (``FVariable``) or, where it cannot change, an ``int``."""


@dataclass(frozen=True)
class RtlInfo:
    """What a test bench or a wrapper has to know of the cores' ports."""

    features: int
    observation_bits: int
    """Width of one feature; feature 0 lies in the low bits of ``observation``."""
    outputs: int
    """Of the network: logits, or dimensions of a continuous action."""
    action_widths: tuple[int, ...]
    """Width of each integer of ``action``; the first lies in the low bits."""
    action_signed: bool
    """Whether those integers are two's complement."""
    cycles: int
    """Clock periods from the edge that samples ``in_valid`` and ``observation`` (into the input register) to
    the edge that makes ``out_valid`` and ``action`` readable (in the output register)."""

    @property
    def action_bits(self) -> int:
        """Width of ``action``."""
        return sum(self.action_widths)


def write_rtl(network: IntegerNetwork, directory: Path, stages: int) -> RtlInfo:
    """Write ``policy_core.v``, ``policy_logits.v`` and ``rtl.json`` to ``directory``; same input, same bytes.

    Args:
        stages: slices that the logic is cut into, at least 1; the latency in clock cycles.

    Raises:
        ProjectError: the sums need more than 64 bits.
    """
    if stages < 1:
        raise ValueError(f"a pipeline has at least 1 stage, not {stages}")
    core, check, widths = _cores(network, stages)
    types = network.action_types
    (directory / f"{CORE}.v").write_text(core.verilog(CORE, widths, 0), encoding="utf-8")
    (directory / f"{LOGITS}.v").write_text(check.verilog(LOGITS, widths, network.outputs), encoding="utf-8")
    info = RtlInfo(
        network.features, network.input.bits, network.outputs, tuple(kind.bits for kind in types), types[0].signed,
        stages,
    )
    write_json(directory / INFO, asdict(info))
    return info


def _cores(network: IntegerNetwork, stages: int) -> tuple[_Core, _Core, tuple[int, ...]]:
    """The core that is deployed, the one that shows its outputs, and the widths of the results that are the action."""
    network = plain(network)
    layers, types = _affine_layers(network), network.action_types
    groups = network.output.sizes(network.outputs) if isinstance(network.output, Argmax) else ()
    different = _difference_layers(layers, groups) if groups else layers
    # Of discrete actions each bit is a result of its own; a continuous action's integers come whole.
    widths = (1,) * sum(kind.bits for kind in types) if groups else tuple(kind.bits for kind in types)
    return (
        _Core(network, stages, lambda replay, inputs: replay.action(different, groups, inputs)),
        _Core(network, stages, lambda replay, inputs: replay.outputs_and_action(layers, groups, inputs)),
        widths,
    )


def read_info(directory: Path) -> RtlInfo:
    """Read what :func:`write_rtl` left in ``directory``.

    Raises:
        ProjectError: there is no RTL, or it isn't whole.
    """
    path = directory / INFO
    info: RtlInfo = build(RtlInfo, read_json(path, "no whole RTL here: build it with `make synth`"), str(path))
    numbers = (info.features, info.observation_bits, info.outputs, info.cycles, *info.action_widths)
    if min(numbers) < 1 or not info.action_widths or max(info.observation_bits, *info.action_widths) > LOGIT_BITS:
        raise ProjectError(f"{path}: its ports have impossible sizes; build it again with `make synth`")
    return info


@dataclass(frozen=True, eq=False)
class _Affine:
    """``matrix @ inputs + constant`` in units that leave integers, then a cut.

    Inputs that are signs come as bits: with h = 2u - 1, a sum of w·h is 2·sum(w·u) - sum(w).
    """

    matrix: IntArray
    constant: IntArray
    activation: CutType | None
    shift: int
    """Right shift of the sums to the unit of ``activation``, or of a table's input."""
    rounding: str = "FLOOR"
    """What becomes of the bits that the shift drops; see :class:`hls4rl.network.Layer`."""


def _affine_layers(network: IntegerNetwork) -> list[_Affine]:
    layers: list[_Affine] = []
    lsb, from_signs = network.input.lsb, False
    for layer in network.layers:
        unit = layer.sum_lsb(lsb)
        matrix = layer.weight * int(lsb * layer.weight_lsb / unit)
        constant = layer.bias * int(layer.bias_lsb / unit)
        if from_signs:
            matrix, constant = 2 * matrix, constant - matrix.sum(axis=1)
        kind = layer.activation
        assert not isinstance(kind, MultiplyShift)  # plain() has none
        cut = kind.input if isinstance(kind, Table) else kind
        shift = round(math.log2(cut.lsb / unit)) if isinstance(cut, FixedPoint) else 0
        layers.append(_Affine(matrix, constant, kind, shift, layer.rounding))
        lsb, from_signs = (unit if kind is None else kind.lsb), isinstance(kind, Sign)
    return layers


def _difference_layers(layers: Sequence[_Affine], groups: Sequence[int]) -> list[_Affine]:
    """Of each group, logits less one of them, chosen to leave the fewest weights; then units that none needs go."""
    last = layers[-1]
    if last.activation is not None:
        return list(layers)
    pairs = [
        _differences(last.matrix[start:end], last.constant[start:end])
        for start, end in itertools.pairwise([0, *itertools.accumulate(groups)])
    ]
    matrix, constant = (np.concatenate([pair[side] for pair in pairs]) for side in (0, 1))
    result = [_Affine(matrix, constant, None, 0)]
    for layer in reversed(layers[:-1]):
        needed = result[0].matrix.any(axis=0)
        after = result[0]
        result[0] = replace(after, matrix=after.matrix[:, needed])
        result.insert(0, replace(layer, matrix=layer.matrix[needed], constant=layer.constant[needed]))
    return result


def _differences(matrix: IntArray, constant: IntArray) -> tuple[IntArray, IntArray]:
    if len(matrix) == 1:  # held against 0
        return matrix, constant
    candidates = [matrix - row for row in matrix]
    reference = min(range(len(candidates)), key=lambda index: (np.count_nonzero(candidates[index]), index))
    return candidates[reference], constant - constant[reference]


class _Replay:
    """The layers, replayed on traced numbers.

    What is equal by construction is one object, and its weights are added up. alkaid 0.8 finds twins too, but only
    after it has chosen the formats of their differences, and then computes with wrong ones.
    """

    def __init__(self, one: FVariable) -> None:
        self._one = one
        self._made: dict[tuple[Any, ...], Value] = {}
        self._kept: list[Value] = []  # so that no identity is used twice

    def outputs_and_action(
        self, layers: Sequence[_Affine], groups: Sequence[int], inputs: Sequence[Value]
    ) -> list[Value]:
        """The bits of each of ``groups``' choice, lowest first, or without groups the action; then the outputs."""
        outputs = self._outputs(layers, inputs)
        return [*(self._choices(outputs, groups) if groups else outputs), *outputs]

    def action(self, layers: Sequence[_Affine], groups: Sequence[int], inputs: Sequence[Value]) -> list[Value]:
        """The bits of the action of each of ``groups``, lowest first; without groups its integers."""
        last = layers[-1]
        if not groups:
            return self._outputs(layers, inputs)
        if max(groups) > 2 or last.activation is not None:
            return self._choices(self._outputs(layers, inputs), groups)
        # Action 1 wins if its logit is larger: difference - 1 >= 0.
        starts = [0, *itertools.accumulate(groups)][:-1]
        rows = [
            (last.matrix[start + size - 1] - (last.matrix[start] if size == 2 else 0),
             last.constant[start + size - 1] - (last.constant[start] if size == 2 else 0))
            for start, size in zip(starts, groups, strict=True)
        ]
        matrix, constant = np.stack([row for row, _ in rows]), np.array([offset for _, offset in rows])
        return self._at_least_zero(matrix, constant - 1, self._run(layers[:-1], inputs))

    def _choices(self, values: Sequence[Value], groups: Sequence[int]) -> list[Value]:
        """The bits of each group's choice, lowest first."""
        bits: list[Value] = []
        for start, end in itertools.pairwise([0, *itertools.accumulate(groups)]):
            if end - start == 1:
                bits.append(self._larger(values[start], 0))
            else:
                bits += _bits_of(self._argmax(values[start:end]), (end - start - 1).bit_length())
        return bits

    def _outputs(self, layers: Sequence[_Affine], inputs: Sequence[Value]) -> list[Value]:
        """The last layer's results; signs, which are bits between layers, as ±1."""
        values = self._run(layers, inputs)
        if not isinstance(layers[-1].activation, Sign):
            return values
        return [2 * value - 1 if isinstance(value, int) else self._plus(value * 2.0, -1) for value in values]

    def _run(self, layers: Sequence[_Affine], inputs: Sequence[Value]) -> list[Value]:
        values = list(inputs)
        for layer in layers:
            kind = layer.activation
            if isinstance(kind, Sign):
                values = self._at_least_zero(layer.matrix, layer.constant, values)
            else:
                values = self._sums(layer.matrix, layer.constant, values)
            if isinstance(kind, FixedPoint | Table):
                cut = kind.input if isinstance(kind, Table) else kind
                values = [self._cut(value, cut, layer.shift, layer.rounding) for value in values]
            if isinstance(kind, Table):
                values = [self._look_up(value, kind) for value in values]
        return values

    def _at_least_zero(self, matrix: IntArray, constant: IntArray, values: Sequence[Value]) -> list[Value]:
        """One bit a row: whether ``matrix @ values + constant`` is at least 0."""
        divisor = np.maximum(np.gcd.reduce(matrix, axis=1), 1)  # a common factor costs adder bits
        sums = self._sums(matrix // divisor[:, None], np.zeros_like(constant), values)
        thresholds = -(constant // divisor)
        return [self._compare(value, int(threshold)) for value, threshold in zip(sums, thresholds, strict=True)]

    def _once(self, key: tuple[Any, ...], make: Callable[[], Value]) -> Value:
        """What ``make`` gave when it was called for ``key`` first."""
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]

    def _key(self, value: Value) -> Any:
        self._kept.append(value)
        return value if isinstance(value, int) else ("traced", id(value))

    def _cut(self, value: Value, kind: FixedPoint, shift: int, rounding: str) -> Value:
        key = ("cut", self._key(value), kind, shift, rounding)
        if rounding == "ROUND" and shift > 0 and not isinstance(value, int):
            return self._once(key, lambda: _cut(self._before_floor(value, shift), kind, shift, "FLOOR"))
        return self._once(key, lambda: _cut(value, kind, shift, rounding))

    def _look_up(self, value: Value, kind: Table) -> Value:
        values = np.array(kind.values, dtype=np.float64)
        if isinstance(value, int):
            return int(values[value - kind.input.minimum])
        return self._once(("table", self._key(value), kind), lambda: _looked_up(value, values, kind.input.minimum))

    def _before_floor(self, value: FVariable, shift: int) -> FVariable:
        """A number whose floor to multiples of 2^shift is ``value`` rounded to them, ties to the even one."""
        # A floor after a little less than a half, or just a half above an odd number, rounds half to even.
        # The bit that says odd is cut out in two steps, as the highest of the lowest ones: alkaid 0.8 takes a bit
        # that lies alone for the sign, if the value was scaled and the bit's weight is now what the sign's was.
        lowest = value.quantize(0, shift + 1, 0, "WRAP", "TRN")
        odd = _settled(lowest.quantize(0, shift + 1, -shift, "WRAP", "TRN") * 2.0**-shift)
        less = (1 << (shift - 1)) - 1
        return self._plus(value, odd + less) if isinstance(odd, int) else self._plus(value + odd, less)

    def _compare(self, value: Value, threshold: int) -> Value:
        """Whether ``value`` is at least ``threshold``."""
        return self._once(("compare", self._key(value), threshold), lambda: self._compared(value, threshold))

    def _compared(self, value: Value, threshold: int) -> Value:
        if isinstance(value, int):
            return int(value >= threshold)
        if value.low >= threshold or value.high < threshold:
            return int(value.low >= threshold)
        if value._factor < 0:  # shared adders may hold the negative; comparing that saves a negation
            return _settled(self._plus(-value, threshold - 1).is_negative())
        return _settled(~self._plus(value, -threshold).is_negative())

    def _sums(self, matrix: IntArray, constant: IntArray, values: Sequence[Value]) -> list[Value]:
        matrix, values = _without_twins(matrix, values)
        traced = [index for index, value in enumerate(values) if not isinstance(value, int)]
        fixed = [index for index, value in enumerate(values) if isinstance(value, int)]
        offsets = constant + matrix[:, fixed] @ np.array([values[index] for index in fixed], dtype=np.int64)
        results: list[Value] = [int(offset) for offset in offsets]
        inputs = tuple(self._key(values[index]) for index in traced)
        keys = {row: ("sum", inputs, tuple(matrix[row, traced].tolist())) for row in range(len(matrix))}
        rows = [row for row in range(len(matrix)) if matrix[row, traced].any()]
        new = {keys[row]: row for row in reversed(rows) if keys[row] not in self._made}
        if new:
            first = sorted(new.values())
            vector = FVArray(np.array([values[i] for i in traced], dtype=object), {"binary_lut": False}, _ADDERS)
            weights = matrix[np.ix_(first, traced)].T.astype(np.float64)
            products = np.asarray(vector @ weights)
            self._made.update((keys[row], value) for row, value in zip(first, products, strict=True))
        for row in rows:
            offset = int(offsets[row])
            results[row] = self._once((*keys[row], offset), lambda: self._plus(self._made[keys[row]], offset))  # noqa: B023
        return results

    def _plus(self, value: FVariable, constant: int) -> FVariable:
        # alkaid reads constants through a float32, this one together with the one that made ``value``: what has
        # more bits goes in pieces, all but the highest of them as multiples of the input that is always 1.
        while constant and _significant_bits(_added(value) + constant) > _CONSTANT_BITS:
            piece = constant % ((constant & -constant) << (_CONSTANT_BITS - 1))  # from the lowest bit that is set
            value = value + self._one * float(piece)
            constant -= piece
        return value + float(constant)

    def _argmax(self, values: Sequence[Value]) -> list[Value]:
        """For each value whether it is larger than all before it; the last such one is the argmax."""
        larger: list[Value] = [None]
        for index in range(1, len(values)):
            larger.append(_all([self._larger(values[index], other) for other in values[:index]]))
        return larger

    def _larger(self, left: Value, right: Value) -> Value:
        if left is right:
            return 0
        if isinstance(left, int):
            bit = self._compare(right, left)
            return 1 - bit if isinstance(bit, int) else ~bit
        if isinstance(right, int):
            return self._compare(left, right + 1)
        return _settled((right - left).is_negative())


def _without_twins(matrix: IntArray, values: Sequence[Value]) -> tuple[IntArray, list[Value]]:
    """Each traced value once, with the weights of all its places added up."""
    places: dict[Any, int] = {}
    owner = [places.setdefault(index if isinstance(value, int) else ("traced", id(value)), index)
             for index, value in enumerate(values)]
    if len(places) == len(values):
        return matrix, list(values)
    kept = list(places.values())
    members = np.array(owner)
    merged = np.stack([matrix[:, members == index].sum(axis=1) for index in kept], axis=1)
    return merged, [values[index] for index in kept]


def _significant_bits(constant: int) -> int:
    magnitude = abs(constant)
    return (magnitude // (magnitude & -magnitude)).bit_length() if magnitude else 0


def _added(value: FVariable) -> int:
    """The constant whose addition made ``value``; 0 if another operation did."""
    if value.opr != "cadd":
        return 0
    source = value._from[0] * (value._factor / value._from[0]._factor)
    return int(value.low - source.low)


def _cut(value: Value, kind: FixedPoint, shift: int, rounding: str) -> Value:
    if isinstance(value, int):
        return int(activate(np.array([value]), kind.lsb * 2.0**-shift, kind, rounding)[0])
    array = FVArray(np.array([value * 2.0**-shift], dtype=object), hwconf=_ADDERS)
    return _settled(np.asarray(array.quantize(int(kind.signed), kind.bits - kind.signed, 0, "SAT", "TRN"))[0])


def _looked_up(value: FVariable, values: FloatArray, lowest: int) -> Value:
    # The part of the table that can be reached, in steps of what the value's lowest bit stands for.
    low, high, step = (round(float(item)) for item in value.qint)
    reached = values[low - lowest:high - lowest + 1:step]
    if (reached == reached[0]).all():
        return int(reached[0])
    return _settled(value.lookup(np.ascontiguousarray(reached)))


def _settled(value: Value) -> Value:
    return int(value.low) if isinstance(value, FVariable) and value.low == value.high else value


def _all(bits: Sequence[Value]) -> Value:
    if any(isinstance(bit, int) and bit == 0 for bit in bits):
        return 0
    result: Value = 1
    for bit in bits:
        if not isinstance(bit, int):
            result = bit if isinstance(result, int) else result & bit
    return result


def _bits_of(larger: Sequence[Value], width: int) -> list[Value]:
    """The index of the last set entry (0 if none is), as ``width`` bits, lowest first."""
    bits: list[Value] = [0] * width
    for index in range(1, len(larger)):
        for position in range(width):
            bits[position] = _select(larger[index], (index >> position) & 1, bits[position])
    return bits


def _select(key: Value, constant: int, other: Value) -> Value:
    """``constant`` (a bit) if ``key``, else ``other``."""
    if isinstance(key, int):
        return constant if key else other
    if isinstance(other, int):
        if other == constant:
            return constant
        return key if constant else ~key
    return key | other if constant else ~key & other


class _Core:
    """One traced core: alkaid's pipeline and our module around it."""

    def __init__(
        self, network: IntegerNetwork, stages: int, replay: Callable[[_Replay, list[Value]], list[Value]]
    ) -> None:
        self._network = network
        self._stages = stages
        kind, count = network.input, network.features
        formats = [(kind.signed, kind.bits - kind.signed, 0)] * count + [(False, 1, 0)]  # the last one is always 1
        inputs = FVArray.from_kif(*np.array(formats).T, hwconf=_ADDERS)
        *features, one = np.asarray(inputs)
        self._outputs = [_settled(value) for value in replay(_Replay(one), features)]
        traced = [value for value in self._outputs if not isinstance(value, int)]
        if traced:
            self._comb = trace(inputs, traced, keep_dead_inputs=True)

    @property
    def _is_constant(self) -> bool:
        return all(isinstance(value, int) for value in self._outputs)

    def verilog(self, name: str, widths: Sequence[int], logits: int) -> str:
        """The whole core as one self-contained text; ``widths`` of the results that make up the action."""
        modules = [] if self._is_constant else self._pipeline(f"{name}_pipeline")
        return "\n".join([self._shell(name, widths, logits), *modules])

    def _pipeline(self, name: str) -> list[str]:
        # alkaid writes a whole vendor project; only its Verilog is kept, under names of ours.
        with tempfile.TemporaryDirectory() as folder:
            RTLModel(
                self._comb, Path(folder), name, flavor="verilog", n_stages=self._stages, print_latency=False,
                ternary_fuse=False,
            ).write()
            sources = sorted(path for path in (Path(folder) / "src").glob("*.v") if path.stem != f"{name}_wrapper")
            texts = [path.read_text(encoding="utf-8") for path in sources]
        whole = re.sub(r"\blogic(\d+)\b", rf"{name}_logic\1", "\n".join(texts))
        library = [
            path.read_text(encoding="utf-8") for path in sorted(_LIBRARY.glob("*.v"))
            if re.search(rf"^\s*(?:wire.*;\s*)?{path.stem} ?#", whole, re.MULTILINE)
        ]
        whole = "\n".join([whole, *library])
        for path in _LIBRARY.glob("*.v"):
            whole = re.sub(rf"\b{path.stem}\b(?= ?#)", f"{name}_{path.stem}", whole)
        return [whole]

    def _shell(self, name: str, widths: Sequence[int], logits: int) -> str:
        network = self._network
        width = network.features * network.input.bits
        ports = [
            "input wire clk", "input wire in_valid", f"input wire [{width - 1}:0] observation",
            "output wire out_valid", f"output wire [{sum(widths) - 1}:0] action",
        ]
        if logits:
            ports.append(f"output wire [{logits * LOGIT_BITS - 1}:0] logits")
        body = [
            f"reg [{self._stages}:0] valid = {self._stages + 1}'d0;",
            f"always @(posedge clk) valid <= {{valid[{self._stages - 1}:0], in_valid}};",
            f"assign out_valid = valid[{self._stages}];",
        ]
        fields = self._fields()
        body += [] if self._is_constant else self._instance(name)
        pieces = [_extend(field, width) for field, width in zip(fields, widths, strict=False)]
        body.append(f"assign action = {{{', '.join(reversed(pieces))}}};")
        if logits:
            words = ", ".join(_extend(field, LOGIT_BITS) for field in reversed(fields[len(widths):]))
            body.append(f"assign logits = {{{words}}};")
        lines = ",\n".join(f"    {port}" for port in ports)
        return f"module {name} (\n{lines}\n);\n" + "".join(f"    {line}\n" for line in body) + "endmodule\n"

    def _instance(self, name: str) -> list[str]:
        bits, features = self._network.input.bits, self._network.features
        pieces = []
        for index, interval in enumerate(self._comb.inp_qint):
            signed, integers, fractional = interval.kif
            if signed + integers + fractional > 0:
                piece = f"observation[{index * bits - fractional} +: {signed + integers + fractional}]"
                pieces.append(piece if index < features else "1'b1")
        width = sum(sum(interval.kif) for interval in self._comb.out_qint)
        return [
            f"wire [{width - 1}:0] results;",
            f"{name}_pipeline pipeline (.clk(clk), .model_out(results),",
            f"    .model_inp({{{', '.join(reversed(pieces))}}}));",
        ]

    def _fields(self) -> list[_Field]:
        fields: list[_Field] = []
        position = 0
        intervals = iter([] if self._is_constant else self._comb.out_qint)
        for value in self._outputs:
            kif = None if isinstance(value, int) else next(intervals).kif
            fields.append(_Field(position, kif, value if isinstance(value, int) else 0))
            position += 0 if kif is None else sum(kif)
        return fields


@dataclass(frozen=True)
class _Field:
    """One output: where it lies in the pipeline's result and in which format, or its constant value."""

    position: int
    kif: tuple[bool, int, int] | None
    constant: int


def _extend(field: _Field, width: int) -> str:
    """The Verilog of one output, brought to ``width`` bits in units of 1."""
    if field.kif is None:
        return f"{width}'d{field.constant % (1 << width)}"
    (signed, integers, fractional), position = field.kif, field.position
    bits, zeros = signed + integers + fractional, -fractional
    if bits + zeros > width:
        raise ProjectError(f"the outputs need {bits + zeros} bits, more than {width}; use narrower types")
    top = f"results[{position + bits - 1}]" if signed else "1'b0"
    pieces = [f"results[{position} +: {bits}]"]
    if zeros:
        pieces.append(f"{zeros}'d0")
    if width > bits + zeros:
        pieces.insert(0, f"{{{width - bits - zeros}{{{top}}}}}")
    return f"{{{', '.join(pieces)}}}"
