"""The integer network as plain behavioural Verilog: one line a sum, nothing shared, nothing clever.

It is a second description of what the network means, for tools that prove equality; it owes nothing to the
generator of the RTL.
"""

from __future__ import annotations

import math

from hls4rl.contract import FixedPoint, MultiplyShift, Sign
from hls4rl.network import IntegerNetwork, Layer, plain

REFERENCE = "policy_reference"
"""Name of the module: input ``observation``, outputs ``action`` and ``logits``, no clock."""

_Signal = tuple[str, int, int]
"""Name of a signed wire, the least and the largest value that it can have."""


def reference_verilog(network: IntegerNetwork, action_bits: int, logit_bits: int) -> str:
    """The whole network as a module without registers.

    Args:
        action_bits: width of ``action``.
        logit_bits: width of each logit; logit 0 lies in the low bits of ``logits``.

    Raises:
        ValueError: a logit does not fit.
    """
    network = plain(network)
    kind, features = network.input, network.features
    lines, values, lsb = [], [], kind.lsb
    for index in range(features):
        lines.append(f"wire signed [{kind.bits - 1}:0] x{index} = observation[{index * kind.bits} +: {kind.bits}];")
        values.append((f"x{index}", kind.minimum, kind.maximum))
    for number, layer in enumerate(network.layers):
        sums = [_sum(lines, f"s{number}_{unit}", layer, unit, values, lsb) for unit in range(len(layer.weight))]
        unit_lsb = layer.sum_lsb(lsb)
        values = [_activated(lines, f"h{number}_{unit}", layer, item, unit_lsb) for unit, item in enumerate(sums)]
        lsb = unit_lsb if layer.activation is None else layer.activation.lsb
    for name, low, high in values:
        if _width(low, high) > logit_bits:
            raise ValueError(f"logit {name} does not fit {logit_bits} bits")
    fields = [f"{{{{{logit_bits - _width(low, high)}{{{name}[{_width(low, high) - 1}]}}}}, {name}}}"
              if _width(low, high) < logit_bits else name for name, low, high in reversed(values)]
    lines += [f"assign logits = {{{', '.join(fields)}}};", *_argmax(values, action_bits)]
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
    # Every part of the sum fits the width too, so that Verilog's rules of widths do not matter.
    parts = [low, high, bias, *weights, *(end for pair in ends for end in pair)]
    largest = max(abs(part) for part in parts)
    width = _width(-largest, largest)
    terms = [_literal(bias, width)] + [
        f"{_literal(weight, width)} * {value}" for weight, (value, _, _) in zip(weights, values, strict=True) if weight
    ]
    lines.append(f"wire signed [{width - 1}:0] {name}_wide = {' + '.join(terms)};")
    lines.append(f"wire signed [{_width(low, high) - 1}:0] {name} = {name}_wide;")
    return name, low, high


def _activated(lines: list[str], name: str, layer: Layer, item: _Signal, lsb: float) -> _Signal:
    source, low, high = item
    kind = layer.activation
    if kind is None:
        return item
    assert not isinstance(kind, MultiplyShift)
    if isinstance(kind, Sign):
        lines.append(f"wire signed [1:0] {name} = {source} >= 0 ? 2'sd1 : -2'sd1;")
        return name, -1, 1
    return _cut(lines, name, kind, source, low, high, round(math.log2(kind.lsb / lsb)))


def _cut(lines: list[str], name: str, kind: FixedPoint, source: str, low: int, high: int, shift: int) -> _Signal:
    """Floor to the unit of ``kind``, 2^shift of the sum's, then saturate."""
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


def _argmax(values: list[_Signal], action_bits: int) -> list[str]:
    """Action k wins if its logit is larger than all before it and none after it is larger."""
    lines, chosen = [], f"{action_bits}'d0"
    for index in range(1, len(values)):
        name = values[index][0]
        others = [f"{name} > {other}" for other, _, _ in values[:index]]
        others += [f"{name} >= {other}" for other, _, _ in values[index + 1:]]
        lines.append(f"wire wins_{index} = {' && '.join(others)};")
        chosen = f"wins_{index} ? {action_bits}'d{index} : {chosen}"
    return [*lines, f"assign action = {chosen};"]


def _literal(value: int, width: int) -> str:
    return f"-{width}'sd{-value}" if value < 0 else f"{width}'sd{value}"


def _width(low: int, high: int) -> int:
    """Bits of two's complement that hold low … high."""
    return 1 + max((-low - 1).bit_length() if low < 0 else 0, high.bit_length() if high > 0 else 0)
