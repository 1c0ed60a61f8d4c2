from __future__ import annotations

import pytest

from tools import space


@pytest.mark.parametrize(("build", "free", "refused"), [("CPU", 2.0, True), ("CPU", 3.0, False), ("CUDA", 6.0, True)])
def test_a_disk_that_is_too_small_is_told_before_anything_is_fetched(
    build: str, free: float, refused: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("SPACE", raising=False)
    monkeypatch.setattr(space, "build_of_torch", lambda: build)
    monkeypatch.setattr(space, "free_gigabytes", lambda: free)
    if not refused:
        space.main()
        assert "2.2 GB" in capsys.readouterr().out
        return
    with pytest.raises(SystemExit, match=rf"the environment takes .* {build} build, and {free} GB are free") as told:
        space.main()
    assert ("PIP_EXTRA_INDEX_URL" in str(told.value)) == (build == "CUDA")
    monkeypatch.setenv("SPACE", "enough")
    space.main()


def test_pip_says_which_build_it_would_take() -> None:
    assert space.build_of_torch() in space.GIGABYTES
    assert space.free_gigabytes() > 0
