from __future__ import annotations

import re

import pytest
from chains import chain

from hls4rl.errors import ProjectError
from hls4rl.hls_projects.flow.core import expect
from hls4rl.hls_projects.flow.estimate import estimate, resolved
from hls4rl.hls_projects.fpga.parts import load_part
from hls4rl.task import Hardware, load_task
from hls4rl.task import change as change_task

PLACED = [
    # sizes, bits, zeros, units, part; look-up tables, multipliers and block RAMs: synthesised, on the iCE40 placed
    ([17, 64, 64, 6], 8, 0.0, 1, "ecp5-25f", (265, 1, 5)),
    ([17, 64, 64, 6], 8, 0.0, 8, "ecp5-25f", (556, 8, 6)),
    ([17, 256, 256, 6], 3, 0.0, 16, "ecp5-25f", (971, 16, 16)),
    ([17, 256, 256, 6], 3, 0.5, 16, "ecp5-25f", (2004, 16, 33)),  # placed: a trained policy, nearly half zeros
    ([17, 256, 256, 6], 8, 0.0, 16, "ecp5-45f", (1393, 16, 38)),
    ([8, 64, 4], 8, 0.0, 2, "ecp5-25f", (272, 2, 3)),
    ([17, 64, 64, 6], 8, 0.8, 4, "ecp5-25f", (518, 4, 7)),
    ([17, 64, 64, 6], 8, 0.0, 1, "ice40-up5k", (461, 1, 14)),
    ([4, 16, 2], 8, 0.0, 0, "ecp5-25f", (2385, 0, 0)),
    ([6, 32, 3], 4, 0.0, 0, "ecp5-25f", (3670, 0, 0)),
    ([8, 16, 4], 8, 0.0, 0, "ecp5-25f", (5352, 0, 0)),
    ([8, 64, 4], 8, 0.0, 0, "ecp5-25f", (16900, 0, 0)),
]


@pytest.mark.parametrize(("sizes", "bits", "zeros", "units", "part", "synthesised"), PLACED)
def test_estimates_are_within_half_of_what_was_synthesised(
    sizes: list[int], bits: int, zeros: float, units: int, part: str, synthesised: tuple[int, int, int]
) -> None:
    network = chain(sizes, bits, zeros=zeros, input_bits=8, bits=8)
    found = estimate(network, load_part(part), 50.0, 3, units)
    for expected, real in zip((found.lut, found.dsp, found.bram), synthesised, strict=True):
        assert real / 1.5 <= expected <= real * 1.5


def test_the_fewest_units_that_meet_the_latency_are_chosen() -> None:
    network = chain([17, 64, 64, 6], input_bits=8, bits=8)

    def units(latency_us: float | None, part: str = "ecp5-25f") -> int | str:
        return resolved(network, Hardware(part, 100.0, fold="auto", latency_us=latency_us)).fold

    assert units(None) == units(100.0) == 1
    assert units(30.0) == 2
    assert units(8.0) == 8
    assert units(0.001) == 16  # the most that the part has multipliers for
    assert resolved(chain([4, 8, 2], [-1, 1]), Hardware(fold="auto")).fold == 0
    assert resolved(network, Hardware(fold=4)).fold == 4
    with pytest.raises(ProjectError, match="no folded core of this network fits ice40-up5k"):
        resolved(chain([17, 256, 256, 6], input_bits=8), Hardware("ice40-up5k", fold="auto"))


def test_a_long_build_is_refused_with_what_would_be_quicker() -> None:
    network = chain([8, 192, 4], input_bits=8, bits=8)
    with pytest.raises(ProjectError, match=r"quicker: hardware.fold=1 .*hardware.build_minutes=") as caught:
        expect(network, Hardware())
    minutes = re.search(r"build_minutes=(\d+)", str(caught.value))
    assert minutes is not None
    assert expect(network, Hardware(build_minutes=float(minutes[1]))) is not None
    assert expect(network, Hardware(fold=1)) is not None
    assert expect(network, Hardware(inputs_per_clock=4)) is None


def test_fold_is_a_number_or_auto() -> None:
    task = load_task("cartpole")
    for text, value in (("4", 4), ('"auto"', "auto")):
        assert change_task(task, f"hardware.fold={text}")[0].hardware.fold == value
    for text in ('"all"', "-1", "257", "true"):
        with pytest.raises(ProjectError, match=r"hardware\.fold"):
            change_task(task, f"hardware.fold={text}")
