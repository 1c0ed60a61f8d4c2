"""The smallest accelerator that solves a task: a search over methods, widths, bits and pipelines, placed for real."""

from hls4rl.studies.explore.search import explore

__all__ = ["explore"]
