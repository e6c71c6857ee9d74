"""Compiled code is kept where it can be written, and nobody else's code is taken for one's own."""

from __future__ import annotations

import tempfile
from pathlib import Path

import platformdirs
import pytest

from envs.core.cache import cache_folder


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home and a folder of temporary files of one's own; a file stands where a folder that can't be written to would."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(platformdirs, "user_cache_dir", lambda name: str(tmp_path / "home" / name))
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path / "temporary"))
    return tmp_path


def test_the_folder_is_beside_a_package_that_can_be_written_to(places: Path) -> None:
    assert cache_folder(places / "package") == places / "package" / "__pycache__"


def test_a_package_that_can_not_be_written_to_has_it_in_the_users_cache(places: Path) -> None:
    (places / "package").touch()
    assert cache_folder(places / "package") == places / "home" / "metabalance"


def test_without_a_home_it_is_the_users_own_temporary_folder_from_run_to_run(places: Path) -> None:
    for name in ("package", "home"):
        (places / name).touch()
    folder = cache_folder(places / "package")
    assert folder.parent == places / "temporary"
    assert folder.stat().st_mode & 0o077 == 0
    assert cache_folder(places / "package") == folder


def test_a_temporary_folder_that_others_can_write_to_is_not_taken(places: Path) -> None:
    for name in ("package", "home"):
        (places / name).touch()
    open_to_all = cache_folder(places / "package")
    open_to_all.chmod(0o777)
    folder = cache_folder(places / "package")
    assert folder != open_to_all
    assert folder.stat().st_mode & 0o077 == 0
