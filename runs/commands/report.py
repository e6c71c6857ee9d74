"""`metabalance report`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jsonargparse import ArgumentParser, Namespace

from runs.settings.options import add_options, options_of, positional
from runs.settings.trust import TrustOptions


@dataclass(frozen=True)
class Options(TrustOptions):
    """What to report on."""

    folder: Path = positional()
    """output folder of an experiment, of several training seeds, or of a sweep"""


@dataclass(frozen=True)
class Report:
    """One page of an output folder."""

    name: str = "report"
    help: str = "write report.html, a page that needs no network, in an output folder"

    def add_options(self, parser: ArgumentParser, arguments: Sequence[str]) -> Sequence[str]:
        add_options(parser, Options, arguments)
        return arguments

    def run(self, parsed: Namespace) -> int:
        from runs.report.page import write_report

        options = options_of(Options, parsed)
        print(f"report in {write_report(options.folder, trusts_factory=options.trust_factory)}")
        return 0


REPORT = Report()
