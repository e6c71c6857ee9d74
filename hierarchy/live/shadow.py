"""Beside whatever steers now: where the pair would have decided otherwise, and by how much."""

from __future__ import annotations

import numpy as np

from envs.core.arrays import IntArray
from hierarchy.live.reports import Report

OTHERWISE = 0.05
"""Share of a backend's weight on other servers from which on a decision is another one."""


def apart(one: IntArray, other: IntArray) -> list[float]:
    """Share of every backend's weight that is on other servers ``(L,)``, of weights ``(L, S)``; 1 where only one has any."""
    shares = [weights / np.maximum(weights.sum(1, keepdims=True), 1) for weights in (one, other)]
    distance = 0.5 * np.abs(shares[0] - shares[1]).sum(1)
    return np.where(one.any(1) == other.any(1), distance, 1.0).tolist()  # type: ignore[no-any-return]


class Shadow:
    """Counts, over all steps, where what is decided is not what is in force."""

    name = "shadow"

    def __init__(self) -> None:
        self.n_steps = self.n_otherwise = 0
        self._sum = 0.0

    def observe(self, report: Report) -> None:
        weights = report.decision.weights
        if weights is None or report.decision.held_because:
            return
        largest = max(apart(weights, report.in_force))
        self.n_steps += 1
        self.n_otherwise += largest > OTHERWISE
        self._sum += largest

    def close(self) -> None: ...

    def said(self) -> str:
        """All of it in a line."""
        mean = self._sum / max(self.n_steps, 1)
        return (
            f"of {self.n_steps} decisions {self.n_otherwise} would have moved more than {OTHERWISE:.0%} of a backend's "
            f"weight; on average {mean:.1%} of it is on other servers"
        )
