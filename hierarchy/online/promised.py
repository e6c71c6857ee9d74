"""What the deployed agent promised: what it had on selection seeds when it was chosen."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from envs.core.validation import SettingError
from hierarchy.config import ExperimentConfig
from hierarchy.evidence.arms import OURS
from hierarchy.evidence.gate import GATE
from hierarchy.online.config import OnlineConfig

N_ERRORS = 3.0
"""Standard errors in the margin."""


class Promised(NamedTuple):
    """In the unit of the objective."""

    promise: float
    margin: float


def promised(config: ExperimentConfig, online: OnlineConfig, found: Mapping[str, Any]) -> Promised:
    """What settings say, or else what the gate found, whose episodes had ``ablation.select_windows`` windows.

    The error of a mean over other windows is taken for that of as many independent ones. Of an objective that is no mean of
    its windows, such as one with a bound on a quantile, it is no measure: give both then.

    Raises
    ------
    SettingError
        Neither says it.
    """
    gate = found.get(GATE) or {}
    promise, margin = online.promise, online.margin
    if promise is None:
        promise = gate.get("means", {}).get(OURS)
    if margin is None:
        error, n_windows = gate.get("standard_errors", {}).get(OURS), config.ablation.select_windows
        if error is not None and n_windows:
            margin = N_ERRORS * error * math.sqrt(gate["n_seeds"] * n_windows / online.windows)
    for name, value in (("promise", promise), ("margin", margin)):
        if value is None:
            raise SettingError(f"online.{name}", "given where no gate has run (ablation.heuristics)", "nothing")
    assert promise is not None
    assert margin is not None
    return Promised(promise, margin)
