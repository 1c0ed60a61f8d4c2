"""How the grid is trained: the recipes, and the controls that change one thing at a time."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hls4rl.train.methods import PAPER_METHODS

TASKS = ("cartpole", "cartpole1", "acrobot")
"""CartPole-v0 as in the paper, CartPole-v1, whose 500 steps tell apart what is level at 200, and Acrobot-v1."""
CONTROL_TASKS = ("cartpole", "acrobot")
"""The paper's own two."""
WIDTHS = (16, 32, 64, 128, 256)
CONTROL_WIDTHS = (16, 64, 256)
BINARY = ("binaryconnect", "binarynet")
ROUNDED = (*BINARY, "compression", "pruning")

LITERAL: dict[str, Any] = {
    "optimiser": "sgd", "advantage": "return", "entropy": 0.0, "final_rate": 1.0,
    "full_rate_hidden": 4096, "output_gain": 1.0, "episodes": 3000, "real_numbers": True, "raw_observations": True,
    "unit_signs": True,
}
"""Algorithms 1 to 3 and eq. 4 to the letter: θ - η·∂C/∂θ after each episode, every step credited with its trajectory's
return, as it is. On CartPole it does not learn at any of the rates of ``make tune``."""
PAPER: dict[str, Any] = {**LITERAL, "advantage": "trajectory"}
"""The least change of :data:`LITERAL` that learns: the return is held against its running mean and deviation."""
SMALL_STEP: dict[str, Any] = {**PAPER, "learning_rate": 0.01}
"""One small step for all methods, so that fp, compression and pruning are trained alike up to the midpoint."""
FEW_BITS: dict[str, Any] = {**SMALL_STEP, "raw_observations": False, "episodes": 2000}
PLAIN: dict[str, Any] = {
    "advantage": "trajectory", "learning_rate": 1e-3, "entropy": 0.0,
    "final_rate": 1.0, "full_rate_hidden": 4096, "output_gain": 1.0,
}
"""The paper's policy gradient under Adam, on few-bit inputs, rounded as it is deployed."""
STEADY: dict[str, Any] = {"full_rate_hidden": 64}
"""The task file's own, with a lower rate for wide networks: one BN policy in ten with 256 units stayed at -500."""
STEADY_UPDATE: dict[str, Any] = {"advantage": "time-step", "entropy": 0.01}
"""What ``steady`` has in place of VPG's plain update."""
LATE = {"late_rate": 8.0}
"""A step larger by the number of clusters in the second half: what the sum of gradients comes to, without sharing."""


@dataclass(frozen=True)
class Variant:
    """One way to train the grid: the task's own settings with some changed."""

    name: str
    settings: dict[str, Any]
    methods: tuple[str, ...] = PAPER_METHODS
    tasks: tuple[str, ...] = TASKS
    widths: tuple[int, ...] = WIDTHS
    tuned: str | None = None
    """Recipe whose published learning rates it takes; None: as ``settings`` and the task's file have it."""
    pixels: dict[str, Any] = field(default_factory=dict)
    """Settings of the task's ``[pixels]`` that are changed."""


def _control(name: str, settings: dict[str, Any], methods: tuple[str, ...], tuned: str | None, **more: Any) -> Variant:
    usual = {"tasks": CONTROL_TASKS, "widths": CONTROL_WIDTHS, "tuned": tuned}
    return Variant(name, settings, methods, **{**usual, **more})


RECIPES = (
    Variant("paper", PAPER, tuned="paper"),
    Variant("small-step", SMALL_STEP, tasks=CONTROL_TASKS),
    Variant("plain", PLAIN, tasks=CONTROL_TASKS, tuned="plain"),
    Variant("steady", STEADY, tuned="steady"),
)
CONTROLS = (
    _control("paper-late", {**PAPER, **LATE}, ("fp",), "paper", widths=WIDTHS),
    _control("paper-scaled", {**PAPER, "unit_signs": False}, BINARY, "paper", widths=WIDTHS),
    _control("paper-few-bits", {**PAPER, "raw_observations": False}, ("fp", "binarynet", "compression"), "paper",
             widths=(16, 64)),
    _control("paper-rounded", {**PAPER, "real_numbers": False}, ROUNDED, "paper", widths=(16, 64)),
    _control("paper-update", {**PAPER, **STEADY_UPDATE}, ("fp", *BINARY), "paper"),
    _control("paper-literal", LITERAL, ("fp",), "paper-literal", widths=(64,)),
    _control("small-step-late", {**SMALL_STEP, **LATE}, ("fp",), None, widths=WIDTHS),
    _control("small-step-update", {**SMALL_STEP, **STEADY_UPDATE}, BINARY, None),
    _control("few-bits", FEW_BITS, ("fp", "compression", "pruning"), None, tasks=("cartpole",), widths=WIDTHS),
    _control("few-bits-late", {**FEW_BITS, **LATE}, ("fp",), None, tasks=("cartpole",), widths=WIDTHS),
    _control("few-bits-binarynet", FEW_BITS, ("binarynet",), None, tasks=("acrobot",)),
    _control("few-bits-binarynet-update", {**FEW_BITS, **STEADY_UPDATE}, ("binarynet",), None, tasks=("acrobot",)),
    _control("plain-late", {**PLAIN, **LATE}, ("fp",), "plain"),
    _control("plain-reset", {**PLAIN, "reset_at_midpoint": True}, ("fp",), "plain"),
    _control("steady-late", {**STEADY, **LATE}, ("fp",), "steady"),
    _control("steady-reset", {**STEADY, "reset_at_midpoint": True}, ("fp",), "steady"),
)
OWN = Variant("own", {})
"""The settings of the task's file as they are: for tasks beside those of the grid."""
PIXELS = (
    OWN,
    Variant("own-kl", {}, BINARY, pixels={"target_kl": 0.003}),
    Variant("own-reset", {"reset_at_midpoint": True}, ("fp",)),
    Variant("own-late", {"reset_at_midpoint": True, "late_rate": 0.1}, ("fp",)),
)
"""Of a task that is learnt from pixels: all methods as its file has them; the binary ones with a learning rate that
follows how far a batch moves the policy; and full precision with the switch's other effects alone: it forgets the
optimiser's state, as pruning does, and learns at a tenth of the rate besides, as compression does."""
VARIANTS = {variant.name: variant for variant in (*RECIPES, *CONTROLS, *PIXELS)}
