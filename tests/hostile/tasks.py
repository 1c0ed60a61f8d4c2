"""Task files with one wrong value each, for every key that there is; the keys are found in the dataclasses."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hls4rl.errors import ProjectError
from hls4rl.task import Task, load_task

WORD = '"a\\nb`id`$(id)[exec id]\\u0000"'
NUMBERS = ("-1e15", "1e15", "nan", "inf", "-inf", "1e999", '"six"', "true", "[1]", "{ a = 1 }", "1979-05-27", '""')
BAD: dict[type, tuple[str, ...]] = {
    int: (*NUMBERS, "1.5", "-1000000000000000", "1000000000000000", "9" * 30),
    float: NUMBERS,
    str: ("1", "true", "[]", "{ a = 1 }", '""', WORD, '"' + "x" * 2000 + '"'),
    bool: ("1", "0", '"true"', "[]"),
    tuple: ("[]", '["a"]', "1", "[nan]", "[inf]", "{ a = 1 }", "true", "[[1]]", "[0.3]", "[-1]", "[0]", "[1e300]"),
    dict: ("1", "[]", '"a"', "{ a = nan }", "{ a = { b = inf } }", "{ a = 1979-05-27 }", "{ a = [07:32:00] }"),
}
"""TOML values that no key of this type may have."""
GOOD = {
    "observation.offset": {"[0.3]", "[-1]", "[0]"}, "action.range": {"[]"}, "wrappers": {"[]"},
    "lqr.action_cost": {"[0.3]"},
}
"""Those that some key may have all the same."""


@dataclasses.dataclass(frozen=True)
class Key:
    """One key of a task file."""

    name: str
    """As ``section.key``, or ``key``."""
    type: type


def keys() -> list[Key]:
    """Every key that a task file can have."""
    return list(_keys(Task, ""))


def _keys(kind: type[Any], prefix: str) -> Iterator[Key]:
    hints = typing.get_type_hints(kind)
    for item in dataclasses.fields(kind):
        if item.name == "source":  # comes from POLICY= and TEACHER=, never from a file
            continue
        hint = hints[item.name]
        if isinstance(hint, types.UnionType):
            hint = next(kind for kind in typing.get_args(hint) if kind is not type(None))
        if dataclasses.is_dataclass(hint):
            yield from _keys(hint, f"{item.name}.")  # type: ignore[arg-type]
        else:
            yield Key(f"{prefix}{item.name}", typing.get_origin(hint) or hint)


def cases() -> list[tuple[Key, str]]:
    """Each key with each value that it must not have."""
    return [(key, value) for key in keys() for value in BAD[key.type] if value not in GOOD.get(key.name, ())]


def try_value(key: Key, value: str, folder: Path) -> str:
    """What went wrong with a task file that has ``value`` for ``key``; empty: a line refused it and named the key."""
    section, _, name = key.name.rpartition(".")
    settings = {"": {"environment": '"CartPole-v1"'}, "observation": {"scale": "[1]"}}
    settings.setdefault(section, {})[name] = value
    text = "\n".join(
        (f"[{table}]\n" if table else "") + "".join(f"{word} = {content}\n" for word, content in content.items())
        for table, content in settings.items()
    )
    file = folder / "task.toml"
    file.write_text(text, encoding="utf-8")
    try:
        load_task(str(file))
    except ProjectError as error:
        line = str(error)
        return "" if name in line.removeprefix(str(file)) else f"another cause: {line}"
    except BaseException as error:
        return f"{type(error).__name__}: {error}"
    return "accepted"
