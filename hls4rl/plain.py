"""Files of plain data, TOML and JSON, as frozen dataclasses: each key and type is checked, whoever wrote the file."""

from __future__ import annotations

import dataclasses
import json
import math
import tomllib
import types
import typing
from pathlib import Path
from typing import Any

from hls4rl.errors import ProjectError
from hls4rl.renamed import RENAMED

MAXIMUM_TOML_BYTES = 1 << 20
MAXIMUM_JSON_BYTES = 1 << 28


def read_toml(path: Path, what: str) -> dict[str, Any]:
    """The content of the TOML file ``path``, which is to be ``what`` ("task file").

    Raises:
        ProjectError: it's too large (told before it's read) or not valid TOML.
    """
    if path.stat().st_size > MAXIMUM_TOML_BYTES:
        raise ProjectError(f"{path}: larger than {MAXIMUM_TOML_BYTES} bytes; this is no {what}")
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:  # a wrong encoding and digits without end are ValueErrors too
        raise ProjectError(f"{path}: not valid TOML: {' '.join(str(error).split())[:200]}") from error


def read_json(path: Path, remedy: str) -> dict[str, Any]:
    """The object in the JSON file ``path``.

    Raises:
        ProjectError: it's missing, too large or not whole; the message ends in ``remedy``.
    """
    try:
        if path.stat().st_size > MAXIMUM_JSON_BYTES:
            raise ValueError(f"larger than {MAXIMUM_JSON_BYTES} bytes")
        data = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(data, dict):
            raise ValueError("no JSON object")
    except (OSError, ValueError, RecursionError) as error:
        reason = error.strerror if isinstance(error, OSError) else " ".join(str(error).split())
        raise ProjectError(f"{path}: not readable ({reason}); {remedy}") from error
    return data


def build(kind: type[Any], data: dict[str, Any], where: str, section: str = "") -> Any:
    """A ``kind`` (dataclass) of the keys in ``data``.

    Args:
        where: file, for messages.
        section: put before each key in messages.

    Raises:
        ProjectError: a key is unknown or missing, or a value of another type; the message names it.
    """
    hints = typing.get_type_hints(kind)
    known = {item.name: item for item in dataclasses.fields(kind)}
    for key in data:
        if key not in known:
            if new := RENAMED.get(f"{section}{key}"):
                raise ProjectError(f"{where}: '{section}{key}' is now called '{new}'; rename it")
            raise ProjectError(
                f"{where}: unknown key '{section}{key}'; known keys there are {', '.join(sorted(known))}"
            )
    missing = [
        key for key, item in known.items()
        if key not in data and item.default is dataclasses.MISSING and item.default_factory is dataclasses.MISSING
    ]
    if missing:
        raise ProjectError(f"{where}: key '{section}{missing[0]}' is missing; add it")
    values = {key: _value(hints[key], value, where, f"{section}{key}") for key, value in data.items()}
    try:
        return kind(**values)
    except ValueError as error:  # the class checks its own ranges
        raise ProjectError(f"{where}: {section.rstrip('.') or kind.__name__}: {error}") from error


def _value(hint: Any, value: Any, where: str, key: str) -> Any:
    if isinstance(hint, types.UnionType):
        if value is None:
            return None
        kinds = [item for item in typing.get_args(hint) if item is not type(None)]
        hint = str if isinstance(value, str) and str in kinds else kinds[0]
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        if not isinstance(value, dict):
            raise ProjectError(f"{where}: '{key}' is a table; write [{key}] and its keys below")
        return build(hint, value, where, f"{key}.")
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is tuple:
        if not isinstance(value, list):
            raise ProjectError(f"{where}: '{key}' is a list, not {_short(value)}")
        return tuple(_value(arguments[0], item, where, key) for item in value)
    if origin is dict:
        if not isinstance(value, dict):
            raise ProjectError(f"{where}: '{key}' is a table; write [{key}] and its keys below")
        return {name: _value(arguments[1], item, where, f"{key}.{name}") for name, item in value.items()}
    return value if hint is Any else _scalar(hint, value, where, key)


def _scalar(hint: type[Any], value: Any, where: str, key: str) -> Any:
    if hint is float and isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1 << 63:
        value = float(value)
    if not isinstance(value, hint) or (isinstance(value, bool) and hint is not bool):
        raise ProjectError(f"{where}: '{key}' is of type {hint.__name__}, not {_short(value)}")
    if (isinstance(value, float) and not math.isfinite(value)) or (isinstance(value, int) and abs(value) >= 1 << 63):
        raise ProjectError(f"{where}: '{key}' is out of any range; give a number of ordinary size")
    return value


def _short(value: Any) -> str:
    try:
        text = repr(value)
    except ValueError:  # integers of thousands of digits
        return "that"
    return text if len(text) <= 80 else f"{text[:77]}…"
