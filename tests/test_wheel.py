"""A wheel that is installed where nobody may write works from any folder, for a user with a home and for one without."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("envs", "hierarchy", "runs")
RUN = """
import envs
from envs.spark.config import SparkConfig
batch = envs.make(SparkConfig(), 2, seed=1)
batch.reset()
batch.step([3, 4])
from numba import config
print(envs.__file__)
print(config.CACHE_DIR)
"""
"""The kernels of the stream world compile in seconds."""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built of a copy of the sources, so that nothing is left beside them."""
    sources, out = tmp_path_factory.mktemp("sources"), tmp_path_factory.mktemp("wheel")
    leave = shutil.ignore_patterns("__pycache__", "out")
    for name in PACKAGES:
        shutil.copytree(ROOT / name, sources / name, ignore=leave)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, sources)
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", out, sources]
    subprocess.run(build, check=True)
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture
def site(wheel: Path, tmp_path: Path) -> Iterator[Path]:
    """The wheel unpacked, as an installation does it, with no right to write for anybody."""
    folder = tmp_path / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    for path in (folder, *folder.rglob("*")):
        path.chmod(path.stat().st_mode & ~0o222)
    yield folder
    for path in (folder, *folder.rglob("*")):
        path.chmod(path.stat().st_mode | 0o200)


def bound() -> list[str]:
    """What runs a command under the rights of files: root's own are above them and have to be given up."""
    if os.geteuid() != 0:
        return []
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        pytest.skip("root without setpriv can't give up its right to write anywhere")
    return [setpriv, "--bounding-set", "-dac_override,-dac_read_search"]


def run(site: Path, home: Path, folder: Path) -> tuple[Path, Path]:
    """Where the package was taken from and where kernels are cached, in a fresh process in ``folder``."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    env = {**kept, "PYTHONPATH": str(site), "HOME": str(home), "TMPDIR": str(folder)}
    ran = subprocess.run(
        [*bound(), sys.executable, "-c", RUN], cwd=folder, env=env, check=False, capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr
    package, cache = map(Path, ran.stdout.splitlines())
    return package, cache


def compiled(cache: Path) -> dict[str, int]:
    """The files of compiled code, and when they were written."""
    return {path.name: path.stat().st_mtime_ns for path in cache.rglob("*.nbc")}


def test_every_file_of_the_packages_is_in_the_wheel(wheel: Path) -> None:
    tracked = subprocess.run(["git", "ls-files", *PACKAGES], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    with zipfile.ZipFile(wheel) as archive:
        assert {name for name in tracked.split() if not name.endswith(".md")} <= set(archive.namelist())


@pytest.mark.slow
def test_kernels_of_a_package_that_nobody_may_write_to_are_cached_in_the_home(site: Path, tmp_path: Path) -> None:
    home, folder = tmp_path / "home", tmp_path / "anywhere"
    for path in (home, folder):
        path.mkdir()
    package, cache = run(site, home, folder)
    assert package.is_relative_to(site)
    assert cache.is_relative_to(home)
    first = compiled(cache)
    assert first
    assert run(site, home, folder) == (package, cache)
    assert compiled(cache) == first
    assert not list(site.rglob("__pycache__"))


@pytest.mark.slow
def test_so_they_are_among_temporary_files_where_there_is_no_home(site: Path, tmp_path: Path) -> None:
    home, folder = tmp_path / "home", tmp_path / "anywhere"
    folder.mkdir()
    home.mkdir(mode=0o500)
    _, cache = run(site, home, folder)
    assert cache.is_relative_to(folder)
    assert compiled(cache)
    assert not list(home.iterdir())


@pytest.mark.slow
def test_the_settings_that_come_with_the_package_are_found_from_any_folder(site: Path, tmp_path: Path) -> None:
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(site), "HOME": str(tmp_path)}
    command = [*bound(), sys.executable, "-m", "runs.cli", "train", "--preset", "spark", "--print_config"]
    ran = subprocess.run(command, cwd=tmp_path, env=env, check=False, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert "family: spark" in ran.stdout
