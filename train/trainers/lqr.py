"""A regulator from the simulator's model: for tasks of MuJoCo that ask for it, and policies of one matrix."""

from __future__ import annotations

from hls4rl.policy import PolicySpec
from hls4rl.task import Task
from hls4rl.train.trainers import Trainer


def _refusal(task: Task, spec: PolicySpec) -> str | None:
    if task.lqr is None:
        return "its file has no [lqr]; use another trainer, or see studies/records/tasks/humanoid.toml"
    if spec.method != "fp" or spec.hidden:
        return "a regulator is one matrix of fixed-point weights; take METHOD=fp HIDDEN=0"
    if task.network.weight_integer_bits is None or task.network.bias_integer_bits is None:
        return "a regulator is made for one format; give network.weight_integer_bits and network.bias_integer_bits"
    return None


TRAINER = Trainer(6, "lqr.trainer", _refusal, wanted=lambda task: task.lqr is not None, by_episodes=False)
