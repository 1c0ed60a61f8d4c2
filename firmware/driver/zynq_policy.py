"""Drives the policy on a Zynq board from PYNQ's Python: copy this file, axi_stream_driver.py and the bitstream there.

    from zynq_policy import ZynqPolicy
    policy = ZynqPolicy("policy.bit", "project.json")
    integers = policy.action(observation_integers)
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np


class ZynqPolicy:
    """One policy behind hls4ml's AXI streams."""

    def __init__(self, bitstream: str, description: str, overlay: Any = None) -> None:
        """Load ``bitstream``; ``description`` is the path of the project's project.json.

        ``overlay`` replaces hls4ml's NeuralNetworkOverlay, for instance by a simulation.
        """
        with open(description, encoding="utf-8") as file:
            project = json.load(file)
        self._lsb, self._logit_lsb = project["observation_lsb"], project["logit_lsb"]
        self._output = project["output"]
        if overlay is None:
            from axi_stream_driver import NeuralNetworkOverlay  # type: ignore[import-not-found]

            overlay = NeuralNetworkOverlay(bitstream, (1, project["features"]), (1, project["outputs"]))
        self._overlay = overlay

    def logits(self, observation: Any) -> Any:
        """The network's integer outputs, shape (outputs,), of an integer observation, shape (features,)."""
        values = np.asarray(observation, dtype=np.float32)[None] * np.float32(self._lsb)
        logits = np.asarray(self._overlay.predict(values), dtype=np.float64).reshape(-1)
        return np.rint(logits / self._logit_lsb).astype(np.int64)

    def action(self, observation: Any) -> list[int]:
        """The action's integers: of each choice the argmax of its logits (ties to the lowest index; a single logit is
        held against 0), of a continuous action the outputs."""
        outputs = self.logits(observation)
        if self._output["type"] == "Values":
            return [int(value) for value in outputs]
        groups = self._output["groups"] or [len(outputs)]
        logits = np.split(outputs, np.cumsum(groups)[:-1])
        return [int(np.argmax(group)) if len(group) > 1 else int(group[0] > 0) for group in logits]
