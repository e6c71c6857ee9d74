"""What is deployed of an experiment, in a folder by itself: both agents, all settings, and what the arms found.

``bundle.json`` says everything but the parameters, which are in ``lower.safetensors`` and ``upper.safetensors``; it holds
SHA-256 of both and of itself. Nothing of it is run when it is read, and nothing is taken that is not to the byte what was
written.
"""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import IO, Any, NamedTuple

from safetensors.numpy import load, save

import envs
from envs.core.spec import WorldSpec
from envs.core.validation import SettingError, one_line
from hierarchy.config import ExperimentConfig
from hierarchy.protocols import SavedAgent
from hierarchy.storage.agents import lower_of, read_agent, upper_of
from hierarchy.storage.files import plain_settings, read_json, read_mapping, write
from hierarchy.storage.folder import OutputFolder
from hierarchy.storage.saved import READ_ERRORS, SUFFIX

SCHEMA = 1
BUNDLE_NAME = "bundle.json"
AGENTS = ("lower", "upper")
BUNDLE_FILES = (BUNDLE_NAME, *(f"{name}{SUFFIX}" for name in AGENTS))
LIBRARIES = ("metabalance", "torch", "stable-baselines3", "sb3-contrib", "gymnasium", "numpy", "safetensors")
"""Whose versions are noted; others may read a bundle all the same."""
SUMS = "sha256"
PRESET = "preset"
DESCRIBED = ("algorithm", "form")
"""What is said of an agent itself."""


@dataclass(frozen=True)
class Bundle:
    """What is deployed.

    Attributes
    ----------
    settings
        All of the experiment, and the ``preset`` that they started from, as plain values like those of `config.json`.
    spec
        The world that it is for.
    lower, upper
        Both agents; one that is read from a bundle has nothing but what acts.
    found
        What was found on selection seeds, as plain values by name: numbers of rules, the gate's choice, mixes.
    versions
        Of the libraries that it was made with.
    run
        Key of the experiment's run in MLflow, which is the run's tag `metabalance.key`; None without tracking.
    """

    settings: Mapping[str, Any]
    spec: WorldSpec
    lower: SavedAgent
    upper: SavedAgent
    found: Mapping[str, Any]
    versions: Mapping[str, str]
    run: str | None = None

    @property
    def agents(self) -> dict[str, SavedAgent]:
        """Both, by name."""
        return {"lower": self.lower, "upper": self.upper}


class Parts(NamedTuple):
    """What a folder holds of a pair: both agents, what was found for arms, as plain values by name, and in which file."""

    lower: SavedAgent
    upper: SavedAgent
    found: Mapping[str, Any]
    found_in: Path


def parts_of(folder: Path) -> Parts:
    """What the folder of an experiment holds, or a bundle.

    Raises
    ------
    SettingError
        Something is missing or damaged.
    """
    if is_bundle(folder):
        bundle = read_bundle(folder)
        return Parts(bundle.lower, bundle.upper, bundle.found, folder / BUNDLE_NAME)
    out = OutputFolder(folder)
    lower, upper = (read_agent(out, name) for name in AGENTS)
    return Parts(lower, upper, read_json(out.found) if out.found.is_file() else {}, out.found)


def settings_in(folder: Path) -> dict[str, Any]:
    """The settings that the folder of an experiment holds, or a bundle, and the ``preset`` that they started from.

    Raises
    ------
    SettingError
        There are none, or they are damaged.
    """
    if is_bundle(folder):
        return dict(read_bundle(folder).settings)
    path = OutputFolder(folder).config
    if not path.is_file():
        raise SettingError("folder", f"one that holds {path.name} (made by train or ablate)", folder)
    return read_mapping(path)


def is_bundle(folder: Path) -> bool:
    """Whether a folder is a bundle by itself."""
    return (folder / BUNDLE_NAME).is_file()


def check_no_bundle(out: Path) -> None:
    """Nothing is trained into a bundle, whose agents have other files of the same names.

    Raises
    ------
    SettingError
        It is one.
    """
    if is_bundle(out):
        raise SettingError("out", "the folder of an experiment, or a new one", f"the bundle {out}")


def bundled(folder: Path, config: ExperimentConfig, run: str | None = None) -> Bundle:
    """What is deployed of an experiment, from its folder; ``run`` as in :class:`Bundle`.

    Raises
    ------
    SettingError
        Something is missing or damaged, or does not fit the world of the settings.
    """
    parts, preset = parts_of(folder), settings_in(folder).get(PRESET, "")
    run = read_bundle(folder).run if is_bundle(folder) else run
    acting = (
        lower_of(parts.lower, config).saved(f"lower{SUFFIX}", config.lower.algorithm),
        upper_of(parts.upper, config).saved(f"upper{SUFFIX}", config.upper.algorithm),
    )
    settings = {PRESET: preset, **plain_settings(config)}
    return Bundle(settings, envs.describe(config.env), *acting, parts.found, versions(), run)


def versions() -> dict[str, str]:
    """Of Python and the libraries that there are."""
    there = {"python": platform.python_version()}
    for name in LIBRARIES:
        with suppress(PackageNotFoundError):
            there[name] = version(name)
    return there


def write_bundle(bundle: Bundle, folder: Path) -> None:
    """Write a bundle; ``bundle.json``, without which there is none, comes last."""
    write_sealed({f"{name}{SUFFIX}": save(dict(agent.arrays)) for name, agent in bundle.agents.items()}, bundle, folder)


def write_sealed(files: Mapping[str, bytes], bundle: Bundle, folder: Path, name: str = BUNDLE_NAME) -> None:
    """Write files, and all that a bundle says beside the parameters as JSON, with the sums of all of them."""
    for one, data in files.items():
        write(folder / one, partial(_fill, data))
    write(folder / name, partial(_fill, sealed(entry_of(bundle), files, name)))


def _fill(data: bytes, file: IO[bytes]) -> None:
    file.write(data)


def entry_of(bundle: Bundle) -> dict[str, Any]:
    """All but the parameters, as plain values."""
    return {
        "schema": SCHEMA,
        "config": bundle.settings,
        "spec": bundle.spec.to_json(),
        **{name: {key: agent.description[key] for key in DESCRIBED} for name, agent in bundle.agents.items()},
        "found": bundle.found,
        "versions": bundle.versions,
        "mlflow_run": bundle.run,
    }


def sealed(entry: Mapping[str, Any], files: Mapping[str, bytes], name: str) -> bytes:
    """A JSON file of that name of an entry, with the sums of other files and of itself."""
    sums = {one: _sum(data) for one, data in files.items()}
    whole = {**entry, SUMS: sums}
    return _rendered({**entry, SUMS: {**sums, name: _sum(_rendered(whole))}})


def unsealed(data: bytes) -> tuple[dict[str, Any], dict[str, str]]:
    """The entry of such a file, and the sums of others.

    Raises
    ------
    ValueError, KeyError, TypeError
        It is not to the byte what was written.
    """
    entry = json.loads(data)
    sums = dict(entry.pop(SUMS))
    own = sums.pop(BUNDLE_NAME)
    if own != _sum(_rendered({**entry, SUMS: sums})) or data != _rendered({**entry, SUMS: {**sums, BUNDLE_NAME: own}}):
        raise ValueError("its sum is another one")
    return entry, sums


def _rendered(value: object) -> bytes:
    return (json.dumps(value, indent=1, allow_nan=False) + "\n").encode()


def _sum(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def read_bundle(folder: Path) -> Bundle:
    """The bundle that was written, every sum of it held against what is there.

    Raises
    ------
    SettingError
        It is missing or damaged, or another version wrote it.
    """
    path = folder / BUNDLE_NAME
    try:
        entry, sums = unsealed(path.read_bytes())
        if entry["schema"] != SCHEMA:
            raise ValueError(f"schema {entry['schema']}, not {SCHEMA}")
        lower, upper = (_agent(folder, name, {**entry[name], "spec": entry["spec"]}, sums) for name in AGENTS)
        settings, found, made_with = (dict(entry[name]) for name in ("config", "found", "versions"))
        return Bundle(settings, WorldSpec.from_json(entry["spec"]), lower, upper, found, made_with, entry["mlflow_run"])
    except READ_ERRORS as error:
        raise SettingError(path.name, "a bundle that can be read", f"{path} ({one_line(error)})") from None


def _agent(folder: Path, name: str, description: Mapping[str, Any], sums: Mapping[str, str]) -> SavedAgent:
    data = (folder / f"{name}{SUFFIX}").read_bytes()
    if sums[f"{name}{SUFFIX}"] != _sum(data):
        raise ValueError(f"the sum of {name}{SUFFIX} is another one")
    return SavedAgent(f"{name}{SUFFIX}", description, load(data))
