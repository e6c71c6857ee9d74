"""Every command and every block of code of the documentation is run, tiny, page by page, as a reader would."""

from __future__ import annotations

import dataclasses
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from runs import cli
from runs.commands import ui
from runs.settings.experiment import preset_config
from runs.settings.files import preset_names
from runs.studies import headroom
from tests.docs.pages import PAGES, ROOT, blocks, commands, files, rows, text
from tests.envs.haproxy.processes import installed_haproxy
from tests.envs.load_balancing.recordings import log_lines, table_lines

pytestmark = pytest.mark.slow

every_page = pytest.mark.parametrize("page", PAGES)
TRACE_OPTION = "--env.workload.arrivals.path"
SMALL = {
    "bench": ["--rounds", "1", "--scale", "0.01", "--tracking", "false"],
    "ui": [],
    "report": [],
    "study": [],
    "explain": [],
    "sync": [],
    "export": [],
    "dataset": ["--episodes", "2"],
    "promote": [],
    "testbed": [],
}
"""Options that make a command small, where settings do not."""
README_LINES = 200
RECORDINGS = {"access.log": lambda: log_lines(400, "/login", "/img/1.png"), "requests.csv": lambda: table_lines(400)}
"""The recordings that pages name."""
LINK = re.compile(r"\]\(([^)#:]+)\)")


@pytest.fixture
def folder(tmp_path: Path, tiny_config: Any, empty_store: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where commands are run: no outputs, an empty store, and settings that make everything small."""
    (tmp_path / "runs" / "out").mkdir(parents=True)
    shutil.copy(empty_store, tmp_path / "runs" / "out")
    small = json.loads(json.dumps(dataclasses.asdict(tiny_config)))
    small["env"] = {"episode_steps": small["env"]["episode_steps"]}
    for chosen in ("lower", "upper"):
        del small[chosen]["algorithm"]
    kept = {"executor": "inline", **{name: small[name] for name in ("env", "lower", "upper", "ablation")}}
    (tmp_path / "tiny.json").write_text(json.dumps(kept), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(headroom, "EPISODE_S", 40.0)  # four windows
    return tmp_path


def run_make(words: list[str]) -> None:
    done = subprocess.run(["make", "-n", *words], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def run_python(words: list[str]) -> None:
    """A file that the reader has written."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout


def run_metabalance(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """In this process; the web page is not opened, but its store must be there."""
    served: list[Path] = []
    monkeypatch.setattr(ui, "serve", lambda out, port, experiment: served.append(out) or 0)
    for option, value in itertools.pairwise(words):
        if option == TRACE_OPTION:
            Path(value).write_text("\n".join(RECORDINGS[value]()) + "\n", encoding="utf-8")
    if words[:1] == ["testbed"]:
        installed_haproxy()
    asks_only = not words or words[0].startswith("-") or "--help" in words
    small = [] if asks_only else SMALL.get(words[0], ["--config", "tiny.json"])
    if words[:1] == ["train"] or (words[:1] == ["ablate"] and "default" not in words):
        small = [*small, "--ablation.heuristics", "false"]  # every rule compiles the simulator
    is_team = ("--lower.algorithm", "team") in itertools.pairwise(words)
    small = [*small, "--lower.team.warm_up", "8"] if is_team else small
    small = [*small, "--horizon", "1"] if "--data" in words else small  # tiny episodes have few actions
    learns_to_learn = any(option == "--meta.steps" and value != "0" for option, value in itertools.pairwise(words))
    small = [*small, "--meta.steps", "32"] if learns_to_learn else small
    seeds = ["--seeds", "2"] if "--seeds" in words else []
    try:
        status = cli.main([*words, *small, *seeds])
    except SystemExit as exited:
        status = exited.code or 0  # type: ignore[assignment]
    assert status == 0, " ".join(words)
    assert all((out / "mlflow.db").is_file() for out in served)


@every_page
def test_the_commands_of_a_page_work(page: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, body in files(page):
        (folder / name).write_text(body, encoding="utf-8")
    for program, *words in commands(page):
        if Path(program).name == "metabalance":
            run_metabalance(words, monkeypatch)
        elif Path(program).name == "python":
            run_python(words)
        else:
            assert program == "make", f"{page}: this test does not know how to run {program!r}"
            run_make(words)


@every_page
def test_the_blocks_of_code_of_a_page_run(page: str, folder: Path) -> None:
    for body in blocks(page, "python"):
        exec(compile(body, page, "exec"), {"__name__": "page"})


@every_page
def test_what_a_page_links_to_is_there(page: str) -> None:
    for target in LINK.findall(text(page)):
        assert (PAGES[page].parent / target).exists(), target


def test_a_file_to_write_is_short_and_what_a_command_trains() -> None:
    for page in PAGES:
        for name, body in files(page):
            assert len(body.splitlines()) <= 60
            factory = f"{name.removesuffix('.py')}:make"
            assert "World" not in body or any(factory in words for words in commands(page)), name


def test_the_front_page_is_short() -> None:
    assert len(text("README.md").splitlines()) <= README_LINES


def test_the_presets_are_as_large_as_the_page_says() -> None:
    shown = {
        row[0].strip("`"): [int(re.match(r"[\d,]+", cell)[0].replace(",", "")) for cell in row[1:4]]
        for row in rows("docs/commands.md", "preset")
    }
    configs = {name: preset_config(name) for name in preset_names()}
    assert shown == {
        name: [one.lower.timesteps, one.upper.meta_steps, one.ablation.n_seeds] for name, one in configs.items()
    }
