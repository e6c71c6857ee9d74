"""Studies that take longer than a test: one module each, run by `metabalance study NAME DIR`."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from runs.studies.study import Study


class About(NamedTuple):
    """What a study asks, which options it takes, and the preset that its settings start from; else those of its folder."""

    question: str
    options: tuple[str, ...] = ()  # of `studies.study.StudyOptions`
    preset: str | None = None


STUDIES: Mapping[str, About] = {
    "headroom": About("what is to be gained: a planner with foresight against the best rule and the best mix", ("seeds",)),
    "suite": About(
        "who does well everywhere: all arms trained and tuned in many worlds under several objectives",
        ("seeds", "trace"),
        preset="suite",
    ),
    "held_out": About("where nothing was trained or tuned: another pool, other loads, a recording", ("seeds", "trace")),
    "scenarios": About(
        "latency-first against the balancing rules, in five scenarios and on a recording",
        ("seeds", "trace"),
        preset="scratch",
    ),
    "adaptation": About("another objective after training: steps that it takes with a hierarchy and without", ("seeds",)),
    "front": About("what one lower agent can trade: latency, cost and unfairness over a grid of contexts", ("seeds",)),
    "steering": About("whether the lower agent follows its context, from latency-first to cost-first"),
    "upper_seeds": About("whether upper agents collapse: many seeds of them over the same lower agents", ("seeds",)),
    "belief": About(
        "what it is worth to remember windows: the last ones side by side, or a belief about hidden regimes", ("seeds",)
    ),
    "balancers": About(
        "four balancers that see their own requests alone: a learned team against SED, latency-first",
        ("seeds",),
        preset="balancers",
    ),
    "algorithms": About("how soon lower algorithms learn: PPO and SAC with memory, over the rules of a folder", ("seeds",)),
    "bounds": About(
        "what a bound costs: agents that keep it, that pay a penalty set by hand, and that know nothing of it",
        ("seeds",),
        preset="bounded",
    ),
    "transfer": About("agents trained on four servers, met on six and on twelve", ("seeds",), preset="transfer"),
    "drift": About("whether an upper agent that goes on learning follows a world that drifts", ("seeds",)),
    "meta": About("how soon an agent that learned to learn fits a pool that it has never met", ("seeds",), preset="meta"),
    "overlap": About(
        "whether off-policy evaluation tells the truth: intervals from records against what policies do simulated",
        ("seeds",),
        preset="overlap",
    ),
    "games": About("whether teams find what is right in games whose answers are known", ("seeds",), preset="scratch"),
}
"""What can be studied. Each is a module of its name with a :class:`runs.studies.study.Study` called ``STUDY``."""


def study_of(name: str) -> Study:
    """The study of that name; its module imports what it needs."""
    study: Study = import_module(f"runs.studies.{name}").STUDY
    return study
