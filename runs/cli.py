"""The command line `metabalance`.

Exit status: 0 done, 2 bad usage or configuration (one line: field, value, what is allowed), 130 interrupted with what was
learned so far on disk, 1 anything else.
"""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from jsonargparse import ArgumentError, ArgumentParser

from hierarchy.config import ExperimentConfig
from hierarchy.storage.folder import CONFIG_NAME
from runs import STARTED_S
from runs.settings import OUT_ROOT, UsageError, check_json, check_tracking, check_writable, one_line, out_folder, parse

if TYPE_CHECKING:
    from hierarchy.evidence.results import Results

COMMANDS: dict[str, str] = {
    "train": "both phases and the ablation",
    "train-lower": "phase 1: the contextual lower agent",
    "train-upper": "phase 2: the upper agent, over the lower agent in --out",
    "ablate": "compare the learned mix with fixed mixes and balancing rules, for the agents in --out or over --seeds",
    "evaluate": "compare the arms of the agents in a folder in another world, as in: evaluate DIR --env.dt_s 0.5",
    "report": "write report.html, a page that needs no network, in an output folder",
    "bench": "measure speed against what people use today",
    "ui": "serve MLflow on 127.0.0.1",
}
TRAINING = ("train", "train-lower", "train-upper", "ablate")
"""Commands that train, and leave what was learned when they are interrupted."""
NEEDS_TRAINED = ("train-upper", "ablate")
"""Commands that go on from the agents and the settings in the output folder."""


def _ui_parser() -> ArgumentParser:
    parser = ArgumentParser(prog="metabalance ui", description=COMMANDS["ui"], exit_on_error=False)
    parser.add_argument("--out", type=Path, default=OUT_ROOT, help="folder that holds all outputs")
    parser.add_argument("--port", type=int, default=5000, help="TCP port")
    parser.add_argument("--experiment", default="metabalance", help="MLflow experiment to show")
    return parser


def _check_config(config: ExperimentConfig) -> None:
    """What needs more than the settings."""
    from hierarchy.phases.checks import check_experiment

    try:
        check_experiment(config)
    except ValueError as error:
        raise UsageError(one_line(error)) from None


def _print(found: Results, config: ExperimentConfig, json: Path | None) -> None:
    """Results as tables, and in a file if one is asked for."""
    from hierarchy.storage.files import write_json
    from runs import published
    from runs.tables import print_results, print_rows, wide_console

    print_results(found, wide_console())
    if published.is_published(config):
        print_rows(published.TITLE, published.table(found), wide_console())
    if json is not None:
        write_json(found, json)


def _run_evaluate(arguments: list[str]) -> None:
    """Nothing is written but the file of ``--json``: the folder's own results are of its own world."""
    if arguments[:1] in (["-h"], ["--help"]):
        parse("evaluate DIR", COMMANDS["evaluate"], arguments)
    if not arguments or arguments[0].startswith("-"):
        raise UsageError("evaluate must be given the folder of an experiment or a study first, as in: evaluate DIR")
    folder, options = Path(arguments[0]), arguments[1:]
    if not (folder / CONFIG_NAME).is_file():
        raise UsageError(f"folder must hold {CONFIG_NAME} (made by train or ablate), got {folder}")
    parsed, config = parse("evaluate DIR", COMMANDS["evaluate"], [*options, "--out", str(folder)], over_saved=True)
    _check_config(config)
    check_json(parsed.json)
    from hierarchy.evaluation import evaluate_worlds
    from hierarchy.storage.folder import NotTrainedError

    try:
        for _, found in evaluate_worlds({parsed.preset: config}, folder):
            _print(found, config, parsed.json)
    except NotTrainedError as error:
        raise UsageError(one_line(error)) from None


def _run_experiment(command: str, arguments: list[str]) -> None:
    parsed, config = parse(command, COMMANDS[command], arguments, over_saved=command in NEEDS_TRAINED)
    _check_config(config)
    n_seeds: int | None = getattr(parsed, "seeds", None)
    _check_seeds(n_seeds)
    out = parsed.out or out_folder(parsed.preset, n_seeds)
    check_writable(out, "out")
    check_json(parsed.json)
    if config.tracking.enabled:
        check_tracking(out.parent)
    from rich.console import Console

    from hierarchy import experiment as experiments
    from runs.progress import progress

    shown = progress(Console(stderr=True))
    try:
        if n_seeds is None:
            run = getattr(experiments, command.replace("-", "_"))
            results: Results | None = run(experiments.Experiment(config, out, parsed.preset, shown, STARTED_S))
        else:
            from hierarchy.study import run_study

            results = run_study(config, out, parsed.preset, n_seeds, shown, STARTED_S)
    except ValueError as error:
        raise UsageError(one_line(error)) from None
    if results is None:
        return
    from hierarchy.storage.folder import RESULTS_NAME

    _print(results, config, parsed.json)
    print(f"results in {out / RESULTS_NAME}, compare runs with: metabalance ui --out {out.parent}")


def _check_seeds(n_seeds: int | None) -> None:
    if n_seeds is not None and n_seeds < 1:
        raise UsageError(f"seeds must be >= 1, got {n_seeds}")


def _run_report(arguments: list[str]) -> None:
    parser = ArgumentParser(prog="metabalance report", description=COMMANDS["report"], exit_on_error=False)
    parser.add_argument("folder", type=Path, help="output folder of an experiment or a study")
    try:
        parsed = parser.parse_args(arguments)
    except (ArgumentError, argparse.ArgumentError) as error:
        raise UsageError(one_line(error)) from None
    from runs.report import write_report

    print(f"report in {write_report(parsed.folder)}")


def _run_ui(arguments: list[str]) -> int:
    try:
        parsed = _ui_parser().parse_args(arguments)
    except (ArgumentError, argparse.ArgumentError) as error:
        raise UsageError(one_line(error)) from None
    from runs.ui import serve

    return serve(parsed.out, parsed.port, parsed.experiment)


def _usage() -> str:
    lines = [f"  {name:<12} {text}" for name, text in COMMANDS.items()]
    return "\n".join(["usage: metabalance COMMAND [--preset NAME] [--any.nested.field VALUE]", "", *lines])


def _dispatch(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_usage())
        return 0
    command, rest = arguments[0], arguments[1:]
    if command not in COMMANDS:
        raise UsageError(f"command must be one of {', '.join(COMMANDS)}, got {command}")
    if command == "ui":
        return _run_ui(rest)
    if command == "report":
        _run_report(rest)
        return 0
    if command == "evaluate":
        _run_evaluate(rest)
        return 0
    if command == "bench":
        from runs.bench import run_bench

        run_bench(rest, COMMANDS[command])
        return 0
    _run_experiment(command, rest)
    return 0


def _listen_to_signals() -> None:
    """Take SIGINT and SIGTERM as an interrupt, also where a shell started the process with SIGINT ignored."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)


def main(arguments: list[str] | None = None) -> int:
    """Run a command; returns the exit status."""
    if arguments is None:
        _listen_to_signals()
    given = sys.argv[1:] if arguments is None else arguments
    try:
        return _dispatch(given)
    except UsageError as error:
        print(f"metabalance: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        learned = "; what was learned so far is in the output folder" if given[0] in TRAINING else ""
        print(f"metabalance: interrupted{learned}", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
