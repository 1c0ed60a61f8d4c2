"""A run with a random policy: what a board is made from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from random_policies import random_policy

from hls4rl.artefact import Artefact, digest
from hls4rl.contract import IntArray
from hls4rl.export import export_policy, read_network
from hls4rl.hls_projects.rtl.pipelined import write_rtl
from hls4rl.policy import Policy
from hls4rl.run import Run
from hls4rl.task import load_task

PART = "ecp5-25f"
STAGES = 3
BITS = load_task("cartpole").observation.bits


def random_observations(count: int, seed: int = 0) -> IntArray:
    top = 1 << (BITS - 1)
    return np.random.default_rng(seed).integers(-top, top, (count, 4))


def make_run(root: Path, seed: int) -> Run:
    return run_of(random_policy("cartpole", "binarynet", hidden=8, seed=seed), root)


def run_of(policy: Policy, root: Path) -> Run:
    run = Run(policy.spec, root)
    with Artefact(run.policy.parent, {"spec": policy.spec.to_inputs()}).build() as place:
        policy.save(place / run.policy.name)
    made_from = {"policy": digest(run.policy)}
    with Artefact(run.onnx.parent, made_from).build() as place:
        export_policy(policy, place)
    with Artefact(run.part(PART), made_from).build() as place:
        write_rtl(read_network(run.qonnx), place, STAGES)
    return run
