"""The linear model of a MuJoCo environment about an equilibrium: what a regulator is made for.

States are deviations from the equilibrium: of positions in the tangent space, in which MuJoCo integrates, and of
velocities. The contact solver is let converge first, as derivatives of an unconverged one are of its iterations.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import least_squares  # type: ignore[import-untyped]

from hls4rl.contract import FloatArray
from hls4rl.errors import ProjectError
from hls4rl.task import Task

_STEP = 1e-4
"""Of the central differences: rad, m and their rates; of actions and observations, their units."""
_ACCELERATION, _POSTURE, _ACTION = 0.1, 0.05, 0.01
"""Weights of what an equilibrium keeps small: accelerations, distance from the posture (rad), actions."""
_LARGEST_ACCELERATION = 0.1
"""Of an equilibrium, rad/s² or m/s²."""
_DEPTHS = (0.0, 0.0005, 0.001, 0.002, 0.004, 0.008)
"""How far below its first contact with the ground a free root's search begins, in metres: above it, nothing presses."""
_HALVINGS = 40
_UNMOVED = 1e-6
_X, _Y, _Z, _HEADING = 0, 1, 2, 5
"""Coordinates of a free root in the tangent space."""


@dataclass(frozen=True)
class Model:
    """``state' = transition · state + control · (action − rest)``, one environment step later."""

    transition: FloatArray
    """Shape (states, states)."""
    control: FloatArray
    """Shape (states, actions); actions in the environment's units."""
    view: FloatArray
    """Shape (features, states): observations by states."""
    positions: int
    """So many of the states are positions, the first ones; the rest are velocities."""
    observation: FloatArray
    """At the equilibrium, shape (features,)."""
    rest: FloatArray
    """The action that keeps it, shape (actions,)."""


def linear_model(task: Task) -> Model:
    """The model of ``task``'s environment about the equilibrium nearest to ``lqr.posture``.

    What nothing depends on is left out: places that no observation has, and the heading of a free root.

    Raises:
        ProjectError: the environment isn't Gymnasium's of MuJoCo, has no such joint, or no equilibrium was found.
    """
    assert task.lqr is not None
    env = task.make()
    try:
        with _Simulator.of(task, env.unwrapped) as simulator:
            return simulator.model()
    finally:
        env.close()


class _Simulator:
    """The environment's MuJoCo, to be set and stepped at will."""

    def __init__(self, task: Task, env: Any, mujoco: Any) -> None:
        self._task, self._env, self._mujoco = task, env, mujoco
        self._model, self._data = env.model, mujoco.MjData(env.model)
        self._free_root = self._model.njnt > 0 and self._model.jnt_type[0] == mujoco.mjtJoint.mjJNT_FREE

    @classmethod
    @contextmanager
    def of(cls, task: Task, env: Any) -> Iterator[_Simulator]:
        """With a solver that converges, for as long as the context lasts."""
        try:
            import mujoco  # heavy, and only there with hls4rl[mujoco]
            from gymnasium.envs.mujoco import MujocoEnv
        except ImportError as error:
            raise ProjectError("TRAINER=lqr needs MuJoCo; pip install 'hls4rl[mujoco]'") from error
        if not isinstance(env, MujocoEnv) or not hasattr(env, "_get_obs"):  # Gymnasium's own all have it
            raise ProjectError(
                f"task '{task.name}': TRAINER=lqr takes the model from Gymnasium's MuJoCo environments, and "
                f"{task.environment} is none of them; use another trainer"
            )
        if task.wrappers:
            raise ProjectError(
                f"task '{task.name}': TRAINER=lqr sees what the environment itself shows; leave wrappers out"
            )
        options = env.model.opt
        before = options.solver, options.iterations, options.tolerance
        options.solver, options.iterations, options.tolerance = mujoco.mjtSolver.mjSOL_NEWTON, 200, 1e-12
        try:
            yield cls(task, env, mujoco)
        finally:
            options.solver, options.iterations, options.tolerance = before

    def model(self) -> Model:
        """See :func:`linear_model`."""
        place, rest = self._equilibrium()
        degrees = self._model.nv
        step = np.eye(2 * degrees) * _STEP

        def moved(states: FloatArray, action: FloatArray) -> FloatArray:
            return self._stepped(place, states, rest + action)

        none, still = np.zeros(2 * degrees), np.zeros(len(rest))
        transition = np.stack([moved(row, still) - moved(-row, still) for row in step], axis=1) / (2 * _STEP)
        pushes = np.eye(len(rest)) * _STEP
        control = np.stack([moved(none, push) - moved(none, -push) for push in pushes], axis=1) / (2 * _STEP)
        view = np.stack([self._seen(place, row) - self._seen(place, -row) for row in step], axis=1) / (2 * _STEP)
        kept = [index for index in range(2 * degrees) if not self._is_free(index, transition, view)]
        return Model(
            transition[np.ix_(kept, kept)], control[kept], view[:, kept], sum(index < degrees for index in kept),
            self._seen(place, none), rest,
        )

    def _is_free(self, index: int, transition: FloatArray, view: FloatArray) -> bool:
        """Whether nothing depends on the state ``index``."""
        if self._free_root and index in (_X, _Y, _HEADING):
            return True
        moves = transition[:, index] - np.eye(len(transition))[index]
        largest = max(np.abs(moves).max(), np.abs(view[:, index]).max())
        return bool(index < self._model.nv and largest < _UNMOVED)

    def _equilibrium(self) -> tuple[FloatArray, FloatArray]:
        """Positions, shape (nq,), and the action, shape (nu,), that hold still."""
        model, posture = self._model, self._posture()
        degrees = model.nv
        counts = np.ones(degrees)
        if self._free_root:
            counts[_Z] = 0.0

        def residual(unknown: FloatArray) -> FloatArray:
            moved, action = unknown[:degrees], unknown[degrees:]
            place = self._moved(posture, moved)
            return np.concatenate([_ACCELERATION * self._acceleration(place, action), _POSTURE * counts * moved,
                                   _ACTION * action])

        best = None
        touching = self._drop(posture) if self._free_root else 0.0
        for depth in _DEPTHS if self._free_root else (0.0,):
            start = np.zeros(degrees + model.nu)
            start[_Z] -= touching + depth
            found = least_squares(residual, start, x_scale=np.where(np.arange(len(start)) == _Z, 1e-3, 0.1))
            if best is None or found.cost < best.cost:
                best = found
        assert best is not None
        place, action = self._moved(posture, best.x[:degrees]), best.x[degrees:]
        fastest = np.abs(self._acceleration(place, action)).max()
        if fastest > _LARGEST_ACCELERATION:
            raise ProjectError(
                f"task '{self._task.name}': no equilibrium near lqr.posture, the best one moves by {fastest:.3g} "
                "rad/s²; give another posture"
            )
        return place, action

    def _drop(self, posture: FloatArray) -> float:
        """How far down the root goes until the body touches something, in metres."""
        low, high = 0.0, float(self._model.stat.extent)
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            self._acceleration(self._moved(posture, -middle * np.eye(self._model.nv)[_Z]), np.zeros(self._model.nu))
            low, high = (low, middle) if self._data.ncon else (middle, high)
        return high

    def _posture(self) -> FloatArray:
        """Positions of a reset without noise, with the joints of ``lqr.posture`` at their angles."""
        assert self._task.lqr is not None
        place: FloatArray = self._env.init_qpos.astype(np.float64).copy()
        hinges = {self._model.joint(index).name: index for index in range(int(self._free_root), self._model.njnt)}
        for name, angle in self._task.lqr.posture.items():
            if name not in hinges:
                raise ProjectError(
                    f"task '{self._task.name}': lqr.posture names '{name}'; {self._task.environment} has the joints "
                    f"{', '.join(hinges)}"
                )
            place[self._model.jnt_qposadr[hinges[name]]] = angle
        return place

    def _moved(self, place: FloatArray, by: FloatArray) -> FloatArray:
        new = place.copy()
        self._mujoco.mj_integratePos(self._model, new, by, 1.0)
        return new

    def _acceleration(self, place: FloatArray, action: FloatArray) -> FloatArray:
        self._set(place, np.zeros(self._model.nv))
        self._data.ctrl[:] = action
        self._mujoco.mj_forward(self._model, self._data)
        found: FloatArray = self._data.qacc.copy()
        return found

    def _set(self, place: FloatArray, speed: FloatArray) -> None:
        self._mujoco.mj_resetData(self._model, self._data)
        self._data.qpos[:], self._data.qvel[:] = place, speed

    def _stepped(self, place: FloatArray, states: FloatArray, action: FloatArray) -> FloatArray:
        """States after one environment step from ``states``."""
        degrees = self._model.nv
        self._set(self._moved(place, states[:degrees]), states[degrees:])
        self._data.ctrl[:] = action
        self._mujoco.mj_step(self._model, self._data, nstep=self._env.frame_skip)
        moved = np.zeros(degrees)
        self._mujoco.mj_differentiatePos(self._model, moved, 1.0, place, self._data.qpos)
        return np.concatenate([moved, self._data.qvel])

    def _seen(self, place: FloatArray, states: FloatArray) -> FloatArray:
        """What the environment shows of ``states``, shape (features,)."""
        degrees = self._model.nv
        self._env.set_state(self._moved(place, states[:degrees]), states[degrees:])
        return np.asarray(self._task.flatten(self._env._get_obs()), dtype=np.float64)
