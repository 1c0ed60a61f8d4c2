"""Random graphs over every operator that imports accept, and some that they must refuse."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

DOMAINS = ("qonnx.custom_op.general", "finn.custom_op.general", "onnx.brevitas")
ROUNDINGS = ("ROUND", "FLOOR", "CEIL", "DOWN", "UP", "HALF_UP", "HALF_DOWN", "HALF_EVEN", "round")


class RandomGraph:
    """One graph, drawn from ``seed``; the same for the same seed."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.opset = int(self.rng.choice([9, 10, 11, 13, 14, 18, 20, 21]))
        self.domain = str(self.rng.choice(DOMAINS)) if self.maybe(0.3) else DOMAINS[0]
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, np.ndarray[Any, Any]] = {}
        self.features = int(self.rng.integers(1, 5))
        shapes: list[tuple[int, ...]] = [(1, self.features), (self.features,), (1, 1, self.features)]
        self.shape = shapes[self.rng.choice(3, p=[0.8, 0.1, 0.1])]
        self.input_shape = self.shape
        self.tensor = "observation"
        self._draw()

    def maybe(self, chance: float) -> bool:
        """Whether something of this chance happens."""
        return bool(self.rng.random() < chance)

    def _draw(self) -> None:
        if len(self.shape) == 3:
            self._add("Flatten", shape=(1, self.features), axis=1)
        if self.maybe(0.03):
            self._add("Cast", to=int(self.rng.choice([1, 6, 11])))
        self._quantise(first=True)
        for _ in range(int(self.rng.choice([0, 1, 2], p=[0.25, 0.5, 0.25]))):
            self._moves()
            before = self.tensor, self.shape
            self._dense(int(self.rng.integers(1, 5)))
            self._operations(int(self.rng.integers(0, 4)))
            self._quantise()
            if self.maybe(0.3):
                self._branch(*before)
            if self.maybe(0.2):
                self._operations(1)
        self._moves()
        self._dense(int(self.rng.integers(1, 5)))
        if self.maybe(0.2):
            self._operations(int(self.rng.integers(0, 2)))
        if self.maybe(0.3):
            self._quantise()
        if self.maybe(0.1) and len(self.shape) == 2:
            self._add("Softmax", axis=1)

    def _branch(self, tensor: str, shape: tuple[int, ...]) -> None:
        """What was there before a layer, or another layer of it, meets what the layer made."""
        first, made = self.tensor, self.shape
        kind = str(self.rng.choice(["Add", "Sub", "Concat"]))
        self.tensor, self.shape = tensor, shape
        if self.maybe(0.6):
            self._dense(made[-1])
            self._operations(int(self.rng.integers(0, 2)))
            self.nodes += [self._like(first)] if self.maybe(0.7) else []
        second = self.tensor
        if kind == "Concat":
            self.tensor = self._node("Concat", [first, second], axis=len(made) - 1)
            self.shape = (*made[:-1], made[-1] + self.shape[-1])
        else:
            self.tensor, self.shape = self._node(kind, [first, second]), made
        if self.maybe(0.5):
            self._quantise()

    def _like(self, tensor: str) -> onnx.NodeProto:
        """The quantiser that made ``tensor``, once more, on the last tensor."""
        again = onnx.NodeProto()
        again.CopyFrom(next(node for node in self.nodes if tensor in node.output))
        if again.op_type in ("Quant", "IntQuant", "BipolarQuant"):
            again.input[0] = self.tensor
        else:
            again = helper.make_node("Identity", [self.tensor], ["?"])
        self.tensor = again.output[0] = f"t{len(self.nodes)}"
        again.name = f"again_{len(self.nodes)}"
        return again

    # Values

    def scale(self) -> float:
        kind = self.rng.choice(4, p=[0.4, 0.3, 0.25, 0.05])
        if kind == 0:
            return float(2.0 ** self.rng.integers(-4, 2))
        if kind == 1:
            return float(np.float32(self.rng.uniform(0.03, 2.0)))
        if kind == 2:
            return float(self.rng.integers(1, 8)) * 2.0 ** float(self.rng.integers(-4, 0))
        return float(self.rng.choice([0.0, -0.5, np.nan, np.inf, 1e-30, 1e20]))

    def scales(self) -> Any:
        return [self.scale() for _ in range(self.shape[-1])] if self.maybe(0.1) else self.scale()

    def numbers(self, size: Any = ()) -> Any:
        how = self.rng.choice(4)
        if how == 0:
            return self.rng.normal(size=size)
        if how == 1:
            return self.rng.integers(-4, 5, size=size) * 0.25
        if how == 2:
            return self.rng.integers(-3, 4, size=size) * self.scale_or_one()
        return np.zeros(size)

    def scale_or_one(self) -> float:
        value = self.scale()
        return value if np.isfinite(value) and 1e-3 < value < 10 else 1.0

    def operand(self) -> Any:
        """A constant that broadcasts with the tensor: one an output, or one for all."""
        return self.numbers(self.shape[-1] if self.maybe(0.6) else ())

    # Nodes

    def constant(self, value: Any, kind: Any = np.float32) -> str:
        name = f"c{len(self.constants) + len(self.nodes)}"
        with np.errstate(over="ignore"):
            array = np.asarray(value).astype(kind)
        if self.maybe(0.1):
            self._constant_node(name, array)
        else:
            self.constants[name] = array
        return name

    def _constant_node(self, name: str, array: Any) -> None:
        options: dict[str, Any] = {"value": numpy_helper.from_array(array)}
        if self.opset >= 12 and array.dtype == np.float32 and array.ndim < 2 and self.maybe(0.7):
            options = {"value_floats": array.tolist()} if array.ndim else {"value_float": float(array)}
        self.nodes.append(helper.make_node("Constant", [], [name], name=self._name("Constant"), **options))

    def _name(self, kind: str) -> str:
        return "" if self.maybe(0.1) else f"{kind}_{len(self.nodes)}"

    def _node(self, kind: str, inputs: list[str], domain: str = "", **attributes: Any) -> str:
        output = f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [output], name=self._name(kind), domain=domain, **attributes))
        return output

    def _add(
        self, kind: str, *more: str, shape: tuple[int, ...] | None = None, domain: str = "", **attributes: Any
    ) -> None:
        self.tensor = self._node(kind, [self.tensor, *more], domain, **attributes)
        self.shape = self.shape if shape is None else shape

    def _quantise(self, first: bool = False) -> None:
        how = int(self.rng.choice(3, p=[0.85, 0.0, 0.15] if first else [0.7, 0.12, 0.18]))
        if how == 1:
            self._add("BipolarQuant", self.constant(self.scales()), domain=self.domain)
        elif how == 2 and self.opset >= 10:
            self._qdq(first)
        elif not first and self.maybe(0.05):
            self._trunc()
        else:
            self._add(*self._quant(self.scale() if first else self.scales(), first), **self._quant_options(first))

    def _trunc(self) -> None:
        inputs = [self.constant(item) for item in (self.scale_or_one(), 0.0, 6.0, float(self.rng.integers(2, 6)))]
        self._add("Trunc", *inputs, domain=self.domain, rounding_mode=str(self.rng.choice(ROUNDINGS)))

    def _quant(self, scale: Any, plain: bool) -> list[str]:
        zero = 0.0 if plain or self.maybe(0.8) else float(self.rng.choice([1, 3, -2, 0.5]))
        bits = float(self.rng.integers(2 if plain else 1, 5)) if self.maybe(0.98) else 2.5
        kind = "IntQuant" if self.maybe(0.1) else "Quant"
        return [kind, self.constant(scale), self.constant(zero), self.constant(bits)]

    def _quant_options(self, plain: bool) -> dict[str, Any]:
        rounding = "ROUND" if (plain and self.maybe(0.95)) or self.maybe(0.4) else str(self.rng.choice(ROUNDINGS))
        return {
            "signed": int(self.maybe(0.6)), "narrow": int(self.maybe(0.0 if plain else 0.2)), "rounding_mode": rounding,
            "domain": self.domain if self.maybe(0.99) else "somebody.else",
        }

    def _qdq(self, first: bool) -> None:
        kind = np.int8 if self.maybe(0.5) else np.uint8
        scale = self.constant(self.scale() * (0.05 if not first else 1.0))
        zero = self.constant(0 if first or self.maybe(0.6) else int(self.rng.integers(0, 9)), kind)
        self._add("QuantizeLinear", scale, zero)
        self._add("DequantizeLinear", scale, zero)

    def _weight(self, shape: tuple[int, int], transposed: bool) -> str:
        stored = shape[::-1] if transposed else shape
        scale: Any = self.scale_or_one()
        if self.maybe(0.15):
            scale = np.array([self.scale_or_one() for _ in range(shape[1])]).reshape((-1, 1) if transposed else (1, -1))
        how = self.rng.choice(4, p=[0.6, 0.15, 0.1, 0.15])
        if how == 1:
            return self._node("BipolarQuant", [self.constant(self.rng.normal(size=stored)), self.constant(scale)],
                              self.domain)
        if how == 2:
            return self.constant(self.rng.integers(-3, 4, size=stored) * 0.25)
        if how == 3 and self.opset >= 10 and np.ndim(scale) == 0:
            kind = np.int8
            inputs = [self.constant(self.rng.integers(-7, 8, size=stored), kind), self.constant(scale)]
            return self._node("DequantizeLinear", [*inputs, self.constant(int(self.rng.choice([0, 1])), kind)])
        steps = self.rng.normal(size=stored) * 3 if self.maybe(0.7) else self.rng.integers(-3, 4, size=stored)
        values = steps * scale
        options = {"signed": 1, "narrow": int(self.maybe(0.3)), "rounding_mode": str(self.rng.choice(ROUNDINGS[:2]))}
        inputs = [self.constant(item) for item in (values, scale, 0.0, float(self.rng.integers(1, 5)))]
        return self._node("Quant", inputs, self.domain, **options)

    def _dense(self, outputs: int) -> None:
        shape = (self.shape[-1], outputs)
        made = (*self.shape[:-1], outputs)
        if self.maybe(0.5) and len(self.shape) == 2:
            transposed = self.maybe(0.5)
            options: dict[str, Any] = {"transB": int(transposed)}
            if self.maybe(0.2):
                options["alpha"] = float(self.rng.choice([0.5, 2.0, -1.0, 0.0]))
                options["beta"] = float(self.rng.choice([0.5, 3.0]))
            more = [self._weight(shape, transposed)]
            if self.maybe(0.6) or self.opset < 11:
                more.append(self._bias(outputs))
            self._add("Gemm", *more, shape=made, **options)
            return
        self._add("MatMul", self._weight(shape, False), shape=made)
        if self.maybe(0.6):
            bias = self._bias(outputs)
            inputs = [bias, self.tensor] if self.maybe(0.3) else [self.tensor, bias]
            self.tensor = self._node("Add", inputs)

    def _bias(self, outputs: int) -> str:
        if self.maybe(0.5):
            return self.constant(self.numbers(outputs))
        inputs = [self.constant(item) for item in (self.rng.normal(size=outputs), self.scale_or_one(), 0.0, 8.0)]
        return self._node("Quant", inputs, self.domain, signed=1, narrow=0, rounding_mode="ROUND")

    def _moves(self) -> None:
        if self.maybe(0.85):
            return
        width, rank = self.shape[-1], len(self.shape)
        how = self.rng.choice(["Identity", "Dropout", "Reshape", "Gather", "Slice", "Transpose", "Squeeze"])
        if how in ("Identity", "Dropout"):
            self._add(how)
        elif how == "Reshape":
            self._add("Reshape", self.constant([*self.shape[:-1], -1], np.int64))
        elif how == "Gather":
            places = self.rng.integers(0, width, size=int(self.rng.integers(1, 5)))
            self._add("Gather", self.constant(places, np.int64), shape=(*self.shape[:-1], len(places)), axis=rank - 1)
        elif how == "Slice" and self.opset >= 10:
            step = int(self.rng.choice([1, 2, -1]))
            ends = (width - 1, -width - 9) if step < 0 else (0, width)
            more = [self.constant([item], np.int64) for item in (*ends, rank - 1, step)]
            self._add("Slice", *more, shape=(*self.shape[:-1], len(range(width)[::step])))
        elif how == "Transpose" and rank == 2:
            self._add("Transpose", perm=[1, 0])
            self._add("Transpose", perm=[1, 0])
        elif how == "Squeeze" and rank == 2:
            more = [[self.constant([0], np.int64)], {}] if self.opset >= 13 else [[], {"axes": [0]}]
            self._add("Squeeze", *more[0], **more[1])
            self._add("Unsqueeze", *more[0], **more[1])

    def _operations(self, count: int) -> None:
        kinds = ["Relu", "Clip", "Tanh", "Sigmoid", "LeakyRelu", "Floor", "Ceil", "Round", "Min", "Max", "Cast", "Mul",
                 "Div", "Add", "Sub", "Neg", "BatchNormalization", "Softplus"]
        weights = np.array([5, 4, 2, 2, 1, 1, 1, 1, 1, 1, 2, 3, 2, 3, 2, 1, 4, 0.2])
        for kind in self.rng.choice(kinds, size=count, p=weights / weights.sum()):
            self._operation(str(kind))

    def _operation(self, kind: str) -> None:
        if kind == "Clip":
            self._clip()
        elif kind == "LeakyRelu":
            self._add(kind, alpha=float(self.rng.choice([0.01, 0.25, 0.0, -0.5], p=[0.4, 0.4, 0.15, 0.05])))
        elif kind in ("Round",) and self.opset < 11:
            self._add("Floor")
        elif kind == "Cast":
            self._add(kind, to=int(self.rng.choice([1, 6, 7, 9, 10, 11])))
            self._add(kind, to=1)
        elif kind in ("Mul", "Div", "Add", "Sub", "Min", "Max"):
            constant = self.constant(self.operand() if kind not in ("Min", "Max") else self.numbers())
            inputs = [constant, self.tensor] if self.maybe(0.3) else [self.tensor, constant]
            self.tensor = self._node(kind, inputs)
        elif kind == "BatchNormalization" and len(self.shape) > 1:
            width = self.shape[1]
            variance = self.rng.random(width) + 0.1
            if self.maybe(0.3):
                variance = self.rng.choice([0.0, 1.0, 0.25, -1.0], size=width)
            options: dict[str, Any] = {"epsilon": float(self.rng.choice([1e-5, 0.0, 0.25]))} if self.maybe(0.6) else {}
            if self.opset >= 14 and self.maybe(0.05):
                options["training_mode"] = 1
            more = [self.constant(self.numbers(width)) for _ in range(3)]
            self._add(kind, *more, self.constant(variance), **options)
        elif kind != "BatchNormalization":
            self._add(kind)

    def _clip(self) -> None:
        low, high = sorted(float(item) for item in self.numbers(2))
        if self.maybe(0.15):
            low, high = high, low
        if self.opset >= 11:
            given = self.rng.choice(3)
            more = [self.constant(low) if given != 1 else "", self.constant(high) if given != 2 else ""]
            self._add("Clip", *more)
        else:
            self._add("Clip", min=low, max=high)

    def save(self, path: Path) -> Path:
        """Write the graph to ``path``."""
        sizes: list[Any] = list(self.input_shape)
        if len(sizes) > 1 and self.maybe(0.4):
            sizes[0] = "N"
        inputs = [helper.make_tensor_value_info("observation", TensorProto.FLOAT, sizes)]
        initialisers = [numpy_helper.from_array(value, name) for name, value in self.constants.items()]
        listed = self.maybe(0.2)
        if listed:
            inputs += [helper.make_tensor_value_info(item.name, item.data_type, item.dims) for item in initialisers]
        outputs = [helper.make_tensor_value_info(self.tensor, TensorProto.FLOAT, None)]
        stale = [helper.make_tensor_value_info("t0", TensorProto.FLOAT, [7, 9])] if self.maybe(0.1) else []
        graph = helper.make_graph(self.nodes, "random", inputs, outputs, initialisers, value_info=stale)
        opsets = [helper.make_opsetid("", self.opset), helper.make_opsetid(self.domain, 1)]
        onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=3 if listed else 8), path)
        return path
