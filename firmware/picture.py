"""One episode in pictures: the environment, drawn while the board drives it, and kept as a GIF."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from hls4rl.backend import Backend
from hls4rl.task import Task
from hls4rl.wrappers import draw_without_screen, has_screen

WIDTH = 360
"""Of the GIF, in pixels."""
EVERY = 2
"""Steps from one picture of the GIF to the next."""
_MILLISECONDS = 40
_LINE, _MARGIN = 14, 8
"""Of the caption, in pixels."""
_BESIDE, _A_LINE = 4, 10
"""Numbers of an action that fit beside the rest of the caption, and on a line of their own."""
Frame = NDArray[np.uint8]


def film(task: Task, board: Backend, software: Backend, seed: int, path: Path, caption: str) -> dict[str, Any]:
    """Play one episode with ``board``'s actions, show it where there is a screen, and write a GIF to ``path``.

    Args:
        seed: of the environment.
        caption: what the picture says besides the step and the action.

    Returns:
        return, steps and mismatches (against ``software``).
    """
    draw_without_screen()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pygame's own, about the packaging library that it imports
        import pygame  # noqa: F401 (Gymnasium draws with it)
    env = task.make_drawn()
    observation, _ = env.reset(seed=seed)
    frames: list[Image.Image] = []
    total, steps, mismatches, over = 0.0, 0, 0, False
    window = _Window() if has_screen() else None
    while not over:
        integers = task.integers(task.flatten(observation)[None])
        action = board.infer(integers).actions[0]
        mismatches += not np.array_equal(action, software.infer(integers).actions[0])
        if window is not None or steps % EVERY == 0:
            drawn: Frame = np.asarray(env.render(), dtype=np.uint8)
            text = f"{caption}   step {steps + 1}   mismatches {mismatches}"
            picture = _captioned(drawn, _lines(text, action.tolist()))
            if window is not None:
                window.show(picture)
            if steps % EVERY == 0:
                frames.append(picture)
        steps += 1
        observation, reward, terminated, truncated, _ = env.step(task.actions.decode(action))
        total += float(reward)
        over = terminated or truncated
    env.close()
    _save(frames, path)
    return {"return": total, "steps": steps, "mismatches": mismatches}


def _lines(text: str, action: list[int]) -> list[str]:
    """As many for every action of the same size."""
    if len(action) <= _BESIDE:
        return [f"{text}   action {' '.join(map(str, action))}"]
    rows = [" ".join(map(str, action[start:start + _A_LINE])) for start in range(0, len(action), _A_LINE)]
    return [text, f"action {rows[0]}", *rows[1:]]


def _captioned(frame: Frame, lines: list[str]) -> Image.Image:
    picture = Image.fromarray(frame)
    height = round(picture.height * WIDTH / picture.width)
    canvas = Image.new("RGB", (WIDTH, height + _LINE * len(lines) + _MARGIN), "white")
    canvas.paste(picture.resize((WIDTH, height)), (0, 0))
    ImageDraw.Draw(canvas).text((6, height + 5), "\n".join(lines), fill="black", spacing=2)
    return canvas


def _save(frames: list[Image.Image], path: Path) -> None:
    few = [frame.quantize(32, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE) for frame in frames]
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    few[0].save(partial, format="GIF", save_all=True, append_images=few[1:], duration=EVERY * _MILLISECONDS, loop=0)
    partial.replace(path)


class _Window:
    """A window that shows pictures."""

    def __init__(self) -> None:
        import pygame

        self._pygame = pygame
        pygame.display.init()
        self._surface: Any = None

    def show(self, picture: Image.Image) -> None:
        """Show ``picture`` for one frame's time."""
        pygame = self._pygame
        if self._surface is None:
            self._surface = pygame.display.set_mode(picture.size)
            pygame.display.set_caption("hls4rl: driven by the board")
        pygame.event.pump()
        self._surface.blit(pygame.image.frombytes(picture.tobytes(), picture.size, "RGB"), (0, 0))
        pygame.display.flip()
        pygame.time.wait(_MILLISECONDS)
