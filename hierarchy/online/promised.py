"""What the deployed agent promised: what it had on selection seeds when it was chosen, and how well that is known."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from envs.core.objectives import Objective, is_mean_of_windows
from envs.core.validation import SettingError
from hierarchy.config import ExperimentConfig
from hierarchy.evidence.arms import OURS
from hierarchy.evidence.gate import GATE
from hierarchy.online.config import OnlineConfig

N_ERRORS = 4.5
"""Standard errors in the margin. A mean over the last windows is looked at after each: of independent ones luck alone takes
it so low about once in ten thousand times as many as it has."""


class Promised(NamedTuple):
    """In the unit of the objective.

    Attributes
    ----------
    promise
        Mean objective of a window.
    margin
        What a mean over `online.windows` may fall short of a promise that is exact.
    n_windows
        That the promise is a mean of; 0 for one that is given, which is exact.
    """

    promise: float
    margin: float
    n_windows: int = 0


def promised(config: ExperimentConfig, online: OnlineConfig, found: Mapping[str, Any], objective: Objective) -> Promised:
    """What settings say, or else what the gate found, whose episodes had ``ablation.select_windows`` windows.

    The error of a mean over other windows is taken for that of as many independent ones. An objective that is no mean of its
    windows, such as one with a bound on a quantile, has another value in a window than in an episode.

    Raises
    ------
    SettingError
        Neither says it.
    """
    gate = found.get(GATE) or {} if is_mean_of_windows(objective) else {}
    promise, margin, n_behind = online.promise, online.margin, 0
    if promise is None:
        promise = gate.get("means", {}).get(OURS)
        n_behind = gate.get("n_seeds", 0) * config.ablation.select_windows
    if margin is None:
        error, n_windows = gate.get("standard_errors", {}).get(OURS), config.ablation.select_windows
        if error is not None and n_windows:
            margin = N_ERRORS * error * math.sqrt(gate["n_seeds"] * n_windows / online.windows)
    for name, value in (("promise", promise), ("margin", margin)):
        if value is None:
            allowed = "given where no gate has run (ablation.heuristics), or the objective is no mean of its windows"
            raise SettingError(f"online.{name}", allowed, "nothing")
    assert promise is not None
    assert margin is not None
    return Promised(promise, margin, n_behind)
