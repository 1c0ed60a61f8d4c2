"""The API pages: one for each module, from its docstrings, below ``build/api`` (`make api`)."""

from __future__ import annotations

import argparse
import importlib
import warnings
from pathlib import Path

import pdoc
import pdoc.render

PROJECT = Path(__file__).resolve().parent.parent
PACKAGES = ("train", "export", "hls_projects", "firmware", "studies", "report")


def modules() -> list[str]:
    """Names of all modules of ours but the command, which has ``--help``."""
    root = PROJECT / "hls4rl"
    paths = [*root.glob("*.py"), *(path for name in PACKAGES for path in (root / name).rglob("*.py"))]
    names = {".".join(path.relative_to(PROJECT).with_suffix("").parts).removesuffix(".__init__") for path in paths}
    return sorted(name for name in names if not name.endswith("__main__"))


def write(folder: Path) -> int:
    """Write the pages of all modules; gives their number.

    Raises:
        UserWarning: something that is to be documented cannot be resolved.
    """
    names = modules()
    loaded = [importlib.import_module(name) for name in names]
    for module in loaded:  # what is loaded on first use stands in the pages too
        for public in getattr(module, "__all__", ()):
            setattr(module, public, getattr(module, public))
    for module in loaded:  # no page has private classes, and Brevitas' injectors cannot be looked at
        for name in [name for name, value in vars(module).items() if name[0] == "_" and isinstance(value, type)]:
            delattr(module, name)
    pdoc.render.configure(docformat="google", search=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # packages bring their modules along; annotations of a check only
        warnings.filterwarnings("error", message=".*(does not resolve|[Ee]rror importing|[Ee]rror loading)")
        pdoc.pdoc(*names, output_directory=folder)
    return len(names)


def main() -> None:
    """Write the pages and, last, print the path of the first one."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--output", type=Path, default=PROJECT / "build" / "api")
    folder = options.parse_args().output
    count = write(folder)
    print(f"{count} modules")
    print(folder / "index.html")


if __name__ == "__main__":
    main()
