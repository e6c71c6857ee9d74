"""The command line `metabalance`.

Exit status: 0 done, 2 bad usage or configuration (one line: field, value, what is allowed), 130 interrupted with what was
learned so far on disk, 1 anything else.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jsonargparse import ArgumentError, ArgumentParser, Namespace

from hierarchy.config import ExperimentConfig

if TYPE_CHECKING:
    from hierarchy.experiment import Experiment
    from hierarchy.results import Results

STARTED_S = time.perf_counter()
PRESETS = Path(__file__).parent / "presets"
OUT_ROOT = Path("runs") / "out"
CONFIG_OPTION = "--config"

COMMANDS: dict[str, str] = {
    "train": "both phases and the ablation",
    "train-lower": "phase 1: the contextual lower agent",
    "train-upper": "phase 2: the upper agent, over the lower agent in --out",
    "ablate": "compare the learned mix with fixed mixes and balancing rules, for the agents in --out",
    "ui": "serve MLflow on 127.0.0.1",
}


class UsageError(Exception):
    """Bad usage or configuration; the message is one line."""


def preset_names() -> list[str]:
    """The presets there are."""
    return sorted(path.stem for path in PRESETS.glob("*.yaml"))


def _experiment_parser(command: str) -> ArgumentParser:
    parser = ArgumentParser(prog=f"metabalance {command}", description=COMMANDS[command], exit_on_error=False)
    parser.add_argument("--preset", default="default", help=f"one of {', '.join(preset_names())}")
    parser.add_argument(CONFIG_OPTION, action="config", help="YAML file of settings, over the preset")
    parser.add_argument("--out", type=Path, help="output folder (default: runs/out/PRESET)")
    parser.add_argument("--json", type=Path, help="also write the results here")
    parser.add_class_arguments(ExperimentConfig, as_group=False)
    return parser


def _ui_parser() -> ArgumentParser:
    parser = ArgumentParser(prog="metabalance ui", description=COMMANDS["ui"], exit_on_error=False)
    parser.add_argument("--out", type=Path, default=OUT_ROOT, help="folder that holds all outputs")
    parser.add_argument("--port", type=int, default=5000, help="TCP port")
    parser.add_argument("--experiment", default="metabalance", help="MLflow experiment to show")
    return parser


def _one_line(error: BaseException) -> str:
    """An error of the parser or of a config as one line: field, what is allowed, value."""
    text = " ".join(str(error).split())
    text = re.sub(r'^Parser key "([^"]+)":\s*', r"\1: ", text)
    text = re.sub(r"(\S+): Expected a typing\.Literal\[(.*?)\]\. Got value: (.*)", r"\1 must be one of \2, got \3", text)
    return re.sub(r"(\S+): Expected a <class '(\w+)'>\. Got value: (.*)", r"\1 must be of type \2, got \3", text)


def _preset_arguments(arguments: list[str]) -> list[str]:
    """The arguments, with the settings of the preset in front of them."""
    scan = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    scan.add_argument("--preset", default="default")
    scan.add_argument("--out", type=Path)
    known, _ = scan.parse_known_args(arguments)
    if known.preset not in preset_names():
        raise UsageError(f"preset must be one of {', '.join(preset_names())}, got {known.preset}")
    return [CONFIG_OPTION, str(PRESETS / f"{known.preset}.yaml"), *arguments]


def _parse(command: str, arguments: list[str]) -> tuple[Namespace, ExperimentConfig]:
    parser = _experiment_parser(command)
    try:
        parsed = parser.parse_args(_preset_arguments(arguments))
        built = parser.instantiate(parsed)
        config = ExperimentConfig(**{name: built[name] for name in ExperimentConfig.__dataclass_fields__})
    except (ArgumentError, argparse.ArgumentError, ValueError, TypeError) as error:
        raise UsageError(_one_line(error)) from None
    return parsed, config


def _check_writable(folder: Path, field: str) -> None:
    """Make the folder and try to write in it, so that nothing is found unwritable after an hour of work."""
    probe = folder / ".writable"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise UsageError(f"{field} must be a folder that can be written, got {folder} ({error.strerror})") from None


def _check_config(config: ExperimentConfig) -> None:
    """What needs more than the settings: the trace is read, and the number of terms is known."""
    import envs

    try:
        world = envs.make(config.env, 1, config.seed).dynamics
        envs.make(config.env, 1, config.seed, "evaluate")
    except ValueError as error:
        raise UsageError(_one_line(error)) from None
    fixed = config.ablation.fixed
    if fixed is not None and len(fixed) != len(world.term_names):
        names = ", ".join(world.term_names)
        raise UsageError(f"ablation.fixed must have {len(world.term_names)} weights ({names}), got {fixed}")


def _run_experiment(command: str, arguments: list[str]) -> None:
    parsed, config = _parse(command, arguments)
    _check_config(config)
    out = parsed.out or OUT_ROOT / parsed.preset
    _check_writable(out, "out")
    if parsed.json is not None:
        _check_writable(parsed.json.parent, "json")
    from rich.console import Console

    from hierarchy import experiment as experiments
    from runs.progress import progress

    console = Console(stderr=True)
    experiment = experiments.Experiment(config, out, parsed.preset, progress(console), STARTED_S)
    results = _call(experiments, command, experiment)
    if results is None:
        return
    from hierarchy.results import write_json
    from runs.tables import print_results

    print_results(results, Console(width=None if sys.stdout.isatty() else 140))
    print(f"results in {out / experiments.RESULTS_NAME}, compare runs with: metabalance ui --out {out.parent}")
    if parsed.json is not None:
        write_json(results, parsed.json)


def _call(experiments: Any, command: str, experiment: Experiment) -> Results | None:
    """Run the function of the composition root that has the command's name."""
    run = getattr(experiments, command.replace("-", "_"))
    try:
        results: Results | None = run(experiment)
    except experiments.NotTrainedError as error:
        raise UsageError(_one_line(error)) from None
    return results


def _run_ui(arguments: list[str]) -> int:
    try:
        parsed = _ui_parser().parse_args(arguments)
    except (ArgumentError, argparse.ArgumentError) as error:
        raise UsageError(_one_line(error)) from None
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
    _run_experiment(command, rest)
    return 0


def main(arguments: list[str] | None = None) -> int:
    """Run a command; returns the exit status."""
    try:
        return _dispatch(sys.argv[1:] if arguments is None else arguments)
    except UsageError as error:
        print(f"metabalance: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("metabalance: interrupted; what was learned so far is in the output folder", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
