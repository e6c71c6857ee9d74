"""What arrives: classes of requests, regimes of load and mix, and the source that makes requests of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from envs.core.arrays import FloatArray
from envs.core.validation import SettingError, check, chosen, setting
from envs.load_balancing.kernel.arrivals import ARRIVALS
from envs.load_balancing.kernel.arrivals.diurnal import Diurnal
from envs.load_balancing.kernel.arrivals.source import ArrivalConfig
from envs.load_balancing.kernel.arrivals.traffic import WorkDistribution

RegimeOrder = Literal["turn", "random"]
CLASSES: tuple[str, ...] = ("interactive", "batch")


@dataclass(frozen=True)
class WorkloadClass:
    """Flows of one kind; `envs.load_balancing.stories` tells where the default figures come from."""

    mean_work_s: float = setting(gt=0)
    """mean work of a flow, in seconds on a core of speed 1"""
    deadline_s: float = setting(gt=0)
    """latency up to which an answer is of value"""
    value_usd: float = setting(ge=0)
    """value of an answer in time"""
    penalty_usd: float = setting(ge=0)
    """price of a late one"""
    loss_usd: float | None = setting(None, gt=0)
    """price of a lost or rejected request, above that of a late one; None takes value and penalty together"""

    def __post_init__(self) -> None:
        check(self)
        if self.price_of_loss_usd <= self.penalty_usd:
            allowed = f"> penalty_usd ({self.penalty_usd})" + (" where value_usd is 0" if self.loss_usd is None else "")
            raise SettingError("loss_usd", allowed, self.loss_usd)

    @property
    def price_of_loss_usd(self) -> float:
        """What a lost or rejected request costs."""
        return self.value_usd + self.penalty_usd if self.loss_usd is None else self.loss_usd


@dataclass(frozen=True)
class Regimes:
    """Load levels times class mixes that follow each other; the mix varies fastest."""

    loads: list[float] = setting(default_factory=lambda: [0.15, 0.35, 0.55], ge=0, le=1e6, n_min=1)
    """offered load of each level, as a share of the pool's nominal capacity"""
    interactive_shares: list[float] = setting(default_factory=lambda: [0.95, 0.5, 0.05], ge=0, le=1, n_min=1)
    """share of interactive flows in each mix"""
    mean_dwell_s: float = setting(100.0, ge=1e-3)
    """mean seconds in a regime; 20 windows of 20 steps by default"""
    n_stages: int = setting(16, ge=1, le=10_000)
    """exponential stages that a regime passes through; 1 ends at any instant alike, more make its length more certain"""
    order: RegimeOrder = "turn"
    """turn has regimes follow each other in order, random has any of the others follow"""

    def __post_init__(self) -> None:
        check(self)

    @property
    def n_regimes(self) -> int:
        return len(self.loads) * len(self.interactive_shares)

    @property
    def load(self) -> FloatArray:
        """Offered load of each regime ``(n_regimes,)``; the mix varies fastest."""
        return np.repeat(np.asarray(self.loads, np.float64), len(self.interactive_shares))

    @property
    def interactive_share(self) -> FloatArray:
        """Share of interactive flows of each regime ``(n_regimes,)``."""
        return np.tile(np.asarray(self.interactive_shares, np.float64), len(self.loads))


@dataclass(frozen=True)
class Workload:
    """What arrives."""

    arrivals: ArrivalConfig = chosen(
        lambda: ARRIVALS, by="source", default_factory=lambda: Diurnal(period_s=200.0, amplitude=0.6, batch_swing=-1.0)
    )
    """where requests come from: poisson, mmpp (bursts), diurnal (days) or trace (replay of a recording)"""
    rate_hz: float | None = setting(None, gt=0)
    """mean arrivals a second, averaged over regimes; None takes the offered load of the regimes as it is"""
    regimes: Regimes = field(default_factory=Regimes)
    interactive: WorkloadClass = field(
        default_factory=lambda: WorkloadClass(
            mean_work_s=0.04, deadline_s=0.2, value_usd=1e-5, penalty_usd=1e-5, loss_usd=2e-5
        )
    )
    batch: WorkloadClass = field(
        default_factory=lambda: WorkloadClass(
            mean_work_s=0.2, deadline_s=60.0, value_usd=8e-6, penalty_usd=4e-6, loss_usd=1.6e-5
        )
    )
    retries: float = setting(0.5, ge=0, lt=1)
    """probability that a rejected request comes back"""
    retry_pause_s: float = setting(5.0, ge=1e-3)
    """mean seconds until it does"""
    work: WorkDistribution = "exponential"
    """distribution of the work of a flow within its class"""
    work_cv: float = setting(1.5, gt=0, le=1e3)
    """coefficient of variation of lognormal work"""
    pareto_shape: float = setting(2.2, gt=1)
    """tail exponent of Pareto work; above 1, so that the mean exists"""

    def __post_init__(self) -> None:
        check(self)
        if self.rate_hz is not None and not any(self.regimes.loads):
            raise SettingError("regimes.loads", "> 0 for at least one level when rate_hz is set", self.regimes.loads)
        for name, kind in zip(CLASSES, self.classes, strict=True):
            least = kind.penalty_usd + self.retries * kind.value_usd
            if kind.price_of_loss_usd < least:
                allowed = f">= penalty_usd + retries * value_usd ({least:.3g}), or turning a request away pays"
                raise SettingError(f"{name}.loss_usd", allowed, kind.loss_usd)

    @property
    def classes(self) -> tuple[WorkloadClass, ...]:
        return (self.interactive, self.batch)

    @property
    def mean_work_s(self) -> FloatArray:
        """Of each class ``(C,)``."""
        return np.array([one.mean_work_s for one in self.classes])

    def regime_rates_hz(self, load: FloatArray, share: FloatArray, work_s: FloatArray, capacity: FloatArray) -> FloatArray:
        """Rates of regimes ``(..., R)``: load times ``capacity (...)`` over the mean work of the mix, ``work_s (..., C)``.

        With `rate_hz` they are scaled together, so that their mean over the regimes is that rate.
        """
        mean_work_s = share * work_s[..., :1] + (1.0 - share) * work_s[..., 1:]
        rates: FloatArray = load * capacity[..., None] / mean_work_s
        return rates if self.rate_hz is None else rates * self.rate_hz / rates.mean(-1, keepdims=True)
