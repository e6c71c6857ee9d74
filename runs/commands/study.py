"""`metabalance study`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jsonargparse import ArgumentParser, Namespace

from envs.core.validation import SettingError, check, setting
from runs.commands.experiments import add_layers, check_fits
from runs.settings.checks import check_trace, check_writable
from runs.settings.experiment import Layered, experiment_of, from_files, from_folder
from runs.settings.files import DEFAULT_PRESET, preset_file
from runs.settings.options import add_options, options_of, positional, repeated
from runs.settings.trust import TrustOptions, trusts_factory
from runs.settings.usage import UsageError
from runs.studies import STUDIES


@dataclass(frozen=True)
class Options(TrustOptions):
    """What to study, and on what."""

    name: str = positional(one_of=tuple(STUDIES))
    """what to study"""
    folder: Path = positional()
    """output folder of an experiment or of several training seeds; the study writes there"""
    seeds: int | None = setting(None, ge=1)
    """training seeds; the study says how many by default"""
    trace: list[Path] = repeated()
    """a recording of requests, where the study takes one"""
    config: list[Path] = repeated()
    """YAML or JSON file of settings, over those of the folder"""

    def __post_init__(self) -> None:
        check(self)
        names = [trace.stem for trace in self.trace]
        if len(set(names)) < len(names):
            raise SettingError("trace", "recordings of different names", ", ".join(map(str, self.trace)))


@dataclass(frozen=True)
class StudyCommand:
    """A study of the agents in a folder."""

    name: str = "study"
    help: str = "answer a question about the agents in a folder: " + ", ".join(STUDIES)

    def add_options(self, parser: ArgumentParser, arguments: Sequence[str]) -> Sequence[str]:
        add_options(parser, Options, arguments)
        return add_layers(parser, _base(arguments), arguments).arguments

    def run(self, parsed: Namespace) -> int:
        options, config = options_of(Options, parsed), experiment_of(parsed)
        for name, told in (("seeds", options.seeds), ("trace", ", ".join(map(str, options.trace)))):
            if told and name not in STUDIES[options.name].options:
                raise SettingError(name, f"left out, study {options.name} does not take it", told)
        check_fits(config)
        for trace in options.trace:
            check_trace(trace)
        check_writable(options.folder, "folder")
        from runs.studies import study_of
        from runs.studies.running import run_study
        from runs.studies.study import StudyOptions
        from runs.terminal.tables import print_rows, wide_console

        study_options = StudyOptions(options.seeds, tuple(options.trace))
        results = run_study(options.name, config, options.folder, study_options)
        for section in study_of(options.name).sections(results):
            print_rows(section.title, section.rows, wide_console())
            print(section.text)
        print(f"figures in {options.folder / f'{options.name}.json'}")
        return 0


def _base(arguments: Sequence[str]) -> Layered:
    """What settings start from: those of the folder, or the preset that a study asks for."""
    if "--help" in arguments or "-h" in arguments:
        return from_files([preset_file(DEFAULT_PRESET)])
    if not arguments:
        raise UsageError(f"study must be given a name and a folder, as in: study front DIR; there are {', '.join(STUDIES)}")
    name, *rest = arguments
    if name not in STUDIES:
        raise SettingError("name", f"one of {', '.join(STUDIES)}", name)
    if not rest or rest[0].startswith("-"):
        raise UsageError(f"study must be given a folder after its name, as in: study {name} DIR")
    preset = STUDIES[name].preset
    if preset is not None:
        return from_files([preset_file(preset)])
    return from_folder(Path(rest[0]), trusts_factory(arguments))


STUDY = StudyCommand()
