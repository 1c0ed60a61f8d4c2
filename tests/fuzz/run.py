"""Runs the properties and the parsers' fuzz, and says how many cases each took.

    python tests/fuzz/run.py [--fraction 0.1] [--seed 1] [--output DIR]
"""

from __future__ import annotations

import argparse
import sys
import time
import traceback
from collections import Counter
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from fuzz.conversion import PROPERTIES
from fuzz.imports import GRAPHS, fuzz_imports
from fuzz.networks import form_of
from fuzz.parsers import SHARES, fuzz_parser
from fuzz.suites import SUITES
from hypothesis import HealthCheck, Phase, given, seed, settings

from hls4rl.artefact import write_json
from hls4rl.network import IntegerNetwork

PHASES = (Phase.explicit, Phase.generate, Phase.shrink)


def run_property(name: str, cases: int, start: int = 0) -> dict[str, Any]:
    """Let hypothesis look for ``cases`` cases of one property; answers how many it tried, and networks by their form.

    Raises:
        AssertionError: the property is wrong about one; hypothesis shows the smallest that it found.
    """
    prove, strategy, _ = PROPERTIES[name]
    count, forms = 0, Counter[str]()

    def property_of(case: Any) -> None:
        nonlocal count
        count += 1
        forms.update(form_of(item) for item in (case if isinstance(case, list) else [case])
                     if isinstance(item, IntegerNetwork))
        prove(case)

    bounded = settings(
        max_examples=cases, deadline=None, database=None, suppress_health_check=list(HealthCheck),
        phases=PHASES if cases > 50 else PHASES[:2],
    )
    bounded(seed(start)(given(strategy)(property_of)))()
    return {"cases": count, **({"forms": dict(sorted(forms.items()))} if forms else {})}


def main() -> None:
    """Run everything; print a line each and, last, the path of the JSON result."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--fraction", type=float, default=1.0, help="of the nightly cases")
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--only", default="", help="words of a property's or parser's name")
    options.add_argument("--output", type=Path, default=Path("build/fuzz"))
    chosen = options.parse_args()
    chosen.output.mkdir(parents=True, exist_ok=True)
    results: dict[str, dict[str, Any]] = {}
    for name, (_, _, cases) in PROPERTIES.items():
        if chosen.only in name:
            wanted = max(1, round(cases * chosen.fraction))
            results[name] = _timed(name, lambda: run_property(name, wanted, chosen.seed))  # noqa: B023
    for name, share in SHARES.items():
        if chosen.only in name:
            wanted = round(share * 1000 * chosen.fraction)
            results[name] = _timed(name, lambda: fuzz_parser(name, chosen.output, wanted, chosen.seed))  # noqa: B023
    if chosen.only in "imported graphs":
        first, wanted = chosen.seed * GRAPHS, round(GRAPHS * chosen.fraction)
        seeds = range(first, first + wanted)
        results["imported graphs"] = _timed("imported graphs", lambda: fuzz_imports(seeds, chosen.output))
    for name, suite in SUITES.items():
        if chosen.only in name:
            results[name] = _timed(name, lambda: suite(chosen.fraction, chosen.seed))  # noqa: B023
    path = chosen.output / "fuzz.json"
    write_json(path, results)
    print(path)
    sys.exit(any("failure" in result for result in results.values()))


def _timed(name: str, work: Any) -> dict[str, Any]:
    start = time.perf_counter()
    try:
        result = dict(work())
    except Exception as error:  # the next property is still to be tried
        traceback.print_exc(limit=-3)
        result = {"failure": f"{type(error).__name__}: {error}"[:2000]}
    result["seconds"] = round(time.perf_counter() - start, 1)
    print(f"{name}: {result}", flush=True)
    return result


if __name__ == "__main__":
    main()
