"""Options of the commands, each declared once, and how a command takes a group of them.

Every option can be given as a variable of the environment too, ``HLS4RL_`` and its name (``HLS4RL_CLOCK_MHZ=40``): so
the Makefile hands on what its user wrote, unread by make and by any shell.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
import inspect
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

from hls4rl import registry
from hls4rl.errors import ProjectError
from hls4rl.policy import METHOD_NAMES, PolicySpec, read_hidden
from hls4rl.run import RUNS, check_root
from hls4rl.task import Source, Task, change, load_task, settings_of

ENVIRONMENT = "HLS4RL_"
TRAINER_NAMES = registry.names("hls4rl.train.trainers")
DEFAULT_ENV, DEFAULT_METHOD, DEFAULT_HIDDEN = "cartpole", "binarynet", "16"


def option(name: str, help: str, **more: Any) -> Any:
    """A typer option ``--name``, which the variable of the environment of that name sets too; empty means not given."""
    variable = ENVIRONMENT + name.removeprefix("--").replace("-", "_").upper()
    return typer.Option(name, help=help, envvar=variable, show_envvar=False, **more)


Env = Annotated[
    str,
    option("--env", "Task: the name of a shipped one, the path of a TOML file of your own, or an id of Gymnasium's. "
                    f"Default: {DEFAULT_ENV}."),
]
Method = Annotated[
    str | None,
    option("--method", f"One of {', '.join(METHOD_NAMES)}. Default: {DEFAULT_METHOD}; of an imported policy, fp."),
]
Hidden = Annotated[
    str | None,
    option("--hidden", "Units of each hidden layer, as 16, 64x64 or 128x64x32; 0 for a single layer. Default: "
                       f"{DEFAULT_HIDDEN}; of an imported policy, its own."),
]
Seed = Annotated[
    int | None, option("--seed", "Seed of the policy. Without it the best of several, by validation, is taken.")
]
Bits = Annotated[int, option("--bits", "Width of weights and activations where they are not binary, 2 to 16.")]
Clusters = Annotated[int, option("--clusters", "compression: groups of weights per layer (k).")]
Percentile = Annotated[float, option("--percentile", "pruning: percentage of each layer's weights set to zero.")]
ActivationBits = Annotated[
    int, option("--activation-bits", "Width of hidden activations where they are not binary. 0: as --bits.")
]
Settings = Annotated[
    str | None, option("--set", "Changes of the task's settings, as 'observation.bits=2 hardware.stages=1'.")
]
Trainer = Annotated[
    str,
    option("--trainer", f"One of auto, {', '.join(TRAINER_NAMES)}. auto: the one that the task's file has a section "
                        "for, or the quickest that can."),
]
PolicyFile = Annotated[
    str | None,
    option("--policy", "Instead of training: a policy that exists, in real numbers: stable-baselines3's zip, a state "
                       "dict (*.pth), safetensors, ONNX. It is rounded to --bits; with another --method or --hidden, a "
                       "network of these is trained after it."),
]
Teacher = Annotated[
    str | None, option("--teacher", "As --policy, and a network is always trained after it (quantisation-aware).")
]
NormaliserFile = Annotated[
    str | None,
    option("--normaliser", "With --policy or --teacher: what normalises its observations, vecnormalize.pkl or JSON."),
]
Activation = Annotated[
    str | None, option("--activation", "Of such a policy's hidden layers, where its file doesn't say: tanh, relu, ….")
]
Squash = Annotated[
    str | None,
    option("--squash", "What becomes of such a policy's continuous outputs, where its file doesn't say: clip or tanh."),
]
Root = Annotated[Path, option("--root", "Folder that the runs are kept in.", callback=check_root)]
Part = Annotated[
    str | None, option("--part", "FPGA to build for; `hls4rl parts` lists them. Default: the task's hardware.part.")
]
Clock = Annotated[
    float | None, option("--clock-mhz", "Clock that the pipeline is cut for. Default: the task's hardware.clock_mhz.")
]
Episodes = Annotated[
    int | None,
    option("--episodes", "Greedy Gymnasium episodes, seeded 0, 1, 2, …; default: 100, or a few from pixels.", min=1),
]

Scheduler = Annotated[
    str | None, option("--scheduler", "A Dask cluster's scheduler, tcp://host:port. Default: processes here.")
]
Workers = Annotated[int | None, option("--workers", "Processes at once. Default: one a processor.", min=1)]


@dataclass(frozen=True)
class PolicyOptions:
    """Which policy of which task, and where its run is kept."""

    env: Env = ""
    method: Method = None
    hidden: Hidden = None
    seed: Seed = None
    bits: Bits = 8
    clusters: Clusters = 8
    percentile: Percentile = 50.0
    activation_bits: ActivationBits = 0
    trainer: Trainer = "auto"
    settings: Settings = None
    policy: PolicyFile = None
    teacher: Teacher = None
    normaliser: NormaliserFile = None
    activation: Activation = None
    squash: Squash = None
    root: Root = RUNS

    def read(self) -> tuple[Task, PolicySpec]:
        """The task and the policy that are meant; where no seed is given it is 0 in the latter.

        Raises:
            ProjectError: an option is wrong; the message says which.
        """
        changes = " ".join(filter(None, [self.settings, self._trainer()]))
        task, variant = change(load_task(self.env or DEFAULT_ENV), changes)
        spec = PolicySpec(
            task.name, self.method or DEFAULT_METHOD, read_hidden(self.hidden or DEFAULT_HIDDEN), self.seed or 0,
            self.bits, self.clusters, self.percentile, self.activation_bits, variant,
        )
        source = self.source()
        if source is None:
            return task, spec
        # A policy's own file is read by train, which stands above: only where one is given.
        prepare = importlib.import_module("hls4rl.train.pretrained.imported").prepare
        found: tuple[Task, PolicySpec] = prepare(
            task, spec, source, settings_of(self.settings), (self.method, self.hidden)
        )
        return found

    def _trainer(self) -> str:
        """As a change of the task's settings."""
        if self.trainer in ("", "auto"):
            return ""
        if (self.policy or self.teacher) and self.trainer != "search":
            raise ProjectError(
                "with POLICY or TEACHER no TRAINER is to be chosen but search, which goes on from that; leave it out"
            )
        return f"training.trainer={json.dumps(self.trainer)}"

    def source(self) -> Source | None:
        """The policy in real numbers that is meant, if one is.

        Raises:
            ProjectError: more than one is, or what is said of one without it.
        """
        more = {"NORMALISER": self.normaliser, "ACTIVATION": self.activation, "SQUASH": self.squash}
        if self.policy and self.teacher:
            raise ProjectError("POLICY and TEACHER are both given; POLICY rounds a policy, TEACHER trains one after it")
        if file := self.policy or self.teacher:
            named = {name.lower(): value or "" for name, value in more.items()}
            return Source(file, **named, distil=bool(self.teacher))
        if unused := [name for name, value in more.items() if value]:
            raise ProjectError(f"{unused[0]} says something of an imported policy; give that with POLICY or TEACHER")
        return None


def grouped(command: Callable[..., None]) -> Callable[..., None]:
    """``command``, with the fields of each parameter that is a dataclass as parameters, hence options, of their own."""
    signature = inspect.signature(command, eval_str=True)
    groups: dict[str, Any] = {name: item.annotation for name, item in signature.parameters.items()
              if dataclasses.is_dataclass(item.annotation)}
    parameters: list[inspect.Parameter] = []
    for name, item in signature.parameters.items():
        parameters += _fields(groups[name]) if name in groups else [item.replace(kind=inspect.Parameter.KEYWORD_ONLY)]

    @functools.wraps(command)
    def expanded(**values: Any) -> None:
        for name, group in groups.items():
            values[name] = group(**{item.name: values.pop(item.name) for item in dataclasses.fields(group)})
        command(**values)

    expanded.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    expanded.__annotations__ = {item.name: item.annotation for item in parameters}
    return expanded


def _fields(group: Any) -> list[inspect.Parameter]:
    kinds = get_type_hints(group, include_extras=True)
    return [
        inspect.Parameter(item.name, inspect.Parameter.KEYWORD_ONLY, default=item.default, annotation=kinds[item.name])
        for item in dataclasses.fields(group)
    ]
