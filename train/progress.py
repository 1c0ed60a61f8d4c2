"""Progress of training on a terminal: episodes, return over the last 100, steps per second, time left."""

from __future__ import annotations

from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from hls4rl.train.training import Standing


class TrainingProgress:
    """One bar a seed, on standard error; call it with a seed and its standing."""

    def __init__(self, label: str, quiet: bool = False) -> None:
        self._label = label
        self._bars: dict[int, TaskID] = {}
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=10),
            TextColumn("{task.completed}/{task.total} episodes, return {task.fields[mean_return]:.1f},"),
            TextColumn("{task.fields[speed]:,.0f} steps/s,"),
            TimeRemainingColumn(elapsed_when_finished=True),
            console=Console(stderr=True, quiet=quiet),
        )

    def __enter__(self) -> TrainingProgress:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def __call__(self, seed: int, standing: Standing) -> None:
        """Show that ``seed`` has come so far."""
        mean, speed = standing.mean_return, standing.steps_per_second
        if seed not in self._bars:
            label = f"{self._label} seed {seed}"
            self._bars[seed] = self._progress.add_task(label, total=standing.episodes, mean_return=mean, speed=speed)
        self._progress.update(self._bars[seed], completed=standing.episode, mean_return=mean, speed=speed)
