"""What we depend on: known weaknesses of the pinned versions (`make audit`), and their licences (`make licences`)."""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from pathlib import Path

from hls4rl.errors import ProjectError

PROJECT = Path(__file__).resolve().parent.parent
CONSTRAINTS = PROJECT / "constraints.txt"
LOCKS = sorted(PROJECT.glob("requirements*.lock"))
LICENCES = PROJECT / "docs" / "licences.md"
_LICENCES_HEAD = """# Licences of what we depend on

Made by `make licences`, from what the packages in the virtual environment say of themselves (torch in its CPU build).
hls4rl itself is Apache-2.0 and copies none of them into its tree. What it generates does: a core's Verilog holds
modules of alkaid, the C++ project headers of hls4ml.

"""


def pins(*paths: Path) -> dict[str, str]:
    """Versions by normalised names, of constraints or lock files."""
    text = "\n".join(path.read_text(encoding="utf-8") for path in paths)
    found = re.findall(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", text, re.MULTILINE)
    return {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in found}


def audit(tools: Path) -> list[str]:
    """One line for each known weakness of a pinned version; ``tools`` is the folder with pip-audit.

    Raises:
        ProjectError: the index of weaknesses does not answer.
    """
    command = [str(tools / "pip-audit"), "-r", str(CONSTRAINTS), "--no-deps", "--disable-pip", "-f", "json",
               "--progress-spinner", "off"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        packages = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError) as error:
        reason = (done.stderr.strip().splitlines() or ["no output"])[-1]
        raise ProjectError(f"the index of weaknesses does not answer ({reason}); try again with a network") from error
    if len(packages) < len(pins(CONSTRAINTS)):
        raise ProjectError(f"pip-audit looked at {len(packages)} of {len(pins(CONSTRAINTS))} packages only")
    unknown = [item["name"] for item in packages if "skip_reason" in item]
    if len(unknown) == len(packages):
        raise ProjectError("the index of weaknesses knows none of the packages; try where the whole index answers")
    lines = [f"{item['name']} {item['version']}: {found['id']}, mended in {', '.join(found['fix_versions']) or 'none'}"
             for item in packages for found in item.get("vulns", ())]
    print(f"{len(packages) - len(unknown)} packages asked about, {len(lines)} known weaknesses"
          + (f"; the index does not know {', '.join(unknown)}" if unknown else ""))
    return lines


def licences(tools: Path, python: Path) -> None:
    """Write :data:`LICENCES` of all pinned packages that ``python`` has."""
    command = [str(tools / "pip-licenses"), f"--python={python}", "--format=markdown", "--with-urls", "--with-system",
               "--order=name", "--packages", *sorted(pins(*LOCKS) | {"torch": ""})]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    LICENCES.write_text(_LICENCES_HEAD + done.stdout, encoding="utf-8")
    print(LICENCES)


def main() -> None:
    """Run one of the two."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("what", choices=["audit", "licences"])
    options.add_argument("tools", type=Path, help="folder with pip-audit and pip-licenses")
    chosen = options.parse_args()
    try:
        if chosen.what == "licences":
            licences(chosen.tools, Path(sys.executable))
            return
        lines = audit(chosen.tools)
    except ProjectError as error:
        sys.exit(f"error: {error}")
    print("\n".join(lines))
    sys.exit(bool(lines))


if __name__ == "__main__":
    main()
