"""The verb ``report``: one page for each task, and one over all of them."""

from __future__ import annotations

import sys

from rich.console import Console

from hls4rl.cli import print_result
from hls4rl.options import Root
from hls4rl.report import write_reports
from hls4rl.run import RUNS


def report(root: Root = RUNS) -> None:
    """Write report.html, report.json and report.md for each task below the root, and over all of them."""
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 132)
    with console.status("reading runs, drawing …"):
        path = write_reports(root)
    console.print(f"open {path.with_suffix('.html')}")
    print_result(path)

