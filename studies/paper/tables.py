"""Tables in Markdown: what each cell of the grid came to, and what an action costs."""

from __future__ import annotations

import numpy as np

from hls4rl.contract import FloatArray
from hls4rl.hls_projects import cost as prices
from hls4rl.policy import PolicySpec
from hls4rl.studies.paper import departures, statistics
from hls4rl.studies.paper.checks import Pairs
from hls4rl.studies.paper.jobs import EVALUATION_EPISODES, LONG, NOISE
from hls4rl.studies.paper.results import Cell, Results
from hls4rl.studies.paper.variants import CONTROL_TASKS
from hls4rl.task import load_task
from hls4rl.train.methods.compression import compression_rate

CLUSTERS = PolicySpec.clusters
"""Groups of weights in a layer, unless a policy says otherwise."""

DEPLOYED = ("steady",)
"""Variants whose policies are worth an accelerator."""


def tables(results: Results) -> str:
    """All tables, one Markdown section each."""
    variants = list(dict.fromkeys(cell.variant for cell in results.cells))
    blocks = ["# Tables\n", "Brackets: 95 % intervals over the policies of a cell.\n", step_sizes(results),
             departures.table(results)]
    blocks += [_returns(results, variant) for variant in variants]
    blocks += [costs(results, variant) for variant in DEPLOYED if variant in variants]
    blocks.append(_table_1())
    return "\n".join(blocks)


def step_sizes(results: Results) -> str:
    """One section: what a larger step does, by width: effects without a test."""
    pairs, lines = Pairs(results), [
        "## The size of the step\n",
        "Differences of final returns, paired by seed; `-late`: fp whose step is 8 times as large after the midpoint; "
        "`-update`: `steady`'s baseline and entropy bonus in place of VPG's plain update.\n",
        "| recipe | task | difference | " + " | ".join(f"{width}" for width in results.widths) + " |",
        "|---|---|---|" + "--:|" * len(results.widths),
    ]
    for recipe in ("few-bits", "few-bits-binarynet", "small-step", "paper"):
        for task in CONTROL_TASKS:
            for (one, method), (other, rival) in _COMPARED:
                sides = (recipe + one, method), (recipe + other, rival)
                if not all(pairs.has(variant, task, name) for variant, name in sides):
                    continue
                cells = []
                for width in results.widths:
                    left, right = (Cell(variant, task, name, width) for variant, name in sides)
                    known = left in results and right in results
                    cells.append(str(statistics.Effect([pairs.paired(left, right)])) if known else "–")
                names = [f"{name}{f' ({variant})' if variant != recipe else ''}" for variant, name in sides]
                lines.append(f"| {recipe} | {task} | {' − '.join(names)} | {' | '.join(cells)} |")
    return "\n".join([*lines, ""]) if len(lines) > 4 else ""


_COMPARED = (
    (("", "compression"), ("", "fp")), (("", "compression"), ("-late", "fp")), (("-late", "fp"), ("", "fp")),
    (("", "pruning"), ("", "fp")), (("-update", "binarynet"), ("", "binarynet")),
    (("-update", "binaryconnect"), ("", "binaryconnect")),
)


def _returns(results: Results, variant: str) -> str:
    lines = [
        f"## Returns, variant `{variant}`\n",
        "Final: the last tenth of training, actions sampled. Area: all of training. Then greedy, means of "
        f"{EVALUATION_EPISODES} episodes: as trained; as deployed in integers; over {LONG} steps on CartPole; and so "
        f"with noise of {NOISE:.0%} of each feature's range.\n",
        "| task | method | hidden | rate | final | IQM | area | greedy | deployed | long | noisy | solved | episodes |",
        "|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for cell in results.cells:
        if cell.variant != variant:
            continue
        solved = [episode for episode in results.solved_at(cell) if episode is not None]
        measures = " | ".join(_mean(results.measure(cell, name)) for name in ("greedy", "deployed", "long", "noisy"))
        middle = statistics.interquartile_mean(results.final(cell)).value
        lines.append(
            f"| {cell.task} | {cell.method} | {cell.hidden} | {results.rate(cell):g} "
            f"| {statistics.mean(results.final(cell))} | {middle:.1f} "
            f"| {statistics.mean(results.measure(cell, 'area'))} | {measures} "
            f"| {len(solved)} of {len(results.seeds(cell))} | {f'{np.median(solved):.0f}' if solved else '–'} |"
        )
    return "\n".join([*lines, ""])


def _mean(values: FloatArray) -> str:
    return "–" if np.isnan(values).any() else f"{values.mean():.1f}"


def summary(results: Results, variant: str, task: str, method: str) -> str | None:
    """One row: means over all policies of a method, whatever their width; None if there are none."""
    cells = [
        cell for cell in results.cells if (cell.variant, cell.task, cell.method) == (variant, task, method)
    ]
    if not cells:
        return None
    means = {
        name: _mean(np.concatenate([results.measure(cell, name) for cell in cells]))
        for name in ("area", "long", "noisy")
    }
    final = statistics.Effect([results.final(cell) for cell in cells])
    solved = [episode for cell in cells for episode in results.solved_at(cell)]
    return (
        f"| `{variant}` | {task} | {method} | {len(solved)} | {final} | {means['area']} | {means['long']} "
        f"| {means['noisy']} | {sum(episode is not None for episode in solved)} |"
    )


def costs(results: Results, variant: str) -> str:
    """One section: cost per action of the best policy of each cell."""
    lines = [
        f"## Cost per action of the best deployed `{variant}` policy\n",
        "Energy by the paper's Table I, in pJ, by where the parameters lie: constants in the logic or registers "
        "(nothing is read), block RAM (priced as SRAM), SRAM, DRAM; behind each the same network in float32 from the "
        "same place. Rate: eq. 5, a codebook for each layer.\n",
        "| task | method | hidden | × | + | parameter bits | logic | block RAM | SRAM | DRAM | rate |",
        "|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for cell in (item for item in results.cells if item.variant == variant):
        item, (features, actions) = results.best_cost(cell), load_task(cell.task).spaces
        sizes = [features * cell.hidden, cell.hidden * actions]
        rate = f"{compression_rate(sizes, 32, CLUSTERS):.2f}" if cell.method == "compression" else "–"
        lines.append(
            f"| {cell.task} | {cell.method} | {cell.hidden} | {item.multiplications} | {item.additions} "
            f"| {item.parameter_bits} | {item.energy_pj:.1f} ({item.energy_float32_pj:.0f}) "
            f"| {item.energy_block_ram_pj:.1f} ({item.energy_float32_block_ram_pj:.0f}) "
            f"| {item.energy_sram_pj:.1f} ({item.energy_float32_sram_pj:.0f}) "
            f"| {item.energy_dram_pj:.0f} ({item.energy_float32_dram_pj:.0f}) | {rate} |"
        )
    return "\n".join([*lines, ""])


def _table_1() -> str:
    lines = ["## Table I of the paper (45 nm class)\n", "| operation | pJ | µm² |", "|---|--:|--:|"]
    rows = [f"| {name} | {energy:g} | {'–' if area is None else area} |" for name, energy, area in prices.TABLE_I]
    return "\n".join([*lines, *rows, ""])
