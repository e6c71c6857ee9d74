"""`metabalance export`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jsonargparse import ArgumentParser, Namespace

from envs.core.validation import SettingError, check, setting
from hierarchy.exporting.formats import FORMATS, export
from runs.settings.checks import check_writable
from runs.settings.options import add_options, options_of, positional
from runs.settings.trust import TrustOptions


@dataclass(frozen=True)
class Options(TrustOptions):
    """What is written, and where to."""

    folder: Path = positional()
    """output folder of an experiment, one training seed of several, a bundle, or models:/NAME@ALIAS"""
    to: Path | None = None
    """folder to write, which is empty or not there yet"""
    format: str = setting("bundle", one_of=tuple(FORMATS))
    """bundle: parameters and all that is known of them, read again by evaluate; onnx: models for other runtimes;
    sb3: zips of Stable-Baselines3, which hold pickle"""

    def __post_init__(self) -> None:
        check(self)
        if self.to is None:
            raise SettingError("to", "given, as in: export DIR --to PATH", "nothing")


@dataclass(frozen=True)
class ExportCommand:
    """A trained pair in a form that can be handed on."""

    name: str = "export"
    help: str = "write the trained pair in a folder for others, as in: export DIR --to PATH --format onnx"

    def add_options(self, parser: ArgumentParser, arguments: Sequence[str]) -> Sequence[str]:
        add_options(parser, Options, arguments)
        return arguments

    def run(self, parsed: Namespace) -> int:
        options = options_of(Options, parsed)
        assert options.to is not None
        check_writable(options.to.parent, "to")
        from hierarchy.storage.trained import config_of
        from hierarchy.tracking.history import last_run

        export(
            options.folder,
            config_of(options.folder, trusts_factory=options.trust_factory),
            options.to,
            options.format,
            last_run(options.folder),
        )
        print(f"{options.format} in {options.to}")
        return 0


EXPORT = ExportCommand()
