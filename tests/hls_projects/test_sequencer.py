from __future__ import annotations

import pytest
from chains import chain

from hls4rl.errors import ProjectError
from hls4rl.hls_projects.prove.sequencer import prove_sequencer

FAULTS = {
    "a group that ends a clock late": ("step == period &&", "step == period + 1'b1 &&"),
    "inputs that are read on": ("else if (final_step) issuing <= 0;", ""),
    "a start that does not wait": ("start = loaded && !pending", "start = loaded"),
    "one feature too many": ("place == FEATURES - 1", "place == FEATURES"),
    "the half that was left": ("half <= !last && !half", "half <= !half"),
}


@pytest.mark.parametrize("units", [1, 4])
def test_the_sequencer_s_invariants_hold_for_all_time(units: int) -> None:
    prove_sequencer(chain([5, 9, 7, 3], 4), units)


@pytest.mark.parametrize("fault", FAULTS)
def test_the_proof_finds_faults(fault: str) -> None:
    with pytest.raises(ProjectError, match="are not proven"):
        prove_sequencer(chain([5, 9, 7, 3], 4), 2, FAULTS[fault])
