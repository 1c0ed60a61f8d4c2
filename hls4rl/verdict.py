"""Whether a policy solves its task, and whether what is deployed does as well as what was trained; said aloud."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from hls4rl.contract import FloatArray

_NORMAL_95 = 1.96


def interval(returns: FloatArray) -> float | None:
    """Half the width of the mean's 95 % confidence interval; None where there is one return only."""
    return float(_NORMAL_95 * returns.std(ddof=1) / math.sqrt(len(returns))) if len(returns) > 1 else None


def is_solved(mean_return: float | None, solved_from: float | None) -> bool | None:
    """Whether a policy of ``mean_return`` solves a task that is solved from ``solved_from`` on; None: unknown."""
    return None if mean_return is None or solved_from is None else mean_return >= solved_from


def solved_markup(mean_return: float | None, solved_from: float | None) -> str:
    """The same for people, in rich's markup; loud where the task is not solved."""
    solved = is_solved(mean_return, solved_from)
    if solved is None:
        return "– (the task's file doesn't say from which return on)"
    if solved:
        return f"[green]yes[/green] (from {solved_from:g} on)"
    return f"[bold red]NOT SOLVED[/bold red] ({mean_return:.2f}, solved from {solved_from:g} on)"


@dataclass(frozen=True)
class Verdict:
    """What the evaluation after training found: the deployed policy is greedy, the one that was trained sampled."""

    greedy_return: float | None = None
    """Mean over the evaluation episodes, of the likeliest actions: what the chip plays."""
    greedy_interval: float | None = None
    """See :func:`interval`."""
    sampled_return: float | None = None
    """Likewise, of actions drawn from the softmax: what training maximised."""
    sampled_interval: float | None = None
    solved_from: float | None = None
    """Mean return from which the task counts as solved."""

    @classmethod
    def of(cls, found: Mapping[str, Any]) -> Verdict:
        """What :meth:`to_json` said, among other things; whatever is missing is unknown."""
        return cls(**{name: found.get(name) for name in cls.__dataclass_fields__})

    @property
    def differ(self) -> bool | None:
        """Whether greedy and sampled returns differ by more than both intervals allow; None: unknown."""
        if self.greedy_interval is None or self.sampled_interval is None:
            return None
        assert self.greedy_return is not None
        assert self.sampled_return is not None
        return abs(self.greedy_return - self.sampled_return) > math.hypot(self.greedy_interval, self.sampled_interval)

    def to_json(self) -> dict[str, Any]:
        """All of it by name, with what follows from it."""
        solved = is_solved(self.greedy_return, self.solved_from)
        return {**asdict(self), "solved": solved, "sampled_differs": self.differ}

    @property
    def sampled_markup(self) -> str:
        """The sampled return and its interval, for people."""
        return "–" if self.sampled_return is None else with_interval(self.sampled_return, self.sampled_interval)

    def warnings(self) -> list[str]:
        """What people should know of how the two returns differ, in rich's markup; empty where they don't."""
        if not self.differ:
            return []
        assert self.greedy_return is not None
        assert self.sampled_return is not None
        both = (
            f"greedy {with_interval(self.greedy_return, self.greedy_interval)}, "
            f"sampled {with_interval(self.sampled_return, self.sampled_interval)}"
        )
        if self.greedy_return > self.sampled_return:
            return [f"[yellow]note[/yellow]: the chip plays greedily, better than the policy that was trained: {both}"]
        return [
            f"[bold yellow]warning[/bold yellow]: the chip plays greedily, and worse than the policy that was trained: "
            f"{both}; train for longer, or with less training.entropy, so that it grows sure of its actions"
        ]

    def lines(self) -> list[str]:
        """All of it for people, in rich's markup."""
        if self.greedy_return is None:
            return []
        return [
            f"greedy return {with_interval(self.greedy_return, self.greedy_interval)}, sampled {self.sampled_markup}; "
            f"solved: {solved_markup(self.greedy_return, self.solved_from)}", *self.warnings(),
        ]


def with_interval(mean: float, half: float | None) -> str:
    """A mean and half of its interval for people."""
    return f"{mean:.2f}" if half is None else f"{mean:.2f} ± {half:.2f}"
