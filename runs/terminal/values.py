"""What off-policy evaluation tells, as a table and what to read in it."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console

from hierarchy.off_policy.estimators import Estimate, Estimates
from hierarchy.off_policy.folder import Evaluated
from runs.terminal.tables import print_rows

HEADINGS = ["", "value", "95 % interval", "above the behaviour", "95 % interval", "effective sample size"]


def print_values(found: Evaluated, console: Console) -> None:
    """A table for each training seed, refusals below it, and what a value is."""
    for seed, agent in found["agents"].items():
        print_rows(f"off-policy values of {found['algorithm']}, seed {seed}", _rows(agent), console)
        for name, one in agent["estimators"].items():
            if one["refused"] is not None:
                print(f"{name} refused: {one['refused']}")
        print(_text(found, agent))


def _rows(agent: Estimates) -> list[list[str]]:
    own = agent["behaviour"]
    first = ["behaviour", _number(own["mean"]), _interval(own["ci95"]), "", "", ""]
    return [HEADINGS, first, *([name, *_cells(one)] for name, one in agent["estimators"].items())]


def _cells(one: Estimate) -> list[str]:
    numbers = [_number(one["mean"]), _interval(one["ci95"]), _number(one["gain"]), _interval(one["gain_ci95"])]
    return [*numbers, f"{one['n_effective']:.1f}"]


def _number(value: float | None) -> str:
    return "refused" if value is None else f"{value:.4f}"


def _interval(ci95: Sequence[float] | None) -> str:
    return "-" if ci95 is None else f"{ci95[0]:.4f} to {ci95[1]:.4f}"


def _text(found: Evaluated, agent: Estimates) -> str:
    settings, overlap, mix = found["settings"], agent["overlap"], found["mix"]
    under = "those on record" if mix is None else ", ".join(f"{weight:.3g} {name}" for name, weight in mix.items())
    return (
        f"Mean discounted rewards of the lower agent over {settings['horizon']} actions, discount {settings['discount']:g}, "
        f"from where the behaviour ({found['behaviour']}) has got to; mixes: {under}. "
        f"{overlap['pieces']} pieces of {overlap['episodes']} episodes, which intervals are resampled over."
    )
