"""From preset, YAML and command line to one tree of settings."""

from __future__ import annotations

import argparse
import re
import tempfile
from pathlib import Path

import yaml
from jsonargparse import ArgumentError, ArgumentParser, Namespace, set_parsing_settings

from envs import FAMILIES, ComposedConfig
from hierarchy import lower, upper
from hierarchy.config import ExperimentConfig
from hierarchy.storage.folder import CONFIG_NAME

PRESETS = Path(__file__).parent / "presets"
OUT_ROOT = Path("runs") / "out"
DEFAULT_PRESET = "default"
DEFAULT_FAMILY = "load_balancing"
OVER_SEEDS = ("ablate",)
"""Commands that can take several training seeds."""
CONFIG_OPTION = "--config"

set_parsing_settings(docstring_parse_attribute_docstrings=True)


class UsageError(Exception):
    """Bad usage or configuration; the message is one line."""


def preset_names() -> list[str]:
    """The presets there are."""
    return sorted(path.stem for path in PRESETS.glob("*.yaml"))


def one_line(error: BaseException) -> str:
    """An error of the parser or of a config as one line: field, what is allowed, value."""
    text = " ".join(str(error).split())
    text = re.sub(r'^Parser key "([^"]+)":\s*', r"\1: ", text)
    text = re.sub(r"(\S+): Expected a typing\.Literal\[(.*?)\]\. Got value: (.*)", r"\1 must be one of \2, got \3", text)
    return re.sub(r"(\S+): Expected a <class '(\w+)'>\. Got value: (.*)", r"\1 must be of type \2, got \3", text)


def check_writable(folder: Path, field: str) -> None:
    """Try to write where the folder is or would be, so that nothing is found unwritable after an hour of work."""
    nearest = folder.resolve()
    while not nearest.exists():
        nearest = nearest.parent
    try:
        with tempfile.TemporaryFile(dir=nearest):
            pass
    except OSError as error:
        raise UsageError(f"{field} must be a folder that can be written, got {folder} ({error.strerror})") from None


def check_tracking(out_root: Path) -> None:
    """Whether the store of experiments can be reached."""
    from hierarchy.tracking.mlflow_store import answers, store_uri

    uri = store_uri(out_root)
    if not answers(uri):
        raise UsageError(f"MLFLOW_TRACKING_URI must be a server that answers, got {uri}")


def check_json(path: Path | None) -> None:
    """Whether results can be written there, if anywhere."""
    if path is None:
        return
    check_writable(path.parent, "json")
    if path.is_dir():
        raise UsageError(f"json must be a file, got {path} (a folder)")


def experiment_parser(command: str, description: str, family: str) -> ArgumentParser:
    """The options of a command that runs an experiment in a world of an env family."""
    parser = ArgumentParser(prog=f"metabalance {command}", description=description, exit_on_error=False)
    parser.add_argument("--preset", default=DEFAULT_PRESET, help=f"one of {', '.join(preset_names())}")
    parser.add_argument(CONFIG_OPTION, action="config", help="YAML or JSON file of settings, over the preset")
    parser.add_argument("--out", type=Path, help="output folder (default: runs/out/PRESET, or PRESET-N-seeds)")
    parser.add_argument("--json", type=Path, help="also write the results here")
    if command in OVER_SEEDS:
        parser.add_argument("--seeds", type=int, help="training seeds from --seed on, trained where missing; then one table")
    parser.add_class_arguments(ExperimentConfig, as_group=False, skip={"env", "lower", "upper"})
    parser.add_class_arguments(lower.DEFAULT, "lower")
    parser.add_class_arguments(upper.DEFAULT, "upper")
    parser.add_class_arguments(FAMILIES[family].config, "env")
    return parser


def _scan(arguments: list[str]) -> argparse.Namespace:
    """The options that say which files to read, before anything else is looked at."""
    scan = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    scan.add_argument("--preset")
    scan.add_argument("--out", type=Path)
    scan.add_argument("--seeds", type=int)
    scan.add_argument(CONFIG_OPTION, action="append", default=[])
    scan.add_argument("--env.family", dest="family")
    scan.add_argument("--env.factory", dest="factory")
    return scan.parse_known_args(arguments)[0]


def out_folder(preset: str, n_seeds: int | None) -> Path:
    """Where results go when nothing is said; a study is kept apart from single experiments."""
    return OUT_ROOT / (preset if n_seeds is None else f"{preset}-{n_seeds}-seeds")


def _base(known: argparse.Namespace, over_saved: bool) -> Path:
    """The file that the settings start from: the preset, or what the output folder was trained with."""
    preset = known.preset or DEFAULT_PRESET
    if preset not in preset_names():
        raise UsageError(f"preset must be one of {', '.join(preset_names())}, got {preset}")
    saved: Path = (known.out or out_folder(preset, known.seeds)) / CONFIG_NAME
    if over_saved and known.preset is None and saved.is_file():
        return saved
    return PRESETS / f"{preset}.yaml"


def _family(known: argparse.Namespace, files: list[Path]) -> str:
    """The env family that is asked for: what is said last, and a factory asks for a composed world."""
    family = DEFAULT_FAMILY
    for path in files:
        family = _family_in(path) or family
    if known.factory is not None:
        family = ComposedConfig.family
    family = known.family or family
    if family not in FAMILIES:
        raise UsageError(f"env.family must be one of {', '.join(FAMILIES)}, got {family}")
    return family


def _family_in(path: Path) -> str | None:
    """The env family that a file of settings names; what else is wrong with it is the parser's to say."""
    try:
        env = yaml.safe_load(path.read_text(encoding="utf-8"))["env"]
        return ComposedConfig.family if "factory" in env else str(env["family"])
    except (OSError, ValueError, yaml.YAMLError, TypeError, KeyError):
        return None


def parse(
    command: str, description: str, arguments: list[str], over_saved: bool = False
) -> tuple[Namespace, ExperimentConfig]:
    """Parse the options of a command; ``over_saved`` starts from the settings that the output folder holds.

    Raises
    ------
    UsageError
        An unknown key, a wrong type, or a value that is not allowed.
    """
    known = argparse.Namespace(config=[], seeds=None)
    try:
        known = _scan(arguments)
        base = _base(known, over_saved)
        family = _family(known, [base, *map(Path, known.config)])
        parser = experiment_parser(command, description, family)
        parsed = parser.parse_args([CONFIG_OPTION, str(base), *arguments])
        built = parser.instantiate(parsed)
        config = ExperimentConfig(**{name: built[name] for name in ExperimentConfig.__dataclass_fields__})
    except (ArgumentError, argparse.ArgumentError, ValueError, TypeError) as error:
        line = one_line(error).replace("Problems parsing config:", f"config {' '.join(known.config)} must be YAML or JSON:")
        raise UsageError(line) from None
    return parsed, config
