"""Seeded greedy episodes on Gymnasium's own environment, for any backend.

Many copies of the environment step together, so that the backend is asked for batches; each copy is Gymnasium's.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np

from hls4rl.backend import Answer, Backend
from hls4rl.contract import Argmax, FloatArray, IntArray
from hls4rl.task import Task

COPIES = 128
"""Environments that step together at most."""

Watch = Callable[[IntArray, Answer], None]
Act = Callable[[FloatArray], Sequence[Any]]
"""Answers flattened observations, shape (batch, features), with what ``env.step`` takes for each."""


@dataclass(frozen=True, eq=False)
class Episodes:
    """What came of a number of episodes, in the order of their seeds."""

    returns: FloatArray
    """Shape (episodes,)."""
    lengths: IntArray
    """Shape (episodes,), in steps."""

    @property
    def mean_return(self) -> float:
        """Mean over the episodes."""
        return float(self.returns.mean())


class Sampling:
    """A backend that draws its actions from the softmax of another one's logits, group by group."""

    def __init__(self, backend: Backend, logit_lsb: float, rng: np.random.Generator, output: Argmax) -> None:
        self.name = f"{backend.name} (sampled)"
        self._backend, self._lsb, self._rng, self._output = backend, logit_lsb, rng, output

    def infer(self, observations: IntArray) -> Answer:
        """See :class:`hls4rl.backend.Backend`; ``backend`` must give logits."""
        logits = self._backend.infer(observations).logits
        assert logits is not None
        # The largest of logit + Gumbel noise is distributed as the softmax; a bit's logit is held against 0.
        noise = self._rng.gumbel(size=logits.shape)
        single = np.repeat([size == 1 for size in self._sizes(logits)], self._sizes(logits))
        noise[:, single] -= self._rng.gumbel(size=(len(logits), int(single.sum())))
        return Answer(self._output.decide(logits * self._lsb + noise), logits)

    def _sizes(self, logits: IntArray) -> tuple[int, ...]:
        return self._output.sizes(logits.shape[1])


def play(task: Task, backend: Backend, episodes: int, first_seed: int, watch: Watch | None = None) -> Episodes:
    """Play episode k from ``env.reset(seed=first_seed + k)`` with ``backend``'s actions, for ``episodes`` values of k.

    Args:
        task: its environment and its converter of observations.
        backend: whatever answers for the policy.
        episodes: how many.
        first_seed: seed of the first one.
        watch: called on every step with the integer observations, shape (batch, features), and the answer.
    """
    def act(floats: FloatArray) -> list[Any]:
        observations = task.integers(floats)
        answer = backend.infer(observations)
        if watch is not None:
            watch(observations, answer)
        return [task.actions.decode(action) for action in answer.actions]

    return drive(task, act, episodes, first_seed)


def drive(task: Task, act: Act, episodes: int, first_seed: int) -> Episodes:
    """As :func:`play`, with whatever acts on the environment's own floats."""
    played = Episodes(np.zeros(episodes), np.zeros(episodes, dtype=np.int64))
    waiting = itertools.count()
    envs = [task.make() for _ in range(min(COPIES, episodes))]
    live = [_start(env, next(waiting), first_seed) for env in envs]
    while live:
        actions = act(np.stack([task.flatten(item.observation) for item in live]))
        live = _step(live, actions, played, waiting, first_seed)
    for env in envs:
        env.close()
    return played


@dataclass
class _Live:
    env: gym.Env[Any, Any]
    episode: int
    observation: Any


def _start(env: gym.Env[Any, Any], episode: int, first_seed: int) -> _Live:
    observation, _ = env.reset(seed=first_seed + episode)
    return _Live(env, episode, observation)


def _step(
    live: list[_Live], actions: Sequence[Any], played: Episodes, waiting: itertools.count[int], first_seed: int
) -> list[_Live]:
    going = []
    for item, action in zip(live, actions, strict=True):
        item.observation, reward, terminated, truncated, _ = item.env.step(action)
        played.returns[item.episode] += float(reward)
        played.lengths[item.episode] += 1
        if not (terminated or truncated):
            going.append(item)
        elif (episode := next(waiting)) < len(played.returns):
            going.append(_start(item.env, episode, first_seed))
    return going
