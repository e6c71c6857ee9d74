"""The settings of an experiment, from where they start to the tree that is run."""

from __future__ import annotations

from argparse import ArgumentError
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from jsonargparse import ArgumentParser, Namespace

from envs import ComposedConfig
from envs.core.validation import SettingError, build, one_line
from hierarchy.config import ExperimentConfig
from hierarchy.storage.bundle import is_bundle, read_bundle
from hierarchy.storage.folder import CONFIG_NAME
from hierarchy.storage.settings import check_trusted
from runs.settings import files
from runs.settings.layers import WHOLE, at, lay_over, leaves
from runs.settings.options import add_settings, check_given
from runs.settings.types import typed
from runs.settings.usage import UsageError
from runs.settings.words import given, layer, without

FIELDS = tuple(ExperimentConfig.__dataclass_fields__)


class Saved(NamedTuple):
    """The settings of an output folder, and the name of the preset that they started from."""

    preset: str
    config: ExperimentConfig


class Layered(NamedTuple):
    """Files laid over each other.

    Attributes
    ----------
    untrusted
        The factory that an output folder names, if it is not trusted: it is not among the values.
    """

    preset: str
    values: dict[str, Any]
    untrusted: object = None


class Request(NamedTuple):
    """What a command line asks for: typed settings of files and words, and the arguments that are left for the parser."""

    preset: str
    values: dict[str, Any]
    arguments: list[str]


def from_files(paths: Sequence[Path], preset: str | None = None, below: Layered | None = None) -> Layered:
    """Files laid over each other, and over what is ``below``; the last that names its preset names it, unless it is given.

    Raises
    ------
    UsageError
        A file can't be read.
    SettingError
        A file holds an unknown setting.
    """
    named, values, untrusted = below or Layered(paths[0].stem if paths else files.DEFAULT_PRESET, {})
    for read in [one for path in paths for one in files.layers_of(path)]:
        named = str(read.pop(files.PRESET_KEY, named))
        values = lay_over(ExperimentConfig, values, _implied(read))
    return Layered(preset or named, values, untrusted)


def from_folder(folder: Path, trusts_factory: bool, *, takes_bundle: bool = False, field: str = "folder") -> Layered:
    """What an output folder holds, which a ``field`` names, or a bundle where one will do; a factory that is not trusted is
    left out.

    Raises
    ------
    UsageError, SettingError
        The folder holds no settings, or none of this version.
    """
    path = folder / CONFIG_NAME
    if takes_bundle and is_bundle(folder):
        settings = dict(read_bundle(folder).settings)
        saved = Layered(str(settings.pop(files.PRESET_KEY, "")), lay_over(ExperimentConfig, {}, settings))
    elif path.is_file():
        saved = from_files([path])
    else:
        bundle = " or be a bundle" if takes_bundle else ""
        raise UsageError(f"{field} must hold {CONFIG_NAME} (made by train or ablate){bundle}, got {folder}")
    env = dict(at(saved.values, "env"))
    untrusted = None if trusts_factory else env.pop("factory", None)
    return Layered(saved.preset, {**saved.values, "env": env}, untrusted)


def _implied(values: dict[str, Any]) -> dict[str, Any]:
    """A factory asks for a composed world."""
    env = values.get("env")
    if isinstance(env, Mapping) and "factory" in env and not {"family", WHOLE} & env.keys():
        return {**values, "env": {"family": ComposedConfig.family, **env}}
    return values


def request(below: Layered, paths: Sequence[Path], arguments: Sequence[str], preset: str | None = None) -> Request:
    """Files and command line laid over what is ``below``, every value held against its type.

    Raises
    ------
    UsageError, SettingError
        As in :func:`from_files`, a value is not of its type, or the world lacks a factory that was not trusted.
    """
    below = from_files(paths, preset, below)
    words = [(name, text) for name, text in given(arguments) if name.rstrip("+").split(".")[0] in FIELDS]
    added = [name for name, _ in words if name.endswith("+")]
    said = _implied(layer(one for one in words if one[0] not in added))
    values = lay_over(ExperimentConfig, below.values, said, read=files.read_named)
    _check_not_missed(below.untrusted, at(values, "env"))
    for path, annotation, value in leaves(ExperimentConfig, values):
        parent, _, name = path.rpartition(".")
        at(values, parent)[name] = typed(annotation, value, path)  # type: ignore[index]
    read = [name for name, _ in words if name not in added]
    return Request(below.preset, values, without(arguments, read))


def _check_not_missed(untrusted: object, env: Mapping[str, Any]) -> None:
    """A factory that was left out is not needed: the world has another one by now, or takes none."""
    if untrusted and env.get("family") == ComposedConfig.family and "factory" not in env:
        check_trusted(untrusted, trusts_factory=False)


def add_experiment(parser: ArgumentParser, asked: Request) -> None:
    """Add the options of all settings, and what is asked for as their values."""
    missing = add_settings(parser, ExperimentConfig, asked.values)
    check_given(missing, asked.values)


def experiment_of(parsed: Namespace) -> ExperimentConfig:
    """The tree of settings that a parser made.

    Raises
    ------
    UsageError, SettingError
        A value is not allowed.
    """
    values = parsed.as_dict()
    try:
        return build(ExperimentConfig, {name: values[name] for name in FIELDS})
    except SettingError:
        raise
    except ValueError as error:
        raise UsageError(one_line(error)) from None


def _config(asked: Request) -> ExperimentConfig:
    parser = ArgumentParser(exit_on_error=False)
    add_experiment(parser, asked)
    try:
        return experiment_of(parser.parse_args(asked.arguments))
    except ArgumentError as error:
        raise UsageError(one_line(error)) from None


def load_config(folder: Path, *, trusts_factory: bool = False) -> Saved:
    """The settings that an output folder was made with; nothing that they name is imported.

    Raises
    ------
    UsageError, SettingError
        The folder holds no settings, none of this version, or names a factory that is not trusted.
    """
    asked = request(from_folder(folder, trusts_factory), (), ())
    return Saved(asked.preset, _config(asked))


def preset_config(preset: str = files.DEFAULT_PRESET, arguments: Sequence[str] = ()) -> ExperimentConfig:
    """The settings of a preset, with those of a command line over them.

    Raises
    ------
    UsageError, SettingError
        There is no such preset, or a setting is not allowed.
    """
    return _config(request(from_files([files.preset_file(preset)]), (), arguments, preset))
