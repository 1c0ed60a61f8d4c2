"""The table of the grid's policies of Pong."""

from __future__ import annotations

from hls4rl.studies.paper.pong import GAMES
from hls4rl.studies.paper.results import Results
from hls4rl.studies.paper.statistics import student


def table(results: Results) -> str:
    """What each cell came to; brackets: Student's 95 % intervals over its policies."""
    lines = [
        "# Pong\n",
        f"Final: the last tenth of training, actions drawn. Then the deployed integers in all {GAMES} games: greedy; "
        "drawn; greedy at the paper's pace (2 to 4 pictures an action, in each of which the one before goes on with a "
        "probability of 0.25).\n",
        "| variant | method | hidden | policies | M frames | final | greedy | best | drawn | at the paper's pace |",
        "|---|---|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for cell in results.cells:
        greedy = results.deployed(cell)
        columns = [str(student([results.final(cell)])), str(student([greedy])), f"{greedy.max():.1f}"]
        columns += [str(student([results.measure(cell, name)])) for name in ("sampled", "papers_pace")]
        lines.append(
            f"| `{cell.variant}` | {cell.method} | {cell.hidden} | {len(greedy)} "
            f"| {results.measure(cell, 'frames').mean() / 1e6:.1f} | {' | '.join(columns)} |"
        )
    return "\n".join([*lines, ""])
