"""Every module has its page: the list is read from the folders, and what a package offers can be resolved."""

from __future__ import annotations

import importlib

from tools.api import PACKAGES, modules


def test_all_packages_are_there_and_offer_what_they_say() -> None:
    names = modules()
    for package in ("hls4rl", *(f"hls4rl.{name}" for name in PACKAGES)):
        assert package in names
        module = importlib.import_module(package)
        assert all(hasattr(module, name) for name in getattr(module, "__all__", ())), package
    assert "hls4rl.hls_projects.executors.netlist" in names
    assert not [name for name in names if "__" in name]
