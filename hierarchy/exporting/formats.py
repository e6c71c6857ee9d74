"""The forms that a pair can be written in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from hierarchy.config import ExperimentConfig
from hierarchy.extras import check_extra
from hierarchy.storage.bundle import Bundle, bundled, parts_of, write_bundle, write_sealed
from hierarchy.storage.files import check_free, whole_folder

DESCRIPTION_NAME = "description.json"
"""What a bundle says beside the parameters, beside agents in other forms."""


class Export(NamedTuple):
    """What is written.

    Attributes
    ----------
    bundle
        What is deployed.
    config
        Settings of the world that it is for.
    source
        The folder that it is from.
    """

    bundle: Bundle
    config: ExperimentConfig
    source: Path


Write = Callable[[Export, Path], None]


class Format(NamedTuple):
    """A form, and the packages that writing it needs, which an extra of the same name installs."""

    write: Write
    packages: tuple[str, ...] = ()


def as_bundle(export: Export, folder: Path) -> None:
    """Write a bundle."""
    write_bundle(export.bundle, folder)


def as_onnx(export: Export, folder: Path) -> None:
    """Write ``lower.onnx`` and ``upper.onnx``."""
    from hierarchy.exporting.onnx import onnx_of

    bundle, config = export.bundle, export.config
    actors = {"lower": config.lower.actor(bundle.lower), "upper": config.upper.actor(bundle.upper)}
    _write_with_description({f"{name}.onnx": onnx_of(actor) for name, actor in actors.items()}, export, folder)


def as_sb3(export: Export, folder: Path) -> None:
    """Write ``lower.zip`` and ``upper.zip``, as Stable-Baselines3 saves agents: they hold pickle."""
    from hierarchy.exporting.sb3 import zips_of

    _write_with_description(zips_of(parts_of(export.source), export.config), export, folder)


def _write_with_description(files: Mapping[str, bytes], export: Export, folder: Path) -> None:
    write_sealed(files, export.bundle, folder, DESCRIPTION_NAME)


FORMATS = {"bundle": Format(as_bundle), "onnx": Format(as_onnx, ("onnx", "onnxscript")), "sb3": Format(as_sb3)}


def export(source: Path, config: ExperimentConfig, to: Path, name: str, run: str | None = None) -> None:
    """Write the pair that a folder holds in a form, into a folder that is there whole or not at all.

    Parameters
    ----------
    source
        Folder of an experiment, or a bundle.
    config
        Settings of the world that the pair is for.
    name
        Of the form, one of ``FORMATS``.
    run
        As in :class:`hierarchy.storage.bundle.Bundle`.

    Raises
    ------
    SettingError
        Something is missing or damaged, packages are, or there is something at ``to`` already.
    """
    check_extra(name, FORMATS[name].packages, "format", name)
    check_free(to)
    exported = Export(bundled(source, config, run), config, source)
    with whole_folder(to) as draft:
        FORMATS[name].write(exported, draft)
