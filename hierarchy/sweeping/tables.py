"""The trials of a sweep as text."""

from __future__ import annotations

from hierarchy.sweeping.space import Range, Space
from hierarchy.sweeping.summary import SweepResults, TrialResult


def table(results: SweepResults) -> list[list[str]]:
    """Trials as rows below headings: those that are complete, best first, then the others by number."""
    trials = results["trials"]
    names = list(trials[0]["values"]) if trials else []
    is_bounded = any(one["beyond"] > 0 for one in trials)
    rows = [["trial", "objective", *(["beyond bounds"] if is_bounded else []), "state", "rungs", *names]]
    for one in sorted(trials, key=_place):
        objective = "-" if one["objective"] is None else f"{one['objective']:.4f}"
        beyond = [f"{one['beyond']:.3f}"] if is_bounded else []
        values = [text(one["values"].get(name)) for name in names]
        rows.append([str(one["number"]), objective, *beyond, state(one), str(len(one["rungs"])), *values])
    return rows


def space_table(space: Space) -> list[list[str]]:
    """What each setting could be, as rows below headings."""
    rows = [["setting", "values"]]
    for name, one in space.items():
        if isinstance(one, Range):
            scale = ", by logarithm" if one.log else "" if one.step is None else f", every {text(one.step)}"
            rows.append([name, f"{text(one.low)} to {text(one.high)}{scale}"])
        else:
            rows.append([name, ", ".join(map(text, one.ends))])
    return rows


def _place(trial: TrialResult) -> tuple[bool, float, float, int]:
    objective = trial["objective"]
    return objective is None, trial["beyond"], -(objective or 0.0), trial["number"]


def state(trial: TrialResult) -> str:
    """How a trial ended."""
    return f"{trial['state']}: {trial['why']}" if trial["why"] else trial["state"]


def text(value: object) -> str:
    """The value of a setting."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def markdown(results: SweepResults) -> str:
    """The table in Markdown."""
    headings, *rows = table(results)
    rule = ["---", *["---:"] * (len(headings) - 1)]
    return "\n".join(f"| {' | '.join(row)} |" for row in (headings, rule, *rows))
