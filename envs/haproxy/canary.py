"""A share of the requests is steered, the rest is not: what that changes for a request, with its interval.

Both kinds meet the same servers at the same time, so what servers cost can't be told apart; what requests are worth can.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from envs.core.arrays import FloatArray, IntArray
from envs.load_balancing.config import LoadBalancingConfig
from envs.load_balancing.kernel.metering import ANSWERED, Ended

MIN_WINDOWS = 2
CONFIDENCE = 0.95
SURELY = 1e-6
"""How unlikely shares are that are told to be others than was said."""


class Difference(NamedTuple):
    """Of a figure of a request.

    Attributes
    ----------
    steered, control
        Its mean over the requests of each kind, of latencies over those that were answered.
    difference
        Of the first from the second.
    ci95
        Interval of that, by leaving out window after window; None of fewer than two windows.
    """

    steered: float
    control: float
    difference: float
    ci95: tuple[float, float] | None


class Canary:
    """Adds up what becomes of requests, window by window.

    Parameters
    ----------
    config
        What requests are worth, and how long they may take.
    """

    FIGURES = ("latency_ms", "late_share", "unanswered_share", "value_usd_per_1000")

    def __init__(self, config: LoadBalancingConfig) -> None:
        self._classes = config.workload.classes
        self.begin()

    def begin(self) -> None:
        """Nothing was steered before."""
        self._windows: list[FloatArray] = []  # (2, 2, figures): of either kind sums of figures, and over how many requests
        self._now = np.zeros((2, 2, len(self.FIGURES)))

    def take_in(self, ended: Ended, is_steered: bool) -> None:
        """Requests of one kind that have ended."""
        sums = self._now[0 if is_steered else 1]
        for number, one in enumerate(self._classes):
            of_class = ended.flow_class == number
            answered = of_class & (ended.outcome == ANSWERED)
            late = answered & (ended.latency_s > one.deadline_s)
            n, n_answered, n_late = int(of_class.sum()), int(answered.sum()), int(late.sum())
            worth = (
                (n_answered - n_late) * one.value_usd - n_late * one.penalty_usd - (n - n_answered) * one.price_of_loss_usd
            )
            latency_ms = 1e3 * float(ended.latency_s[answered].sum())
            sums += [[latency_ms, n_late + n - n_answered, n - n_answered, 1e3 * worth], [n_answered, n, n, n]]

    def end_window(self, was_steered: bool = True) -> None:
        """What comes now is of the next one; one that was not steered all along does not count."""
        if was_steered:
            self._windows.append(self._now)
        self._now = np.zeros_like(self._now)

    def lines(self, share: float | None) -> list[str]:
        """What is known up to the last window, in words; ``share`` is what was said of the requests that are steered."""
        differences = self.differences()
        if differences is None:
            return ["no window with requests of both kinds"]
        found = [f"{self.n_requests[0]} requests steered, {self.n_requests[1]} not, in {len(self._windows)} windows"]
        for name, one in differences.items():
            interval = "" if one.ci95 is None else f" ({one.ci95[0]:.4g} to {one.ci95[1]:.4g})"
            found.append(
                f"{name} {one.steered:.4g}, not steered {one.control:.4g}, difference {one.difference:.4g}{interval}"
            )
        other = "" if share is None else self.differs(share)
        return [*found, other] if other else found

    def differs(self, share: float) -> str:
        """How the share that was steered is another one than was said; empty if it need not be."""
        from scipy import stats

        n_steered, n_control = self.n_requests.tolist()
        n = n_steered + n_control
        if not n or stats.binomtest(n_steered, n, share).pvalue >= SURELY:
            return ""
        return f"{n_steered / n:.1%} of {n} requests were steered, {share:.1%} was said"

    @property
    def n_requests(self) -> IntArray:
        """Of the windows that are over, steered and not ``(2,)``."""
        n: IntArray = np.array([one[:, 1, -1] for one in self._windows]).reshape(-1, 2).sum(0).astype(np.int64)
        return n

    def differences(self) -> dict[str, Difference] | None:
        """Every figure; None before there were requests of both kinds."""
        from scipy import stats

        windows = np.array(self._windows).reshape(-1, *self._now.shape)
        if not (self.n_requests > 0).all():
            return None
        whole, n = windows.sum(0), len(windows)
        steered, control = _means(whole)
        half = None
        if n >= MIN_WINDOWS:
            left = np.array([np.subtract(*_means(whole - one)) for one in windows])
            error = np.sqrt((n - 1) / n * ((left - left.mean(0)) ** 2).sum(0))
            half = stats.t.ppf(0.5 + CONFIDENCE / 2.0, n - 1) * error
        found = {}
        for at, name in enumerate(self.FIGURES):
            apart = float(steered[at] - control[at])
            ci95 = None if half is None else (apart - float(half[at]), apart + float(half[at]))
            found[name] = Difference(float(steered[at]), float(control[at]), apart, ci95)
        return found


def _means(sums: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Means ``(figures,)``, steered and not, of sums ``(2, 2, figures)``."""
    means = sums[:, 0] / np.maximum(sums[:, 1], 1.0)
    return means[0], means[1]
