"""`metabalance bench`: measure, print, write, track."""

from __future__ import annotations

import dataclasses
import os
import platform
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from jsonargparse import ArgumentParser, Namespace

from envs.core.validation import check, setting
from runs.benchmarks import BENCHMARKS, plan_of
from runs.commands.experiments import OUT_ROOT
from runs.settings.checks import check_json, check_tracking, check_writable
from runs.settings.options import add_options, options_of, positional
from runs.settings.usage import UsageError

if TYPE_CHECKING:
    from runs.benchmarks.plan import Plan, Report

SCHEMA = 1
EXPERIMENT = "metabalance-bench"
FOLDER = "bench"


@dataclass(frozen=True)
class Options:
    """What to measure, and how long."""

    name: str = positional(one_of=tuple(BENCHMARKS))
    """what to measure"""
    rounds: int = setting(3, ge=1)
    """rounds in which all cases are measured in turn"""
    scale: float = setting(1.0, gt=0)
    """share of the full amount of work per measurement"""
    threads: int = setting(1, ge=1)
    """torch threads, for both sides"""
    out: Path = OUT_ROOT
    """folder that holds all outputs"""
    json: Path | None = None
    """also write the report here"""
    tracking: bool = True
    """log to MLflow"""

    def __post_init__(self) -> None:
        check(self)


def machine() -> dict[str, str]:
    """What it ran on."""
    import numba
    import numpy
    import torch

    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        model = re.search(r"model name\s*:\s*(.+)", info.read_text())
        cpu = model.group(1) if model else cpu
    versions = {"python": platform.python_version(), "torch": str(torch.__version__)}
    return {"cpu": cpu, "cores": str(os.cpu_count()), **versions, "numba": numba.__version__, "numpy": numpy.__version__}


def measure(options: Options) -> None:
    """Measure one benchmark; the report goes to the terminal, to files, to MLflow."""
    import torch as th
    from rich.console import Console

    from hierarchy.storage.files import write_json
    from hierarchy.tracking.commit import git_commit
    from runs.benchmarks.pictures import plot_drawn
    from runs.benchmarks.plan import run
    from runs.terminal.tables import print_report, wide_console

    th.set_num_threads(options.threads)
    shown = Console(stderr=True)
    report = run(_plan(options), options.rounds, lambda text: shown.print(text, highlight=False))
    folder = options.out / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    pictures = [plot_drawn(drawn, folder / f"{drawn.name}.png") for drawn in report.curves]
    about = {"benchmark": options.name, "rounds": options.rounds, "scale": options.scale, "threads": options.threads}
    written = {"schema": SCHEMA, **about, "git_commit": git_commit(), "machine": machine(), **dataclasses.asdict(report)}
    path = folder / f"{options.name}.json"
    for one in (path, options.json):
        if one is not None:
            write_json(written, one)
    print_report(report, options.name, wide_console())
    print(f"report in {path}")
    if options.tracking:
        _track(options, report, {name: str(value) for name, value in {**about, **machine()}.items()}, [path, *pictures])


def _plan(options: Options) -> Plan:
    try:
        return plan_of(options.name)(options.scale)
    except ModuleNotFoundError as error:
        allowed = "a benchmark whose peers are installed (pip install -e '.[bench]')"
        raise UsageError(f"name must be {allowed}, got {options.name} without {error}") from None


def _track(options: Options, report: Report, settings: dict[str, str], files: list[Path]) -> None:
    from hierarchy.tracking.commit import git_commit
    from hierarchy.tracking.mlflow_runs import OUT_TAG
    from hierarchy.tracking.tracked import Tracker

    folder = options.out / FOLDER / options.name  # each has a journal of its own
    tags = {"git_commit": git_commit(), "benchmark": options.name, OUT_TAG: str(folder.resolve())}
    tracker = Tracker(folder, EXPERIMENT, tags, above=2)
    with tracker, tracker.run("benchmark", options.name, parameters=settings) as tracked:
        tracked.metrics({metric_name(f"case/{figure.name}"): figure.median for figure in report.cases})
        tracked.metrics({metric_name(f"ratio/{figure.name}"): figure.median for figure in report.ratios})
        for drawn in report.curves:
            for line in drawn.lines:
                for x, y in zip(line.x, line.y, strict=True):
                    tracked.metrics({metric_name(f"{drawn.name}/{line.name}"): y}, x)
        for path in files:
            tracked.artifact(path)
    for left in tracker.synced.lines(folder):
        print(f"note: {left}", file=sys.stderr)


def metric_name(name: str) -> str:
    """A name that MLflow takes."""
    return re.sub(r"[^\w\-. /:]", "", name.replace(" / ", " over "))


@dataclass(frozen=True)
class Bench:
    """A benchmark."""

    name: str = "bench"
    help: str = "measure speed against what people use today"

    def add_options(self, parser: ArgumentParser, arguments: Sequence[str]) -> Sequence[str]:
        add_options(parser, Options, arguments)
        return arguments

    def run(self, parsed: Namespace) -> int:
        options = options_of(Options, parsed)
        check_writable(options.out, "out")
        check_json(options.json)
        if options.tracking:
            check_tracking(options.out)
        measure(options)
        return 0


BENCH = Bench()
