"""Agents that stable-baselines3 trains here and now, and what import makes of them.

    python -m tools.sb3 [NAME …] [--folder runs/sb3] [--episodes 100] [--hidden 16]

PPO on CartPole-v1 and LunarLander-v3 with VecNormalize, SAC on Pendulum-v1, and PPO on the greenhouse with switches
(MultiDiscrete, observations in a dictionary); then the verb ``zoo`` on their folder, with a student of few units after
each. What is there already isn't trained again.
"""

from __future__ import annotations

import argparse
import importlib
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gymnasium.wrappers import FlattenObservation

from hls4rl.errors import ProjectError
from hls4rl.studies.zoo import zoo
from hls4rl.task import load_task

EXAMPLES = Path(__file__).resolve().parent.parent / "docs" / "examples"
FOLDER = Path("runs/sb3")


def linear(start: float) -> Callable[[float], float]:
    """A rate that falls to 0 in a straight line; called with the share that is left."""
    return lambda left: start * left


@dataclass(frozen=True)
class Recipe:
    """One agent."""

    algorithm: str
    environment: str | Path
    """Gymnasium's id, or a task file, of which the observations are flattened."""
    steps: int
    num_envs: int
    arguments: dict[str, Any] = field(default_factory=dict)
    discount: float = 0.99
    normalised: bool = True
    """Whether VecNormalize stands before it."""


RECIPES = {
    "ppo/CartPole-v1": Recipe("PPO", "CartPole-v1", 100_000, 8, {
        "n_steps": 32, "batch_size": 256, "gae_lambda": 0.8, "n_epochs": 20, "learning_rate": linear(1e-3),
        "clip_range": linear(0.2)}, 0.98),
    "ppo/LunarLander-v3": Recipe("PPO", "LunarLander-v3", 1_000_000, 16, {
        "n_steps": 1024, "batch_size": 64, "gae_lambda": 0.98, "n_epochs": 4, "ent_coef": 0.01}, 0.999),
    "ppo/greenhouse-switches": Recipe("PPO", EXAMPLES / "greenhouse-switches.toml", 100_000, 8, {
        "n_steps": 256, "batch_size": 256, "learning_rate": linear(1e-3)}, 0.9),
    "sac/Pendulum-v1": Recipe("SAC", "Pendulum-v1", 20_000, 1, {"learning_rate": 1e-3}, normalised=False),
}
"""By the name that the zoo knows them by; settings are those of rl-zoo (DLR-RM/rl-baselines3-zoo, MIT licence), but for
the greenhouse."""


def train(name: str, recipe: Recipe, folder: Path) -> bool:
    """Train the agent ``name`` into ``folder``, unless it is there; whether it was trained now.

    Leaves ``<folder>/<name>.zip``, and beside it the normaliser and the task file, where there are.

    Raises:
        ProjectError: stable-baselines3 isn't installed.
    """
    path = folder / f"{name}.zip"
    if path.is_file():
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(recipe.environment, Path):
        shutil.copyfile(recipe.environment, folder / f"{name}.toml")
    model, env = _model(recipe)
    model.learn(recipe.steps)
    if recipe.normalised:
        env.save(str(folder / f"{name}.vecnormalize.pkl"))
    part = path.with_name(f".{path.name}")
    model.save(part)
    part.replace(path)  # last: what is there is whole
    env.close()
    return True


def _model(recipe: Recipe) -> tuple[Any, Any]:
    try:
        library, environments, wrappers = (
            importlib.import_module(f"stable_baselines3{part}") for part in ("", ".common.env_util", ".common.vec_env")
        )
    except ImportError as error:
        raise ProjectError(f"{error}; stable-baselines3 is an extra: pip install 'hls4rl[bench,box2d]'") from error
    import torch

    torch.set_num_threads(1)  # networks this small only lose by threads
    env = environments.make_vec_env(_environment(recipe), recipe.num_envs, seed=0)
    if recipe.normalised:
        env = wrappers.VecNormalize(env, gamma=recipe.discount)
    model = getattr(library, recipe.algorithm)(
        "MlpPolicy", env, gamma=recipe.discount, seed=0, device="cpu", **recipe.arguments
    )
    return model, env


def _environment(recipe: Recipe) -> str | Callable[[], Any]:
    """As stable-baselines3 takes it."""
    if not isinstance(recipe.environment, Path):
        return recipe.environment
    task = load_task(str(recipe.environment))
    return lambda: FlattenObservation(task.make())


def main() -> None:
    """Train the agents named above, say how long each took, and take them through import."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(RECIPES)}; default: all")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="default: %(default)s")
    parser.add_argument("--episodes", type=int, default=100, help="of each policy; default: %(default)s")
    parser.add_argument("--hidden", default="16", help="layers of the students; default: %(default)s")
    given = parser.parse_args()
    if unknown := set(given.names) - set(RECIPES):
        parser.error(f"no agent {sorted(unknown)[0]}; there are {', '.join(RECIPES)}")
    sys.path.insert(0, str(EXAMPLES))
    agents = given.folder / "agents"
    try:
        for name in given.names or RECIPES:
            started = time.perf_counter()
            trained = train(name, RECIPES[name], agents)
            print(f"{name}: {f'{time.perf_counter() - started:.0f} s' if trained else 'already trained'}", flush=True)
        zoo(agents, episodes=given.episodes, hidden=given.hidden, root=given.folder)
    except ProjectError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
