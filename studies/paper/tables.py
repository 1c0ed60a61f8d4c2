"""Tables in Markdown: what each cell of the matrix came to, and what an action costs."""

from __future__ import annotations

import numpy as np

from hls4rl.hls_projects import cost as prices
from hls4rl.studies.paper import statistics
from hls4rl.studies.paper.jobs import OWN
from hls4rl.studies.paper.policy_cost import cost_of
from hls4rl.studies.paper.results import Results
from hls4rl.train.methods.compression import compression_rate

DEPLOYED = ("steady", OWN.name)
"""Variants whose policies are worth an accelerator."""


def tables(results: Results) -> str:
    """All tables, one Markdown section each."""
    variants = sorted({cell.variant for cell in results.cells})
    parts = ["# Tables\n", "Brackets: 95 % bootstrap intervals over the policies of a cell.\n"]
    parts += [_returns(results, variant) for variant in variants]
    parts += [_costs(results, variant) for variant in DEPLOYED if variant in variants]
    parts.append(_table_1())
    return "\n".join(parts)


def _returns(results: Results, variant: str) -> str:
    lines = [
        f"## Returns, variant `{variant}`\n",
        "| task | method | hidden | final (sampled) | IQM | deployed (greedy) | worst | solved | episodes to solve |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for cell in results.cells:
        if cell.variant != variant:
            continue
        final, deployed = results.final(cell), results.deployed(cell)
        solved = [episode for episode in results.solved_at(cell) if episode is not None]
        lines.append(
            f"| {cell.task} | {cell.method} | {cell.hidden} | {statistics.mean(final)} "
            f"| {statistics.interquartile_mean(final)} | {statistics.mean(deployed)} | {deployed.min():.1f} "
            f"| {len(solved)} of {len(final)} | {f'{np.median(solved):.0f}' if solved else '–'} |"
        )
    return "\n".join([*lines, ""])


def _costs(results: Results, variant: str) -> str:
    lines = [
        f"## Cost per action of the best deployed `{variant}` policy\n",
        "Energy by the paper's Table I, in pJ, by where the parameters lie: constants in the logic or registers "
        "(nothing is read), block RAM (priced as SRAM), SRAM, DRAM; behind each the same network in float32 from the "
        "same place. Rate: eq. 5, a codebook for each layer.\n",
        "| task | method | hidden | × | + | parameter bits | logic | block RAM | SRAM | DRAM | rate |",
        "|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for cell in (item for item in results.cells if item.variant == variant):
        policy = results.best_policy(cell)
        item = cost_of(policy)
        sizes = [weight.size for weight in policy.weights]
        rate = f"{compression_rate(sizes, 32, policy.spec.clusters):.2f}" if cell.method == "compression" else "–"
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
