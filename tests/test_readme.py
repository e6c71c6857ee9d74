"""Every command of the README is run, tiny, in the order in which it is shown."""

from __future__ import annotations

import dataclasses
import importlib.util
import itertools
import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
PRESET_ROW = re.compile(r"^\| `(\w+)` \| ([\d,]+) \| ([\d,]+)[^|]* \| ([\d,]+) \|", re.MULTILINE)
TRACE_OPTION = "--env.workload.arrivals.path"
FILE = re.compile(r"^# (\w+\.py)\n")
"""First line of a block that is a file to write."""
SMALL = {"bench": ["--rounds", "1", "--scale", "0.01", "--tracking", "false"], "ui": [], "report": []}
"""Options that make a command small, where settings do not."""


def text() -> str:
    return README.read_text(encoding="utf-8") if README.is_file() else ""


def blocks(language: str) -> list[str]:
    """The fenced blocks of a language."""
    return [body for found, body in BLOCK.findall(text()) if found == language]


def files() -> list[tuple[str, str]]:
    """The files that a reader is told to write, by name."""
    return [(named[1], body) for body in blocks("python") if (named := FILE.match(body))]


def commands() -> list[str]:
    """The lines of all shell blocks, continued lines joined, comments and prompts left out."""
    lines = "\n".join(blocks("sh")).replace("\\\n", " ").splitlines()
    return [" ".join(line.removeprefix("$ ").split()) for line in lines if shlex.split(line, comments=True)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, tiny_config: Any, empty_store: Path) -> Path:
    """Where all commands are run: a checkout without outputs, with an empty store and settings that make all of it small."""
    root = tmp_path_factory.mktemp("readme")
    (root / "runs" / "out").mkdir(parents=True)
    shutil.copy(empty_store, root / "runs" / "out")
    small = dataclasses.asdict(tiny_config)
    small["env"] = {"episode_steps": small["env"]["episode_steps"]}
    del small["tracking"], small["seed"], small["ablation"]["fixed"]
    (root / "tiny.json").write_text(json.dumps(small), encoding="utf-8")
    for name, body in files():
        (root / name).write_text(body, encoding="utf-8")
    return root


def run_make(words: list[str]) -> None:
    done = subprocess.run(["make", "-n", *words], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def run_metabalance(words: list[str], folder: Path, traces: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """In this process; the web page is not opened, but its store must be there."""
    from runs import cli
    from runs.commands import ui

    monkeypatch.chdir(folder)
    pages: list[Path] = []
    monkeypatch.setattr(ui, "serve", lambda out, port, experiment: pages.append(out) or 0)
    for option, value in itertools.pairwise(words):
        if option == TRACE_OPTION and not Path(value).is_file():
            Path(value).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(traces["marllb"], value)
    helps = "--help" in words or "-h" in words or len(words) == 0
    small = [] if helps else SMALL.get(words[0], ["--config", "tiny.json"])
    if "--seeds" in words:
        small += ["--seeds", "2"]
    try:
        status = cli.main([*words, *small])
    except SystemExit as exited:
        status = exited.code or 0  # type: ignore[assignment]
    assert status == 0
    assert all((page / "mlflow.db").is_file() for page in pages)


def run_pytest(words: list[str]) -> None:
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", *words]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def run_python(words: list[str]) -> None:
    assert words[:1] == ["-m"], "only modules are run with python"
    assert importlib.util.find_spec(words[1]) is not None


def run_git(words: list[str]) -> None:
    assert words[0] == "clone"
    assert len(words) in (2, 3)


def change_folder(words: list[str]) -> None:
    cloned = [shlex.split(line, comments=True)[-1] for line in commands() if line.startswith("git clone ")]
    assert words[0] in [Path(name).name.removesuffix(".git") for name in cloned]


def activate(words: list[str]) -> None:
    folder = Path(words[0]).parts[0]
    assert re.search(rf"^VENV\s*:?=\s*{re.escape(folder)}$", (ROOT / "Makefile").read_text(), re.MULTILINE)


OTHER: dict[str, Callable[[list[str]], None]] = {
    "make": run_make,
    "pytest": run_pytest,
    "python": run_python,
    "python3": run_python,
    "git": run_git,
    "cd": change_folder,
    "source": activate,
    ".": activate,
}


def test_the_readme_shows_commands() -> None:
    assert commands(), "README.md must have a ```sh block"


@pytest.mark.parametrize("line", commands())
def test_a_command_of_the_readme_works(
    line: str, folder: Path, traces: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    program, *words = shlex.split(line, comments=True)
    name = Path(program).name if program != "." else program
    if name == "metabalance":
        run_metabalance(words, folder, traces, monkeypatch)
        return
    assert name in OTHER, f"this test does not know how to run {name!r}"
    OTHER[name](words)


@pytest.mark.parametrize("block", blocks("python"))
def test_a_python_block_of_the_readme_runs_or_is_a_function_to_write(block: str) -> None:
    code = compile(block, "README.md", "exec")
    names: dict[str, Any] = {"__name__": "readme"}
    if not block.startswith("def "):
        exec(code, names)
    assert block.startswith("def ") or set(code.co_names) & set(names)


@pytest.mark.parametrize(("name", "body"), files())
def test_a_file_of_the_readme_is_short_and_what_a_command_trains(name: str, body: str) -> None:
    assert len(body.splitlines()) <= 60
    factory = f"{name.removesuffix('.py')}:make"
    assert any(f"--env.factory {factory}" in line for line in commands())


def test_the_presets_are_as_large_as_the_readme_says() -> None:
    from runs.settings.experiment import preset_config
    from runs.settings.files import preset_names

    told = {name: [int(n.replace(",", "")) for n in numbers] for name, *numbers in PRESET_ROW.findall(text())}
    configs = {name: preset_config(name) for name in preset_names()}
    sizes = {name: [one.lower.timesteps, one.upper.meta_steps, one.ablation.n_seeds] for name, one in configs.items()}
    assert told == sizes
