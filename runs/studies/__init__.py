"""Studies that take longer than a test: one module each, run by `metabalance study NAME DIR`."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runs.studies.study import Study

STUDIES: Mapping[str, str] = {
    "held_out": "the agents where nothing was trained or tuned: another pool, other loads, a shorter dwell, a recording",
    "scenarios": "the lower agent, latency-first, against the balancing rules in six scenarios and on a recording",
    "adaptation": "another objective after training: steps that it takes with a hierarchy and without",
    "front": "what one lower agent can trade: latency, cost and unfairness over a grid of contexts",
    "steering": "whether the lower agent follows its context, from latency-first to cost-first",
    "transfer": "agents trained on four servers, met on six and on twelve",
}
"""What can be studied. Each is a module of its name with a :class:`runs.studies.study.Study` called ``STUDY``."""


def study_of(name: str) -> Study:
    """The study of that name; its module imports what it needs."""
    study: Study = import_module(f"runs.studies.{name}").STUDY
    return study
