"""Numba's compiler with this project's options, as decorators that keep a function's type."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from numba import njit

Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(function: Function) -> Function:
    """Compile ``function`` at its first call, keep the result on disk, and run it without the interpreter's lock.

    Divisions are not checked for zero, which would keep loops from running side by side (``error_model``).
    The kept result of a caller holds its callees too, and is renewed when the *caller's* file changes: after a change
    to a callee in another file, remove ``train/__pycache__``.
    """
    decorated: Function = njit(cache=True, nogil=True, error_model="numpy")(function)
    return decorated


def compiled_any_order(function: Function) -> Function:
    """As :func:`compiled`, and sums may be taken in any order, so that they run side by side."""
    decorated: Function = njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "nsz"})(function)
    return decorated
