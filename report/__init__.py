"""The report: self-contained pages, JSON and Markdown of everything that was trained, built and searched."""

from hls4rl.report.write import write_reports

__all__ = ["write_reports"]
