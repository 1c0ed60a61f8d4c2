"""Before the environment is filled: how much it will take, and whether the disk has it. By the standard library alone.

Run by the Python of the new environment, whose pip is asked which build of PyTorch it would take.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
GIGABYTES = {"CPU": 2.2, "CUDA": 7.0}
"""Of the environment, and of what pip has in its temporary folder meanwhile."""
HINT = "PyTorch's CPU build takes a third: make PIP_EXTRA_INDEX_URL=<PyTorch's index of CPU builds>, see README.md"


def build_of_torch() -> str:
    """CPU or CUDA, whichever pip would install; CUDA where pip cannot say."""
    wanted = next(line for line in (PROJECT / "constraints.txt").read_text(encoding="utf-8").splitlines()
                  if line.startswith("torch=="))
    done = subprocess.run(
        [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", "install", "--dry-run", "--no-deps",
         "--ignore-installed", "--report", "-", wanted],
        capture_output=True, text=True, check=False,
    )
    try:
        version = str(json.loads(done.stdout)["install"][0]["metadata"]["version"])
    except (ValueError, LookupError):
        return "CUDA"
    return "CPU" if version.endswith("+cpu") else "CUDA"


def free_gigabytes() -> float:
    """On the fuller of the two disks that are written to."""
    return min(shutil.disk_usage(place).free for place in (PROJECT, tempfile.gettempdir())) / 1e9


def main() -> None:
    """Say what is made; end with status 1 where the disk is too small."""
    build = build_of_torch()
    need, free = GIGABYTES[build], free_gigabytes()
    if os.environ.get("SPACE") != "enough" and free < need:
        hint = f" {HINT};" if build == "CUDA" else ""
        sys.exit(f"error: the environment takes {need} GB with PyTorch's {build} build, and {free:.1f} GB are free;"
                 f"{hint} free some space, give TMPDIR on another disk, or say make SPACE=enough if you know better")
    print(f"making {sys.prefix} with PyTorch's {build} build: {need} GB, once …", flush=True)
    if build == "CUDA":
        print(f"  {HINT}", flush=True)


if __name__ == "__main__":
    main()
