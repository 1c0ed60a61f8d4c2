"""``make lock``: the lock files, of what every command needs and, beyond that, of each extra; by the standard library.

usage: locks.py UV "UNLOCKED …" EXTRA …
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent


def entries(text: str) -> dict[str, str]:
    """The lines of each package in a lock file, by its name."""
    found = re.split(r"\n(?=[A-Za-z0-9])", "\n" + text.rstrip())[1:]
    return {re.split(r"[=; ]", item)[0].lower().replace("_", "-"): item for item in found}


def compiled(uv: str, unlocked: list[str], extras: list[str]) -> tuple[str, dict[str, str]]:
    """uv's heading, and the packages that the project with ``extras`` takes."""
    text = subprocess.run(
        [uv, "pip", "compile", "--quiet", "--universal", "--python-version", "3.11", "--generate-hashes",
         "--no-annotate", "--custom-compile-command", "make lock", "-c", "constraints.txt",
         *(f"--no-emit-package={name}" for name in unlocked), *(f"--extra={name}" for name in extras),
         "pyproject.toml"],
        cwd=PROJECT, capture_output=True, text=True, check=True,
    ).stdout
    return text.partition("make lock\n")[0] + "make lock\n", entries(text)


def main(uv: str, unlocked: str, *extras: str) -> None:
    """Write ``requirements.lock``, and ``requirements-<extra>.lock`` with what that extra adds."""
    heading, base = compiled(uv, unlocked.split(), [])
    (PROJECT / "requirements.lock").write_text(heading + "\n".join(base.values()) + "\n", encoding="utf-8")
    for extra in extras:
        _, whole = compiled(uv, unlocked.split(), [extra])
        added = [item for name, item in whole.items() if name not in base]
        path = PROJECT / f"requirements-{extra}.lock"
        path.write_text(heading + "\n".join(added) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
