"""Gymnasium's CartPole and Acrobot as compiled functions, equal to the originals bit for bit.

The arithmetic follows gymnasium 1.4 ``classic_control/cartpole.py`` and ``acrobot.py`` operation by operation, so that
no rounding differs; the tests hold both against each other. Only training uses these; evaluation never does.
"""

from __future__ import annotations

import math

import numpy as np

from hls4rl.contract import FloatArray
from hls4rl.train.compiled import compiled

CARTPOLE, ACROBOT = 0, 1
COMPILED = {"CartPole-v0": CARTPOLE, "CartPole-v1": CARTPOLE, "Acrobot-v1": ACROBOT}
"""Number of the compiled functions for each environment id. The time limit is the caller's business."""

STATE_SIZE = 4


@compiled
def reset(environment: int, rng: np.random.Generator, state: FloatArray) -> None:
    """Draw a start ``state``, shape (4,), as ``env.reset()`` does from ``env.np_random``."""
    reach = 0.05 if environment == CARTPOLE else 0.1
    for index in range(STATE_SIZE):
        value = rng.uniform(-reach, reach)
        state[index] = value if environment == CARTPOLE else np.float32(value)


@compiled
def observe(environment: int, state: FloatArray, observation: FloatArray) -> None:
    """Write what the agent sees of ``state``: float32 values in a float64 array, shape (features,)."""
    if environment == CARTPOLE:
        for index in range(STATE_SIZE):
            observation[index] = np.float32(state[index])
    else:
        observation[0] = np.float32(math.cos(state[0]))
        observation[1] = np.float32(math.sin(state[0]))
        observation[2] = np.float32(math.cos(state[1]))
        observation[3] = np.float32(math.sin(state[1]))
        observation[4] = np.float32(state[2])
        observation[5] = np.float32(state[3])


@compiled
def step(environment: int, state: FloatArray, action: int) -> tuple[float, bool]:
    """Advance ``state`` in place; returns the reward and whether the episode has terminated."""
    if environment == CARTPOLE:
        return _step_cartpole(state, action)
    return _step_acrobot(state, action)


@compiled
def _step_cartpole(state: FloatArray, action: int) -> tuple[float, bool]:
    gravity, pole_mass, half_length, interval = 9.8, 0.1, 0.5, 0.02
    total_mass = pole_mass + 1.0
    pole_moment = pole_mass * half_length
    x, x_dot, theta, theta_dot = state[0], state[1], state[2], state[3]
    force = 10.0 if action == 1 else -10.0
    cosine, sine = math.cos(theta), math.sin(theta)
    common = (force + pole_moment * (theta_dot * theta_dot) * sine) / total_mass
    theta_acceleration = (gravity * sine - cosine * common) / (
        half_length * (4.0 / 3.0 - pole_mass * (cosine * cosine) / total_mass)
    )
    x_acceleration = common - pole_moment * theta_acceleration * cosine / total_mass
    state[0] = x + interval * x_dot
    state[1] = x_dot + interval * x_acceleration
    state[2] = theta + interval * theta_dot
    state[3] = theta_dot + interval * theta_acceleration
    limit = 12 * 2 * math.pi / 360
    return 1.0, state[0] < -2.4 or state[0] > 2.4 or state[2] < -limit or state[2] > limit


@compiled
def _step_acrobot(state: FloatArray, action: int) -> tuple[float, bool]:
    torque, interval = action - 1.0, 0.2
    half = interval / 2.0
    a0, a1, a2, a3 = state[0], state[1], state[2], state[3]
    # Runge-Kutta of fourth order over one interval
    p0, p1, p2, p3 = _acrobot_slope(a0, a1, a2, a3, torque)
    q0, q1, q2, q3 = _acrobot_slope(a0 + half * p0, a1 + half * p1, a2 + half * p2, a3 + half * p3, torque)
    r0, r1, r2, r3 = _acrobot_slope(a0 + half * q0, a1 + half * q1, a2 + half * q2, a3 + half * q3, torque)
    s0, s1, s2, s3 = _acrobot_slope(
        a0 + interval * r0, a1 + interval * r1, a2 + interval * r2, a3 + interval * r3, torque
    )
    sixth = interval / 6.0
    state[0] = _wrap(a0 + sixth * (p0 + 2 * q0 + 2 * r0 + s0))
    state[1] = _wrap(a1 + sixth * (p1 + 2 * q1 + 2 * r1 + s1))
    state[2] = _bound(a2 + sixth * (p2 + 2 * q2 + 2 * r2 + s2), 4 * math.pi)
    state[3] = _bound(a3 + sixth * (p3 + 2 * q3 + 2 * r3 + s3), 9 * math.pi)
    terminated = -math.cos(state[0]) - math.cos(state[1] + state[0]) > 1.0
    return (0.0 if terminated else -1.0), terminated


@compiled
def _acrobot_slope(
    theta1: float, theta2: float, speed1: float, speed2: float, torque: float
) -> tuple[float, float, float, float]:
    # Both links: mass 1, length 1, centre of mass at 0.5, moment of inertia 1; the equations of Sutton and Barto's book
    mass, length, centre, inertia, gravity = 1.0, 1.0, 0.5, 1.0, 9.8
    cosine, sine = math.cos(theta2), math.sin(theta2)
    d1 = (
        mass * centre**2 + mass * (length**2 + centre**2 + 2 * length * centre * cosine) + inertia + inertia
    )
    d2 = mass * (centre**2 + length * centre * cosine) + inertia
    phi2 = mass * centre * gravity * math.cos(theta1 + theta2 - math.pi / 2.0)
    phi1 = (
        -mass * length * centre * _square(speed2) * sine
        - 2 * mass * length * centre * speed2 * speed1 * sine
        + (mass * centre + mass * length) * gravity * math.cos(theta1 - math.pi / 2)
        + phi2
    )
    acceleration2 = (
        torque + d2 / d1 * phi1 - mass * length * centre * _square(speed1) * sine - phi2
    ) / (mass * centre**2 + inertia - _square(d2) / d1)
    acceleration1 = -(d2 * acceleration2 + phi1) / d1
    return speed1, speed2, acceleration1, acceleration2


@compiled
def _square(value: float) -> float:
    # NumPy's scalar ** 2 calls the C library's pow, which differs from value·value in the last bit once in a thousand.
    # LLVM would make value·value of a constant 2, so the exponent is one that it cannot know.
    return math.pow(value, 2.0 + 0.0 * value)


@compiled
def _wrap(angle: float) -> float:
    while angle > math.pi:
        angle = angle - 2 * math.pi
    while angle < -math.pi:
        angle = angle + 2 * math.pi
    return angle


@compiled
def _bound(value: float, limit: float) -> float:
    return min(max(value, -limit), limit)
