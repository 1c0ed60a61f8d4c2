"""Progress of training: episodes, return over the last 100, steps per second, and on a terminal the time left."""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from hls4rl.journal import SECONDS
from hls4rl.train.training import Standing


class TrainingProgress:
    """On standard error: a bar for each seed on a terminal, else a line now and then; call it with both."""

    def __init__(self, label: str, quiet: bool = False) -> None:
        self._label = label
        self._console = Console(stderr=True, quiet=quiet, highlight=False, soft_wrap=True)
        self._bars: dict[int, TaskID] = {}
        self._told: dict[int, float] = {}
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=10),
            TextColumn("{task.fields[standing]},"),
            TimeRemainingColumn(elapsed_when_finished=True),
            console=self._console,
        )

    def __enter__(self) -> TrainingProgress:
        if self._console.is_terminal:
            self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._console.is_terminal:
            self._progress.stop()

    def __call__(self, seed: int, standing: Standing) -> None:
        """Show that ``seed`` has come so far."""
        label = f"{self._label} seed {seed}"
        if not self._console.is_terminal:
            now = time.monotonic()
            if now - self._told.get(seed, -SECONDS) >= SECONDS or standing.episode >= standing.episodes:
                self._told[seed] = now
                self._console.print(f"{label}: {standing}", markup=False)
            return
        if seed not in self._bars:
            self._bars[seed] = self._progress.add_task(label, total=standing.episodes or None, standing=str(standing))
        self._progress.update(self._bars[seed], completed=standing.episode, standing=str(standing))
