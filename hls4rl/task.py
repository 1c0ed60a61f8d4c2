"""A task: one TOML file that says what to control, how to see it, how to train and what to build.

``hls_projects/tasks/<name>.toml`` documents each key. Nothing here knows any particular task.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import re
import tomllib
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

from hls4rl import registry
from hls4rl.actions import SQUASHES, Action, Actions, actions_of
from hls4rl.contract import CURVES, FloatArray, IntArray, is_power_of_two
from hls4rl.errors import ProjectError
from hls4rl.guard import examine, make_guarded
from hls4rl.observations import AUTO, Converter, Observation, feature_names, features_of, flatten
from hls4rl.plain import build, read_toml
from hls4rl.wrappers import check_wrappers, draw_without_screen

TASK_DIRECTORY = Path(__file__).resolve().parent / "hls_projects" / "tasks"
"""Where the shipped tasks' TOML files lie, and where runs are written."""

ADVANTAGES = ("time-step", "trajectory", "return")
OPTIMISERS = ("adam", "sgd")
ALGORITHMS = ("ars", "es")


@dataclass(frozen=True)
class Network:
    """Number formats of the policies that are not binary, and of the biases; None: what the data ask for, layer by
    layer (:mod:`hls4rl.train.calibration`), and 3 while training."""

    activation: str = "relu"
    """Activation of hidden layers where it isn't a sign; one of :data:`hls4rl.contract.CURVES`."""
    weight_integer_bits: int | None = None
    activation_integer_bits: int | None = None
    bias_integer_bits: int | None = None


@dataclass(frozen=True)
class Training:
    """Settings of vanilla policy gradient (paper eq. 4) and of the five methods."""

    episodes: int = 2000
    """Episodes of one policy; compression and pruning switch half-way."""
    seeds: int = 5
    """Policies trained when no ``SEED`` is given; the best by validation is deployed."""
    trainer: str = "auto"
    """Which of :mod:`hls4rl.train.trainers` trains; ``auto``: the one that the file has a section for, or the quickest
    that can."""
    learning_rate: float = 5e-3
    """The optimiser's step size at the first episode."""
    optimiser: str = "adam"
    """``adam``, or ``sgd``: the paper's θ - η·∂C/∂θ, without momentum."""
    discount: float = 1.0
    """Discount of the return-to-go, 0 to 1."""
    entropy: float = 0.01
    """Weight of the entropy bonus."""
    baseline_rate: float = 0.1
    """Rate of the exponential averages (mean and deviation of the return-to-go per time step)."""
    full_rate_hidden: int = 128
    """Networks with more hidden units than this learn at a rate that falls as one over their number."""
    final_rate: float = 0.0
    """The learning rate falls in a straight line to this share of it at the last episode."""
    advantage: str = "time-step"
    """What a step's gradient is multiplied by (:mod:`hls4rl.train.vpg.advantage`): time-step, trajectory or return."""
    output_gain: float = 0.1
    """Factor on the first weights of the output layer, where these are not binary."""
    unit_signs: bool = False
    """Binary weights of ±1 instead of signs scaled by about 1/√fan-in (a control of the paper's claims)."""
    reset_at_midpoint: bool = False
    """Forget the optimiser's state half-way in every method (a control of the paper's claims)."""
    late_rate: float = 1.0
    """Factor on the learning rate in the second half of the episodes (a control of the paper's claims)."""
    real_numbers: bool = False
    """Train in real numbers all that a method does not binarise, as the paper does, and round only what is deployed."""
    raw_observations: bool = False
    """Train on the environment's own floats, as the paper does; such a policy is measured and never deployed."""
    validation_episodes: int = 100
    """Greedy episodes that choose among seeds, on other start states than the final evaluation."""
    evaluation_episodes: int | None = None
    """Episodes of the final evaluation; None: 100."""

    def rate(self, hidden: tuple[int, ...], episode: int) -> float:
        """The step size after ``episode`` (from 0), for a network with ``hidden`` units in its layers."""
        factor = 1.0 - (1.0 - self.final_rate) * episode / self.episodes
        if episode >= self.episodes // 2:
            factor *= self.late_rate
        return self.learning_rate * min(1.0, self.full_rate_hidden / max(hidden, default=1)) * factor


@dataclass(frozen=True)
class Pixels:
    """What training from pixels needs beyond :class:`Training` (:mod:`hls4rl.train.pixels.trainer`).

    ``training.baseline_rate`` and ``training.advantage`` mean nothing there.
    """

    num_envs: int = 16
    """Games that are played side by side."""
    num_steps: int = 128
    """Steps of each game between two batches."""
    update_epochs: int = 1
    """Times that a batch is learnt from."""
    num_minibatches: int = 1
    """Updates that a batch is divided among, in each pass."""
    clip_coef: float = 0.2
    """How far an action's probability may move in one direction while a batch lasts, as a share of it."""
    max_grad_norm: float = 1.0
    """Gradients are shortened to this Euclidean length."""
    latent_limit: float = 1.0
    """Latent binary weights are clipped to ± this value, in place of the paper's 1."""
    midpoint: float = 0.5
    """When compression and pruning switch, as a share of the episodes; the paper's is a half."""
    annealing: float = 0.0
    """Last share of the episodes: there is no entropy bonus, and the learning rate falls in a straight line to 0."""
    shared_learning_rate: float = 1.0
    """compression: factor on the learning rate once many weights move as one."""
    target_kl: float = 0.0
    """The learning rate follows how far a batch moves the policy: it is divided by 1.5 after one whose mean
    Kullback-Leibler divergence is more than twice this, and multiplied by 1.5 below half of it; 0: it does not."""


@dataclass(frozen=True)
class PPO:
    """Proximal policy optimisation (:mod:`hls4rl.train.ppo.trainer`), by CleanRL's names.

    ``training.learning_rate``, ``training.discount`` (their ``gamma``), ``training.entropy`` (their ``ent_coef``) and
    ``action.deviation`` (the first standard deviation) count too; ``training.episodes`` means nothing.
    """

    total_timesteps: int = 1_000_000
    """Steps of all environments together."""
    num_envs: int = 8
    """Environments that are played side by side."""
    num_steps: int = 256
    """Steps of each environment between two updates."""
    num_minibatches: int = 32
    """Updates that a batch of num_envs × num_steps is divided among, in each epoch."""
    update_epochs: int = 10
    """Times that a batch is learnt from."""
    gae_lambda: float = 0.95
    clip_coef: float = 0.2
    """How far an action's probability may move in one direction while a batch lasts, as a share of it."""
    vf_coef: float = 0.5
    """Weight of the critic's squared error."""
    max_grad_norm: float = 0.5
    """Gradients are shortened to this Euclidean length."""
    anneal_lr: bool = True
    """The learning rate falls in a straight line to 0."""
    norm_adv: bool = True
    """Advantages are normalised in each minibatch."""
    norm_reward: bool = True
    """Rewards are divided by the running deviation of their discounted sums."""
    critic_hidden: tuple[int, ...] = (64, 64)
    """Units of the critic's hidden layers; it is a float network and never deployed."""
    quantise_at: float = 0.0
    """Share of the time steps that the actor is trained in real numbers, before it has the deployed formats."""


@dataclass(frozen=True)
class Search:
    """Random search on the deployed integers (:mod:`hls4rl.train.search.trainer`).

    ``training.episodes`` counts the rollouts; lengths are in units of a weight's least significant bit.
    """

    algorithm: str = "ars"
    """``ars`` or ``es`` (:mod:`hls4rl.train.search.algorithms`)."""
    directions: int = 16
    """Directions of a generation; each is tried in both senses, an episode each."""
    top: int = 8
    """ars: directions that are learnt from, the best ones."""
    noise: float = 0.4
    """Length of a trial step, at the first generation."""
    step: float = 0.25
    """Length of a learning step, at the first generation."""
    annealing: float = 0.3
    """Noise and step fall in a straight line to this share of themselves."""
    averaging: float = 0.85
    """Share of the latents' running mean that a generation leaves."""
    warm_start: bool = False
    """Whether PPO trains the policy first, by the settings of ``[ppo]``; the search goes on from there."""
    survival_bonus: float = 0.0
    """What the environment pays for a step survived: it is left out while searching, as it pays for standing still."""
    price: float = 0.0
    """Return that one non-zero digit of a weight has to bring: the search itself minimises adders."""
    validate_every: int = 8
    """Generations between two comparisons of candidates."""
    trial_episodes: int = 10
    """Episodes that a candidate is judged by first."""
    validation_episodes: int = 50
    """Episodes that a promising candidate is judged by; the best one is kept."""


@dataclass(frozen=True)
class LQR:
    """A linear-quadratic regulator of MuJoCo's own model, in the deployed integers (:mod:`hls4rl.train.lqr.trainer`).

    Costs are quadratic: of positions (rad, m) 1, of velocities and actions as given.
    """

    posture: dict[str, float] = field(default_factory=dict)
    """Angles of joints by name, in radians, near which the body is to be held; the others as the environment resets
    them."""
    velocity_cost: float = 0.05
    """Of each velocity (rad/s, m/s)."""
    action_cost: tuple[float, ...] = (1.0,)
    """Of the actions, in the environment's units: one number, or one for each."""
    sparsity: float = 3e-3
    """Price of a weight's magnitude, in units of its last bit, beside the logarithm of the cost: most become zero."""
    likeness: float = 30.0
    """Weight of the squared difference from the real gains in the first steps of episodes."""
    learning_rate: float = 0.03
    """Of Adam, in units of a weight's last bit; it falls in a straight line to a tenth."""
    updates: int = 5000
    """Steps of the optimiser."""
    price: float = 1.0
    """Return that one non-zero digit of a weight has to bring when candidates are compared."""
    validate_every: int = 10
    """Updates between two comparisons of candidates, in the last three fifths of them."""
    validation_episodes: int = 20
    """Episodes that a candidate is judged by; the best one is kept, and gone on from."""


@dataclass(frozen=True)
class Distillation:
    """Training after a policy that exists (:mod:`hls4rl.train.distillation`): the student plays, the teacher says what
    it would have done, and the student learns that."""

    rounds: int = 10
    """Of playing and learning; the teacher plays the first one. 0: a policy that loses by rounding is left as it is."""
    steps: int = 4000
    """Environment steps of a round."""
    updates: int = 300
    """Steps of the optimiser in a round."""
    batch: int = 256
    """Observations of an update, drawn from all that were seen so far."""
    learning_rate: float = 3e-3
    """Of Adam, at the first update; it falls in a straight line to a hundredth."""
    validation_episodes: int = 20
    """Greedy episodes of the student's integers after each round of the second half; the best round is kept."""


@dataclass(frozen=True)
class Source:
    """A policy in real numbers that was trained elsewhere (:mod:`hls4rl.train.pretrained`)."""

    policy: str
    """Path of its file."""
    normaliser: str = ""
    """Path of its normaliser's; empty for none."""
    activation: str = ""
    """Of its hidden layers, where the file doesn't say."""
    squash: str = ""
    """``clip`` or ``tanh``: what becomes of continuous outputs, where the file doesn't say."""
    distil: bool = False
    """Train a policy after it, instead of rounding it. Where it isn't set, one is only where rounding loses return."""
    digest: str = ""
    """SHA-256 of the files and of what they leave open."""

    @property
    def variables(self) -> dict[str, str]:
        """What of it a command line says, by make's names."""
        found = {"TEACHER" if self.distil else "POLICY": self.policy, "NORMALISER": self.normaliser,
                 "ACTIVATION": self.activation, "SQUASH": self.squash}
        return {key: value for key, value in found.items() if value}


@dataclass(frozen=True)
class Hardware:
    """What is built, for which part and clock."""

    part: str = "ecp5-25f"
    """Name of a part (``hls4rl parts`` lists them)."""
    clock_mhz: float = 50.0
    """Clock that the pipeline is cut for."""
    board: str = "ulx3s"
    """Board of the firmware."""
    strategy: str = "Latency"
    """hls4ml's strategy: Latency (unrolled) or Resource."""
    reuse_factor: int = 1
    """hls4ml's reuse factor: multiplications that share one multiplier."""
    hls_backend: str = "Vitis"
    """hls4ml's backend."""
    hls_part: str = "xc7z020clg400-1"
    """Part named in the hls4ml project, for the vendor's tool."""
    place_seeds: int = 3
    """Place-and-route runs with different seeds; the median one is reported and deployed. Designs of more than 10,000
    look-up tables have one: there it takes minutes."""
    stages: int = 0
    """Stages of the pipeline; 0: as many as ``clock_mhz`` needs."""
    inputs_per_clock: int = 0
    """Features that come per clock, for observations too wide to come at once (pixels); 0: all of them."""
    fold: int | str = 0
    """Neurons that a folded core computes side by side, its weights in block RAM: 1, 2, 4, 8, …; 0: all of them as
    logic of their own; "auto": as few as meet ``latency_us``, and 0 for small networks."""
    latency_us: float | None = None
    """Latency that "auto" is to meet, in microseconds; None: 1/20 of the environment's step."""
    build_minutes: float = 10.0
    """A build that is expected to take longer is refused, with what would be quicker."""


class CannotDrawError(ProjectError):
    """An environment has no picture of itself."""

    def __init__(self, task: str, environment: str, why: str = "it has no render mode 'rgb_array'") -> None:
        super().__init__(
            f"task '{task}': environment '{environment}' cannot draw itself ({why}), so there is nothing to watch; all "
            "else works without"
        )


def _why_not_drawn(message: str) -> str:
    if any(word in message for word in ("OpenGL", "EGL", "OSMesa", "GL_", "glGetError")):
        return "without a screen it draws by EGL, which is missing; on Debian install libegl1"
    return message


@dataclass(frozen=True)
class Task:
    """A Gymnasium environment, and how to treat it."""

    name: str
    environment: str
    observation: Observation = field(default_factory=Observation)
    action: Action = field(default_factory=Action)
    network: Network = field(default_factory=Network)
    training: Training = field(default_factory=Training)
    hardware: Hardware = field(default_factory=Hardware)
    pixels: Pixels | None = None
    """Settings of training from pixels; None for the tasks that see a few numbers."""
    search: Search | None = None
    """Settings of a random search on integers; None for the tasks that are trained by policy gradient."""
    ppo: PPO | None = None
    """Settings of proximal policy optimisation; None for the tasks that are trained otherwise."""
    lqr: LQR | None = None
    """Settings of a regulator; None for the tasks whose model isn't used."""
    distillation: Distillation = field(default_factory=Distillation)
    source: Source | None = None
    """Where the policy comes from, or whom it is trained after; None for those that learn from rewards."""
    environment_options: dict[str, Any] = field(default_factory=dict)
    wrappers: tuple[Any, ...] = ()
    """Gymnasium's own wrappers, from the inside out: names, or tables of a name and its arguments."""
    solved: float | None = None
    """Mean return over 100 episodes from which the task counts as solved."""

    file: str = field(default="", compare=False)
    """What the user calls it by: its name, or the path of its file."""

    @property
    def is_rounded(self) -> bool:
        """Whether the policy is the source's, rounded, and nothing is trained."""
        return self.source is not None and not self.source.distil and self.training.trainer != "search"

    @property
    def midpoint(self) -> float:
        """When compression and pruning switch, as a share of the training episodes."""
        return self.pixels.midpoint if self.pixels else 0.5

    def make(self) -> gym.Env[Any, Any]:
        """Gymnasium's own environment, under guard (:mod:`hls4rl.guard`).

        Raises:
            ProjectError: there is none of this name, its module cannot be imported, it refuses the options, or fails.
        """
        return make_guarded(self.name, self.environment, self.environment_options, self.wrappers)

    def make_drawn(self) -> gym.Env[Any, Any]:
        """The environment, which draws itself: ``render()`` gives pixels.

        Raises:
            CannotDrawError: it has no such mode, or what it draws with is missing.
            ProjectError: as :meth:`make`.
        """
        draw_without_screen()
        drawn = dataclasses.replace(self, environment_options={**self.environment_options, "render_mode": "rgb_array"})
        try:
            env = drawn.make()
        except ProjectError as error:
            self.make().close()  # if that fails too, drawing is not to blame
            raise CannotDrawError(self.name, self.environment) from error
        if "rgb_array" not in (env.metadata.get("render_modes") or ()):
            env.close()
            raise CannotDrawError(self.name, self.environment)
        try:
            env.reset(seed=0)
            env.render()
        except ProjectError as error:
            raise CannotDrawError(self.name, self.environment, _why_not_drawn(str(error))) from error
        return env

    @cached_property
    def features(self) -> int:
        """Features of a flattened observation.

        Raises:
            ProjectError: the environment cannot be made, or gives another kind of observation.
        """
        return features_of(self._gym_spaces[0], f"task '{self.name}'")

    @cached_property
    def actions(self) -> Actions:
        """What the environment's actions are, and how they are read off the network's outputs.

        Raises:
            ProjectError: the environment cannot be made, or takes another kind of action.
        """
        return actions_of(self._gym_spaces[1], self.action, f"task '{self.name}'")

    @property
    def spaces(self) -> tuple[int, int]:
        """Features of an observation, outputs of a network.

        Raises:
            ProjectError: the environment's spaces are of another kind, or ``scale`` has another length.
        """
        return len(self.converter.scale), self.actions.outputs

    @property
    def fan_in(self) -> int:
        """Features that feed a unit at a time."""
        return self.observation.active or self.features

    @cached_property
    def converter(self) -> Converter:
        """The host's converter of observations.

        Raises:
            ProjectError: the observation is of another kind, or ``scale`` or ``offset`` has another length.
        """
        scale, offset = self.observation.scale, self.observation.offset
        if isinstance(scale, str):
            from hls4rl.ranges import measured

            scale, offset = measured(self)
        numbers = []
        for key, values in (("scale", scale), ("offset", offset)):
            if len(values) not in (1, self.features):
                raise ProjectError(
                    f"task '{self.name}': observation.{key} has {len(values)} entries, but {self.environment} has "
                    f"{self.features} features; give one for each, or one for all"
                )
            numbers.append(np.broadcast_to(np.asarray(values, dtype=np.float64), (self.features,)).copy())
        return Converter(self.observation.type, *numbers)

    @property
    def feature_names(self) -> list[str]:
        """What each feature of a flattened observation is; see :func:`hls4rl.observations.feature_names`."""
        return feature_names(self._gym_spaces[0])

    @property
    def resolved(self) -> Task:
        """This task with numbers for scales and offsets, where it has them measured."""
        if not isinstance(self.observation.scale, str):
            return self
        scale, offset = (tuple(values.tolist()) for values in (self.converter.scale, self.converter.offset))
        return dataclasses.replace(self, observation=dataclasses.replace(self.observation, scale=scale, offset=offset))

    def flatten(self, observation: Any) -> FloatArray:
        """One observation of the environment as floats, shape (features,); see :mod:`hls4rl.observations`."""
        return flatten(self._gym_spaces[0], observation)

    def integers(self, observations: FloatArray, features: IntArray | None = None) -> IntArray:
        """See :meth:`hls4rl.observations.Converter.integers`."""
        return self.converter.integers(observations, features)

    @cached_property
    def _gym_spaces(self) -> tuple[gym.Space[Any], gym.Space[Any]]:
        return examine(self.make, f"task '{self.name}': environment '{self.environment}'")

    def training_view(self, observations: FloatArray) -> FloatArray:
        """What the network sees of ``observations`` while it is trained, in real units; same shape."""
        if self.training.raw_observations:
            return np.asarray(observations, dtype=np.float64)
        return np.asarray(self.integers(observations) * self.observation.type.lsb, dtype=np.float64)


def task_names() -> list[str]:
    """Names of the shipped tasks."""
    return sorted(path.stem for path in TASK_DIRECTORY.glob("*.toml"))


def load_task(name: str) -> Task:
    """Read a task by the name of a shipped one, by the path of a TOML file, or by Gymnasium's id of an environment.

    Raises:
        ProjectError: no such task, or the file is not a valid one; the message says which key and why.
    """
    path = Path(name) if name.endswith(".toml") else TASK_DIRECTORY / f"{name}.toml"
    if not path.is_file() and re.fullmatch(r"[\w.:/-]{1,200}-v\d+", name):
        plain = re.sub(r"[:/]+", "-", name).strip("-.")
        return read_task({"name": plain, "environment": name, "file": name}, f"ENV={name}")
    if not path.is_file():
        raise ProjectError(
            f"unknown task '{name}'; shipped tasks are {', '.join(task_names())}; Gymnasium's own ids do as well, as "
            "MountainCar-v0; for one of your own give the path of its TOML file"
        )
    data = read_toml(path, "task file")
    for key, reason in (("file", "it is the file itself"), ("source", "give POLICY= or TEACHER=")):
        if key in data:
            raise ProjectError(f"{path}: unknown key '{key}'; {reason}")
    return read_task({"name": path.stem, **data, "file": name}, str(path))


def read_task(data: dict[str, Any], where: str) -> Task:
    """The task of plain values, as :func:`dataclasses.asdict` gives them.

    Raises:
        ProjectError: they are no such values; the message begins with ``where``.
    """
    task: Task = build(Task, data, where)
    _check(task, where)
    return task


def with_settings(task: Task, section: str, **changes: Any) -> Task:
    """A copy of ``task`` whose ``section`` (``hardware``, ``training``, …) has the given keys; None keeps a key.

    Raises:
        ProjectError: a value is out of range.
    """
    changed = {key: value for key, value in changes.items() if value is not None}
    if not changed:
        return task
    new = dataclasses.replace(task, **{section: dataclasses.replace(getattr(task, section), **changed)})
    _check(new, f"task '{task.name}'")
    return new


def change(task: Task, text: str | None) -> tuple[Task, str]:
    """Read changes of a task's settings, as ``observation.bits=2 observation.scale=[1,2,8,1]``.

    Args:
        task: as its file says.
        text: ``section.key=value`` pairs, values as in TOML, with spaces between; None or empty for no change. A key of
            ``search``, ``ppo`` or ``lqr`` adds that section where the file has none.

    Returns:
        The changed task, and eight hexadecimal digits that stand for the changes which reach the policy
        (``PolicySpec.variant``); empty where there are none.

    Raises:
        ProjectError: not such a text, an unknown key, or a value of another type or out of range.
    """
    new, where = task, f"SET '{text}'"
    for section, key, value in _pairs(text or "", where):
        settings = getattr(new, section, None)
        if settings is None and section in _TRAINERS:
            settings = _TRAINERS[section]()
        if not dataclasses.is_dataclass(settings) or isinstance(settings, type):
            raise ProjectError(f"{where}: no section '{section}'; sections are {', '.join(_sections(task))}")
        changed = build(type(settings), {**_plain(settings), key: value}, where, f"{section}.")
        new = dataclasses.replace(new, **{section: changed})
    _check(new, where)
    differing = {
        f"{section}.{key}": value for section in _SECTIONS if section != "hardware"
        for key, value in _plain(getattr(new, section)).items() if value != _plain(getattr(task, section)).get(key)
    }
    digits = hashlib.sha256(json.dumps(differing, sort_keys=True).encode()).hexdigest()[:8]
    return new, digits if differing else ""


_SECTIONS = ("observation", "action", "network", "training", "pixels", "search", "ppo", "lqr", "distillation",
             "hardware")
_TRAINERS = {"search": Search, "ppo": PPO, "lqr": LQR}
"""Sections that a change adds where the task's file has none."""


def _sections(task: Task) -> list[str]:
    return [name for name in _SECTIONS if name in _TRAINERS or getattr(task, name) is not None]


def _plain(section: Any) -> dict[str, Any]:
    if section is None:
        return {}
    return {key: list(value) if isinstance(value, tuple) else value for key, value in vars(section).items()}


def settings_of(text: str | None) -> tuple[str, ...]:
    """The names of the settings in such a text, as ``observation.bits``.

    Raises:
        ProjectError: not such a text.
    """
    return tuple(f"{section}.{key}" for section, key, _ in _pairs(text or "", f"SET '{text}'"))


def _pairs(text: str, where: str) -> list[tuple[str, str, Any]]:
    assignments = re.split(r"\s+(?=\w+\.\w+=)", text.strip()) if text.strip() else []
    pairs = []
    for assignment in assignments:
        name, _, value = assignment.partition("=")
        section, _, key = name.partition(".")
        try:
            pairs.append((section, key, tomllib.loads(f"value = {value}")["value"]))
        except tomllib.TOMLDecodeError as error:
            raise ProjectError(f"{where}: '{assignment}' is not section.key=value with a value as in TOML") from error
    return pairs


_RANGES: dict[str, tuple[float, float]] = {
    "solved": (-1e12, 1e12),
    "observation.bits": (2, 16),
    "observation.integer_bits": (-15, 16),
    "action.bits": (2, 16),
    "action.deviation": (1e-6, 10.0),
    "action.final_deviation": (1e-6, 10.0),
    "observation.active": (1, 10**7),
    "network.weight_integer_bits": (-8, 8),
    "network.activation_integer_bits": (0, 8),
    "network.bias_integer_bits": (1, 8),
    "training.episodes": (2, 10**7),
    "training.seeds": (1, 10**4),
    "training.learning_rate": (1e-9, 10.0),
    "training.discount": (0.0, 1.0),
    "training.entropy": (0.0, 10.0),
    "training.baseline_rate": (1e-6, 1.0),
    "training.full_rate_hidden": (1, 4096),
    "training.final_rate": (0.0, 1.0),
    "training.output_gain": (0.0, 10.0),
    "training.late_rate": (0.0, 1000.0),
    "training.validation_episodes": (1, 10**5),
    "training.evaluation_episodes": (1, 10**5),
    "pixels.num_envs": (1, 1024),
    "pixels.num_steps": (1, 10**5),
    "pixels.update_epochs": (1, 100),
    "pixels.num_minibatches": (1, 1000),
    "pixels.clip_coef": (1e-3, 10.0),
    "pixels.max_grad_norm": (1e-6, 1e6),
    "pixels.latent_limit": (1e-6, 1.0),
    "pixels.midpoint": (0.0, 1.0),
    "pixels.annealing": (0.0, 1.0),
    "pixels.shared_learning_rate": (0.0, 1.0),
    "pixels.target_kl": (0.0, 10.0),
    "ppo.total_timesteps": (1, 10**11),
    "ppo.num_envs": (1, 1024),
    "ppo.num_steps": (1, 10**6),
    "ppo.num_minibatches": (1, 10**5),
    "ppo.update_epochs": (1, 1000),
    "ppo.gae_lambda": (0.0, 1.0),
    "ppo.clip_coef": (1e-3, 10.0),
    "ppo.vf_coef": (0.0, 1e3),
    "ppo.max_grad_norm": (1e-6, 1e6),
    "ppo.quantise_at": (0.0, 1.0),
    "search.directions": (1, 10**4),
    "search.top": (1, 10**4),
    "search.noise": (1e-6, 1e3),
    "search.step": (1e-6, 1e3),
    "search.annealing": (0.0, 1.0),
    "search.averaging": (0.0, 0.9999),
    "search.survival_bonus": (-1e6, 1e6),
    "search.price": (0.0, 1e6),
    "search.validate_every": (1, 10**6),
    "search.trial_episodes": (1, 10**4),
    "search.validation_episodes": (1, 10**4),
    "lqr.velocity_cost": (0.0, 1e6),
    "lqr.sparsity": (0.0, 1e3),
    "lqr.likeness": (0.0, 1e6),
    "lqr.learning_rate": (1e-9, 10.0),
    "lqr.updates": (1, 10**7),
    "lqr.price": (0.0, 1e6),
    "lqr.validate_every": (1, 10**6),
    "lqr.validation_episodes": (1, 10**4),
    "distillation.rounds": (0, 10**4),
    "distillation.steps": (1, 10**7),
    "distillation.updates": (1, 10**6),
    "distillation.batch": (1, 10**6),
    "distillation.learning_rate": (1e-9, 10.0),
    "distillation.validation_episodes": (1, 10**5),
    "hardware.clock_mhz": (1.0, 1000.0),
    "hardware.reuse_factor": (1, 10**7),
    "hardware.place_seeds": (1, 100),
    "hardware.stages": (0, 24),
    "hardware.inputs_per_clock": (0, 64),
    "hardware.latency_us": (1e-3, 1e9),
    "hardware.build_minutes": (0.1, 1e5),
}

_CHOICES = {"training.advantage": ADVANTAGES, "training.optimiser": OPTIMISERS,
            "training.trainer": ("auto", *registry.names("hls4rl.train.trainers")), "search.algorithm": ALGORITHMS,
            "hardware.strategy": ("Latency", "Resource"), "network.activation": CURVES, "action.squash": SQUASHES}
_WORDS = {
    "name": (r"\w[\w. -]{0,99}", "letters, digits, spaces, '_', '-' and '.'"),  # a folder of runs has this name
    "environment": (r"[\w.:/-]{1,200}", "Gymnasium's id, as 'CartPole-v1' or 'module:Mine-v0'"),
    "hardware.part": (r"[\w.-]{1,100}", "the name of a part"),
    "hardware.board": (r"[^\x00-\x1f\x7f]{1,1000}", "the name of a board, or the path of its TOML file"),
    "hardware.hls_backend": (r"\w{1,100}", "hls4ml's name of a backend"),
    "hardware.hls_part": (r"[A-Za-z0-9][\w.-]{0,99}", "a vendor's name of a part, as 'xc7z020clg400-1'"),
}
"""Texts: what they may be, and how to say so. They end in names of files, and in the input of tools."""
_SMALLEST_SCALE, _LARGEST_SCALE = 2.0**-64, 2.0**64
_LARGEST_OFFSET = 1e12
_LARGEST_ANGLE = 100.0
"""Of a posture, rad."""
_LARGEST_BOUND = 1e12
"""Of what an action may be."""


def _check(task: Task, where: str) -> None:
    _check_scale(task.observation, where)
    _check_options(task.environment_options, where, "environment_options")
    _check_options(list(task.wrappers), where, "wrappers")
    check_wrappers(task.wrappers, where)
    _check_bounds(task.action.range, where)
    for key, (low, high) in _RANGES.items():
        value = _setting(task, key)
        if value is not None and not low <= value <= high:
            raise ProjectError(f"{where}: {key} is {value}; it must lie in {low:g} … {high:g}")
    fold = task.hardware.fold
    if fold != "auto" and not (isinstance(fold, int) and 0 <= fold <= 256):
        raise ProjectError(f"{where}: hardware.fold is {fold!r}; it is 0 … 256, or \"auto\"")
    for key, choices in _CHOICES.items():
        if (value := _setting(task, key)) is not None and value not in choices:
            raise ProjectError(f"{where}: {key} is {value!r}; choose one of {', '.join(choices)}")
    for key, (pattern, meaning) in _WORDS.items():
        if not re.fullmatch(pattern, value := _setting(task, key)):
            raise ProjectError(f"{where}: {key} is {value[:200]!r}; give {meaning}")
    _check_ppo(task.ppo, where)
    _check_lqr(task.lqr, where)
    if task.pixels is not None and task.pixels.midpoint + task.pixels.annealing > 1:
        raise ProjectError(
            f"{where}: pixels.midpoint is {task.pixels.midpoint} and pixels.annealing {task.pixels.annealing}; "
            "together they are 1 at most, for methods are trained alike up to the midpoint"
        )


def _check_ppo(ppo: PPO | None, where: str) -> None:
    if ppo is None:
        return
    if not ppo.critic_hidden or not all(1 <= units <= 4096 for units in ppo.critic_hidden):
        raise ProjectError(
            f"{where}: ppo.critic_hidden is {list(ppo.critic_hidden)}; give its hidden layers' units, 1 to 4096"
        )
    if ppo.num_minibatches > ppo.num_envs * ppo.num_steps:
        raise ProjectError(
            f"{where}: ppo.num_minibatches is {ppo.num_minibatches}, and a batch has {ppo.num_envs * ppo.num_steps} "
            "steps (num_envs × num_steps); give no more than that"
        )


def _check_lqr(lqr: LQR | None, where: str) -> None:
    if lqr is None:
        return
    if not all(1e-9 <= cost <= 1e9 for cost in lqr.action_cost or (0.0,)):
        raise ProjectError(f"{where}: lqr.action_cost is {list(lqr.action_cost)}; give positive numbers")
    for joint, angle in lqr.posture.items():
        if not abs(angle) <= _LARGEST_ANGLE:
            raise ProjectError(f"{where}: lqr.posture has {angle} for '{joint}'; give radians")


def _setting(task: Task, key: str) -> Any:
    """The value of ``key``, as ``section.key`` or ``key``; None where the task has no such section."""
    value: Any = task
    for name in key.split("."):
        value = None if value is None else getattr(value, name)
    return value


def _check_scale(observation: Observation, where: str) -> None:
    scale = observation.scale
    if isinstance(scale, str):
        if scale != AUTO:
            raise ProjectError(f"{where}: observation.scale is '{scale}'; give powers of two in [ ], or \"{AUTO}\"")
        return
    for key, values in (("scale", scale), ("offset", observation.offset)):
        if not values:
            raise ProjectError(f"{where}: observation.{key} is empty; give a number for each feature, or one for all")
    if any(abs(value) > _LARGEST_OFFSET for value in observation.offset):
        raise ProjectError(f"{where}: observation.offset has a number beyond ±{_LARGEST_OFFSET:g}")
    for value in scale:
        if not is_power_of_two(value):
            raise ProjectError(
                f"{where}: observation.scale has {value}, which is no power of two; "
                f"write {2.0 ** round(np.log2(value)) if value > 0 else 1.0} or another one"
            )
        if not _SMALLEST_SCALE <= value <= _LARGEST_SCALE:
            raise ProjectError(f"{where}: observation.scale has {value}; it must lie in 2^-64 … 2^64")


def _check_bounds(bounds: tuple[float, ...], where: str) -> None:
    pairs = list(zip(bounds[::2], bounds[1::2], strict=False))
    if len(bounds) % 2 or any(not -_LARGEST_BOUND <= low < high <= _LARGEST_BOUND for low, high in pairs):
        raise ProjectError(
            f"{where}: action.range is {list(bounds)}; give low and high, for all dimensions or for each in turn, "
            "each low below its high"
        )


def _check_options(value: Any, where: str, key: str) -> None:
    """Arguments of the environment are kept in JSON beside each policy, so they are what JSON can hold."""
    if isinstance(value, dict):
        for name, item in value.items():
            _check_options(item, where, f"{key}.{name}")
    elif isinstance(value, list):
        for item in value:
            _check_options(item, where, key)
    elif not isinstance(value, str | bool | int | float) or (isinstance(value, float) and not math.isfinite(value)):
        raise ProjectError(f"{where}: {key} is {value}; give text, true, false, or a finite number")
