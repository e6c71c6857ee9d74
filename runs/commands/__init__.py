"""The commands of `metabalance`, one module each."""

from __future__ import annotations

from runs.commands.ablate import ABLATE
from runs.commands.audit import AUDIT
from runs.commands.bench import BENCH
from runs.commands.calibrate import CALIBRATE
from runs.commands.command import Command
from runs.commands.dataset import DATASET
from runs.commands.evaluate import EVALUATE
from runs.commands.explain import EXPLAIN
from runs.commands.export import EXPORT
from runs.commands.promote import PROMOTE
from runs.commands.report import REPORT
from runs.commands.resume import RESUME
from runs.commands.serve import SERVE
from runs.commands.server import SERVER
from runs.commands.study import STUDY
from runs.commands.sweep import SWEEP
from runs.commands.sync import SYNC
from runs.commands.testbed import TESTBED
from runs.commands.top import TOP
from runs.commands.train import TRAIN
from runs.commands.train_lower import TRAIN_LOWER
from runs.commands.train_upper import TRAIN_UPPER
from runs.commands.ui import UI

__all__ = ["COMMANDS", "Command"]

COMMANDS: dict[str, Command] = {
    command.name: command
    for command in (
        TRAIN,
        TRAIN_LOWER,
        TRAIN_UPPER,
        ABLATE,
        SWEEP,
        RESUME,
        EVALUATE,
        EXPLAIN,
        STUDY,
        REPORT,
        DATASET,
        EXPORT,
        PROMOTE,
        SERVE,
        TESTBED,
        CALIBRATE,
        TOP,
        AUDIT,
        SYNC,
        BENCH,
        UI,
        SERVER,
    )
}
"""Every command by name."""
