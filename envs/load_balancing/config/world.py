"""The load-balancing world: all its settings, and what must hold between them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, get_args

from envs.core.objectives import NamedObjective
from envs.core.validation import SettingError, check, chosen, setting
from envs.load_balancing.config.actions import Actions
from envs.load_balancing.config.balancers import BalancersConfig
from envs.load_balancing.config.constraints import Constraints
from envs.load_balancing.config.drift import DriftConfig
from envs.load_balancing.config.events import check_events
from envs.load_balancing.config.pool import ServerPool
from envs.load_balancing.config.randomisation import Randomisation
from envs.load_balancing.config.reward import UNSAMPLED, Reward
from envs.load_balancing.config.telemetry import Telemetry
from envs.load_balancing.config.workload import CLASSES, Workload
from envs.load_balancing.kernel.dispatch import DISPATCH_RULES
from envs.load_balancing.kernel.dispatch.rule import DispatchConfig
from envs.load_balancing.kernel.dispatch.sed import Sed
from envs.load_balancing.objectives import OBJECTIVES, Budget, Profit

Backends = Literal["class", "joint"]


@dataclass(frozen=True)
class LoadBalancingConfig:
    """The load-balancing world."""

    family: Literal["load_balancing"] = "load_balancing"
    """name of the env family"""
    pool: ServerPool = field(default_factory=ServerPool)
    workload: Workload = field(default_factory=Workload)
    dispatch: DispatchConfig = chosen(lambda: DISPATCH_RULES, by="rule", default_factory=Sed)
    """how one flow finds its server, given the weights; sed is argmin (n + 1) / w"""
    backends: Backends = setting("class", one_of=get_args(Backends))
    """class gives every class of requests a backend with weights, dispatcher and counts of its own, joint has one for all"""
    balancers: BalancersConfig = field(default_factory=BalancersConfig)
    actions: Actions = field(default_factory=Actions)
    telemetry: Telemetry = field(default_factory=Telemetry)
    reward: Reward = field(default_factory=Reward)
    constraints: Constraints = field(default_factory=Constraints)
    randomise: Randomisation = field(default_factory=Randomisation)
    drift: DriftConfig = field(default_factory=DriftConfig)
    objective: NamedObjective = chosen(lambda: OBJECTIVES, by="name", default_factory=Profit)
    """what the upper agent is paid for, and arms are compared by"""
    dt_s: float = setting(0.25, gt=0, le=3600)
    """seconds between two actions"""
    episode_steps: int = setting(2000, ge=1)
    """steps after which an episode is truncated"""

    def __post_init__(self) -> None:
        check(self)
        self._check_drawn_servers()
        self._check_drawn_arrivals()
        self._check_drift()
        self._check_sampled()
        self._check_split()
        self._check_budget()
        check_events(self.pool, self.workload, self.randomise, self.dt_s)

    @property
    def n_backends(self) -> int:
        """Of each balancer."""
        return len(CLASSES) if self.backends == "class" else 1

    @property
    def error_budget(self) -> Budget | None:
        """What the objective allows to be missed, if it has such a budget."""
        return self.objective if isinstance(self.objective, Budget) else None

    def _check_budget(self) -> None:
        if self.error_budget is None:
            return
        span_s = self.error_budget.span_s
        if abs(round(span_s / self.dt_s) * self.dt_s - span_s) > 1e-6 * span_s:
            raise SettingError("objective.span_s", f"a multiple of dt_s ({self.dt_s:g})", span_s)

    def _check_split(self) -> None:
        if self.balancers.split == "class" and self.balancers.n != len(CLASSES):
            allowed = f"{len(CLASSES)}, one a class, when balancers.split is class"
            raise SettingError("balancers.n", allowed, self.balancers.n)

    def _check_drawn_servers(self) -> None:
        pool, drawn = self.pool, self.randomise
        if drawn.n_servers and drawn.n_servers[1] > pool.n_servers:
            raise SettingError("randomise.n_servers", f"at most {pool.n_servers}, the pool's", drawn.n_servers)
        if drawn.n_servers and not drawn.speed and not all(pool.speed):
            raise SettingError("pool.speed", "> 0 for all when randomise.n_servers is set", pool.speed)
        if drawn.cores and drawn.cores[1] > pool.max_flows:
            raise SettingError("randomise.cores", f"at most pool.max_flows ({pool.max_flows})", drawn.cores)

    def _check_drawn_arrivals(self) -> None:
        workload, drawn = self.workload, self.randomise
        if drawn.load and workload.rate_hz is not None:
            raise SettingError("randomise.load", "[] when workload.rate_hz sets the mean rate", drawn.load)
        for name in ("interactive_share", "work"):
            if getattr(drawn, name) and workload.arrivals.recorded:
                source = workload.arrivals.source
                raise SettingError(f"randomise.{name}", f"[] when workload.arrivals is {source}", getattr(drawn, name))

    def _check_drift(self) -> None:
        arrivals = self.workload.arrivals
        if self.drift.interactive_share and arrivals.recorded:
            allowed = f"0 when workload.arrivals is {arrivals.source}"
            raise SettingError("drift.interactive_share", allowed, self.drift.interactive_share)

    def _check_sampled(self) -> None:
        if not self.telemetry.samples and self.reward.fairness_field not in UNSAMPLED:
            allowed = f"one of {', '.join(UNSAMPLED)} when telemetry.samples is false"
            raise SettingError("reward.fairness_field", allowed, self.reward.fairness_field)
