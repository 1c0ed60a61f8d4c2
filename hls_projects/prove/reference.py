"""The integer network as plain behavioural Verilog: one line a sum, nothing shared, nothing clever.

It is a second description of what the network means, for tools that prove equality; it owes nothing to the
generator of the RTL.
"""

from __future__ import annotations

import math

from hls4rl.contract import Argmax, FixedPoint, MultiplyShift, Sign, Table
from hls4rl.network import IntegerNetwork, Layer, plain

REFERENCE = "policy_reference"
"""Name of the module: input ``observation``, outputs ``action`` and ``logits``, no clock."""

_Signal = tuple[str, int, int]
"""Name of a signed wire, the least and the largest value that it can have."""


def reference_verilog(network: IntegerNetwork, logit_bits: int) -> str:
    """The whole network as a module without registers.

    Args:
        logit_bits: width of each logit; logit 0 lies in the low bits of ``logits``.

    Raises:
        ValueError: a logit does not fit.
    """
    network = plain(network)
    kind, features = network.input, network.features
    action_bits = sum(item.bits for item in network.action_types)
    lines, values, lsb = [], [], kind.lsb
    for index in range(features):
        width = _width(kind.minimum, kind.maximum)
        lines.append(f"wire signed [{width - 1}:0] x{index} = observation[{index * kind.bits} +: {kind.bits}];")
        values.append((f"x{index}", kind.minimum, kind.maximum))
    for number, layer in enumerate(network.layers):
        sums = [_sum(lines, f"s{number}_{unit}", layer, unit, values, lsb) for unit in range(len(layer.weight))]
        unit_lsb = layer.sum_lsb(lsb)
        values = [_activated(lines, f"h{number}_{unit}", layer, item, unit_lsb) for unit, item in enumerate(sums)]
        lsb = layer.result_lsb(lsb)
    for name, low, high in values:
        if _width(low, high) > logit_bits:
            raise ValueError(f"logit {name} does not fit {logit_bits} bits")
    fields = [f"{{{{{logit_bits - _width(low, high)}{{{name}[{_width(low, high) - 1}]}}}}, {name}}}"
              if _width(low, high) < logit_bits else name for name, low, high in reversed(values)]
    lines += [f"assign logits = {{{', '.join(fields)}}};", *_action(network, values)]
    ports = (
        f"    input [{features * kind.bits - 1}:0] observation,\n    output [{action_bits - 1}:0] action,\n"
        f"    output [{len(values) * logit_bits - 1}:0] logits\n"
    )
    return f"module {REFERENCE} (\n{ports});\n" + "".join(f"    {line}\n" for line in lines) + "endmodule\n"


def _sum(lines: list[str], name: str, layer: Layer, unit: int, values: list[_Signal], lsb: float) -> _Signal:
    one = layer.sum_lsb(lsb)
    weights = [int(weight) * int(lsb * layer.weight_lsb / one) for weight in layer.weight[unit]]
    bias = int(layer.bias[unit]) * int(layer.bias_lsb / one)
    ends = [(weight * low, weight * high) for weight, (_, low, high) in zip(weights, values, strict=True)]
    low, high = bias + sum(min(pair) for pair in ends), bias + sum(max(pair) for pair in ends)
    # Every term of the sum fits the width too, so that Verilog's rules of widths do not matter.
    constants = [low, high, bias, *weights, *(end for pair in ends for end in pair)]
    largest = max(abs(item) for item in constants)
    width = _width(-largest, largest)
    terms = [
        f"{_literal(weight, width)} * {value}" for weight, (value, _, _) in zip(weights, values, strict=True) if weight
    ] + [_literal(bias, width)]
    lines.append(f"wire signed [{width - 1}:0] {name}_wide = {' + '.join(terms)};")
    lines.append(f"wire signed [{_width(low, high) - 1}:0] {name} = {name}_wide;")
    return name, low, high


def _activated(lines: list[str], name: str, layer: Layer, item: _Signal, lsb: float) -> _Signal:
    source = item[0]
    kind = layer.activation
    if kind is None:
        return item
    assert not isinstance(kind, MultiplyShift)
    if isinstance(kind, Sign):
        lines.append(f"wire signed [1:0] {name} = {source} >= 0 ? 2'sd1 : -2'sd1;")
        return name, -1, 1
    if isinstance(kind, Table):
        place = _cut(lines, f"{name}_place", kind.input, item, round(math.log2(kind.input.lsb / lsb)), layer.rounding)
        return _look_up(lines, name, kind, place[0])
    return _cut(lines, name, kind, item, round(math.log2(kind.lsb / lsb)), layer.rounding)


def _look_up(lines: list[str], name: str, kind: Table, place: str) -> _Signal:
    width = _width(kind.minimum, kind.maximum)
    lines += [f"reg signed [{width - 1}:0] {name};", "always @*", f"    case ({place})"]
    places = _width(kind.input.minimum, kind.input.maximum)
    lines += [
        f"        {_literal(index, places)}: {name} = {_literal(value, width)};"
        for index, value in enumerate(kind.values, start=kind.input.minimum)
    ]
    lines += [f"        default: {name} = {width}'sdx;", "    endcase"]
    return name, kind.minimum, kind.maximum


def _cut(lines: list[str], name: str, kind: FixedPoint, item: _Signal, shift: int, rounding: str) -> _Signal:
    """Floor to the unit of ``kind``, 2^shift of the sum's, or round half to even, then saturate."""
    source, low, high = item
    if rounding == "ROUND" and shift > 0:
        # The floor of the sum, a little less than a half and the bit that says odd.
        half = 1 << (shift - 1)
        width = _width(low, high + half)
        odd = f"{source}_odd"
        lines += [
            f"wire signed [{width - 1}:0] {odd} = {source} >>> {shift};",
            f"wire signed [{width - 1}:0] {source}_up = {source} + {_literal(half - 1, width)} + "
            f"({odd}[0] ? {_literal(1, width)} : {_literal(0, width)});",
        ]
        source, low, high = f"{source}_up", low, high + half
    low, high = (end >> shift if shift >= 0 else end << -shift for end in (low, high))
    width = _width(min(low, kind.minimum, -1), max(high, kind.maximum, 0))
    wide = f"wire signed [{width + max(shift, 0) - 1}:0] {name}_wide = {source};"
    shifted = f"{name}_wide >>> {shift}" if shift >= 0 else f"{name}_wide <<< {-shift}"
    lines += [
        wide,
        f"wire signed [{width - 1}:0] {name}_floor = {shifted};",
        f"wire signed [{width - 1}:0] {name}_cut = {name}_floor < {_literal(kind.minimum, width)} ? "
        f"{_literal(kind.minimum, width)} : {name}_floor > {_literal(kind.maximum, width)} ? "
        f"{_literal(kind.maximum, width)} : {name}_floor;",
        f"wire signed [{_width(kind.minimum, kind.maximum) - 1}:0] {name} = {name}_cut;",
    ]
    return name, kind.minimum, kind.maximum


def _action(network: IntegerNetwork, values: list[_Signal]) -> list[str]:
    """The action's integers, the first one lowest: of each group its choice, or the outputs themselves."""
    if not isinstance(network.output, Argmax):
        widths = [kind.bits for kind in network.action_types]
        fields = [f"{name}[{width - 1}:0]" for (name, _, _), width in zip(values, widths, strict=True)]
        return [f"assign action = {{{', '.join(reversed(fields))}}};"]
    lines, start = list[str](), 0
    choices: list[str] = []
    for size, kind in zip(network.output.sizes(len(values)), network.action_types, strict=True):
        choice = f"choice_{len(choices)}"
        lines += _argmax(values[start:start + size], choice, kind.bits)
        choices.append(choice)
        start += size
    return [*lines, f"assign action = {{{', '.join(reversed(choices))}}};"]


def _argmax(values: list[_Signal], choice: str, bits: int) -> list[str]:
    """Action k wins if its logit is above all before it and not below any after it; a single one if it's above 0."""
    if len(values) == 1:
        return [f"wire {choice} = {values[0][0]} > 0;"]
    lines, chosen = [], f"{bits}'d0"
    for index in range(1, len(values)):
        name = values[index][0]
        others = [f"{name} > {other}" for other, _, _ in values[:index]]
        others += [f"{name} >= {other}" for other, _, _ in values[index + 1:]]
        lines.append(f"wire {choice}_{index} = {' && '.join(others)};")
        chosen = f"{choice}_{index} ? {bits}'d{index} : {chosen}"
    return [*lines, f"wire [{bits - 1}:0] {choice} = {chosen};"]


def _literal(value: int, width: int) -> str:
    return f"-{width}'sd{-value}" if value < 0 else f"{width}'sd{value}"


def _width(low: int, high: int) -> int:
    """Bits of two's complement that hold low … high."""
    return 1 + max((-low - 1).bit_length() if low < 0 else 0, high.bit_length() if high > 0 else 0)
