"""The command `metabalance bench`: measure, print, write, track."""

from __future__ import annotations

import argparse
import dataclasses
import os
import platform
import re
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentError, ArgumentParser

from envs.core.validation import positive
from runs.benchmarks import BENCHMARKS, plan_of
from runs.benchmarks.plan import Report, run
from runs.settings import OUT_ROOT, UsageError, check_json, check_tracking, check_writable, one_line

SCHEMA = 1
EXPERIMENT = "metabalance-bench"
FOLDER = "bench"


def bench_parser(description: str) -> ArgumentParser:
    """The options of the command."""
    parser = ArgumentParser(prog="metabalance bench", description=description, exit_on_error=False)
    parser.add_argument("name", help="; ".join(f"{name}: {text}" for name, text in BENCHMARKS.items()))
    parser.add_argument("--rounds", type=int, default=3, help="rounds in which all cases are measured in turn")
    parser.add_argument("--scale", type=float, default=1.0, help="share of the full amount of work per measurement")
    parser.add_argument("--threads", type=int, default=1, help="torch threads, for both sides")
    parser.add_argument("--out", type=Path, default=OUT_ROOT, help="folder that holds all outputs")
    parser.add_argument("--json", type=Path, help="also write the report here")
    parser.add_argument("--tracking", type=bool, default=True, help="log to MLflow")
    return parser


def _parse(arguments: list[str], description: str) -> Any:
    try:
        parsed = bench_parser(description).parse_args(arguments)
        positive(rounds=parsed.rounds, scale=parsed.scale, threads=parsed.threads)
    except (ArgumentError, argparse.ArgumentError, ValueError) as error:
        raise UsageError(one_line(error)) from None
    if parsed.name not in BENCHMARKS:
        raise UsageError(f"name must be one of {', '.join(BENCHMARKS)}, got {parsed.name}")
    check_writable(parsed.out, "out")
    check_json(parsed.json)
    if parsed.tracking:
        check_tracking(parsed.out)
    return parsed


def machine() -> dict[str, str]:
    """What it ran on."""
    import numba
    import numpy
    import torch

    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        found = re.search(r"model name\s*:\s*(.+)", info.read_text())
        cpu = found.group(1) if found else cpu
    versions = {"python": platform.python_version(), "torch": str(torch.__version__)}
    return {"cpu": cpu, "cores": str(os.cpu_count()), **versions, "numba": numba.__version__, "numpy": numpy.__version__}


def run_bench(arguments: list[str], description: str) -> None:
    """Measure one benchmark; the report goes to the terminal, to a file, to MLflow."""
    parsed = _parse(arguments, description)
    import torch as th
    from rich.console import Console

    from hierarchy.evidence.results import write_json
    from hierarchy.tracking.commit import git_commit
    from runs.benchmarks.pictures import plot_drawn
    from runs.tables import print_report, wide_console

    th.set_num_threads(parsed.threads)
    shown = Console(stderr=True)
    report = run(_plan(parsed), parsed.rounds, lambda text: shown.print(text, highlight=False))
    folder = parsed.out / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    pictures = [plot_drawn(drawn, folder / f"{drawn.name}.png") for drawn in report.curves]
    settings = {"benchmark": parsed.name, "rounds": parsed.rounds, "scale": parsed.scale, "threads": parsed.threads}
    found = {"schema": SCHEMA, **settings, "git_commit": git_commit(), "machine": machine(), **dataclasses.asdict(report)}
    path = folder / f"{parsed.name}.json"
    write_json(found, path)
    if parsed.json is not None:
        write_json(found, parsed.json)
    print_report(report, parsed.name, wide_console())
    print(f"report in {path}")
    if parsed.tracking:
        _track(parsed, report, {name: str(value) for name, value in {**settings, **machine()}.items()}, [path, *pictures])


def _plan(parsed: Any) -> Any:
    try:
        return plan_of(parsed.name)(parsed.scale)
    except ModuleNotFoundError as error:
        allowed = "a benchmark whose peers are installed (pip install -e '.[bench]')"
        raise UsageError(f"name must be {allowed}, got {parsed.name} without {error}") from None


def _track(parsed: Any, report: Report, settings: dict[str, str], files: list[Path]) -> None:
    from hierarchy.tracking.commit import git_commit
    from hierarchy.tracking.mlflow_runs import OUT_TAG, Tracker
    from hierarchy.tracking.mlflow_store import artifact_root, store_uri

    folder = parsed.out / FOLDER
    tags = {"git_commit": git_commit(), "benchmark": parsed.name, OUT_TAG: str(folder.resolve())}
    tracker = Tracker(store_uri(parsed.out), artifact_root(parsed.out), EXPERIMENT, tags)
    with tracker, tracker.run("benchmark", parsed.name, parameters=settings) as tracked:
        tracked.metrics({metric_name(f"case/{figure.name}"): figure.median for figure in report.cases})
        tracked.metrics({metric_name(f"ratio/{figure.name}"): figure.median for figure in report.ratios})
        for drawn in report.curves:
            for line in drawn.lines:
                for x, y in zip(line.x, line.y, strict=True):
                    tracked.metrics({metric_name(f"{drawn.name}/{line.name}"): y}, x)
        for path in files:
            tracked.artifact(path)


def metric_name(name: str) -> str:
    """A name that MLflow takes."""
    return re.sub(r"[^\w\-. /:]", "", name.replace(" / ", " over "))
