"""What the gated arm took, and what it had to choose from, as text and as a table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

from hierarchy.evidence.arms import GATED
from hierarchy.evidence.results import Results

GATE = "gate"
"""What is found for the gated arm, by its name among all that is found."""


def choices(results: Results) -> list[Mapping[str, Any]]:
    """What was taken on every training seed and what is known of it, in order; empty where nothing was."""
    found = results["found"].get(GATE)
    of_seeds = found if isinstance(found, list) else [found]
    return [one for one in of_seeds if one is not None]


def gate_text(results: Results) -> str:
    """Which arms were taken on how many training seeds; empty where none was."""
    taken = Counter(one["name"] for one in choices(results))
    if not taken:
        return ""
    if taken.total() == 1:
        return f"{GATED}: took {next(iter(taken))}"
    counted = " and ".join(f"{name} on {n}" for name, n in taken.most_common())
    return f"{GATED}: took {counted} of {taken.total()} training seeds"


def gate_table(results: Results) -> list[list[str]]:
    """What there was to choose from, best first, as rows below headings; none where nothing was taken.

    Figures are means over training seeds. Where an arm is beyond the bounds of its world, a column says how far.
    """
    of_seeds = choices(results)
    if not of_seeds:
        return []
    names = [name for name in of_seeds[0]["means"] if all(name in one["means"] for one in of_seeds)]
    means = {name: float(np.mean([one["means"][name] for one in of_seeds])) for name in names}
    beyond = {name: float(np.mean([one.get("beyond", {}).get(name, 0.0) for one in of_seeds])) for name in names}
    bounds = ["beyond bounds"] if any(beyond.values()) else []
    rows = [["arm", "mean", "standard error", *bounds, "taken on training seeds"]]
    for name in sorted(names, key=lambda name: (beyond[name], -means[name])):
        errors = [one["standard_errors"][name] for one in of_seeds]
        error = "-" if None in errors else f"{np.mean(errors):.3f}"
        n_taken = sum(one["name"] == name for one in of_seeds)
        rows.append([name, f"{means[name]:.3f}", error, *(f"{beyond[name]:.0%}" for _ in bounds), str(n_taken)])
    return rows
