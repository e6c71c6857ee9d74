"""Settings of the load-balancing world: frozen, checked when built, the single place where a setting is declared."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from envs.core.fairness import MEASURES
from envs.core.objectives import NamedObjective
from envs.core.validation import chosen, interval, non_negative, one_of, positive, share
from envs.load_balancing.objectives import OBJECTIVES, Profit

Service = Literal["ps", "fcfs"]
DispatchRule = Literal["sed", "leastconn", "wrr", "weighted_random", "power_of_two", "peak_ewma", "prequal"]
ArrivalSource = Literal["poisson", "mmpp", "diurnal", "trace"]
WorkDistribution = Literal["exponential", "lognormal", "pareto"]
ActionMode = Literal["levels", "weights", "deltas"]
FairnessField = Literal["n_flow_on", "fct_mean", "fct_p90", "flow_duration_avg_decay", "utilisation"]
TraceSplit = Literal["train", "held_out"]

SERVICES: tuple[Service, ...] = get_args(Service)
DISPATCH_RULES: tuple[DispatchRule, ...] = get_args(DispatchRule)
ARRIVAL_SOURCES: tuple[ArrivalSource, ...] = get_args(ArrivalSource)
WORK_DISTRIBUTIONS: tuple[WorkDistribution, ...] = get_args(WorkDistribution)
CLASSES: tuple[str, ...] = ("interactive", "batch")


@dataclass(frozen=True)
class ServerPool:
    """The servers behind the balancer; one entry per server in every list."""

    cores: list[int] = field(default_factory=lambda: [4, 4, 2, 4])
    """flows a server works on at full speed at once (workers under FCFS)"""
    speed: list[float] = field(default_factory=lambda: [2.0, 1.0, 1.0, 0.5])
    """seconds of work that one core does in a second; 0 is a server that never answers"""
    price_usd_per_h: list[float] = field(default_factory=lambda: [3.00, 0.24, 0.12, 0.08])
    """price of a fully used server"""
    memory_gb: list[float] = field(default_factory=lambda: [16.0, 8.0, 4.0, 8.0])
    """memory, shown to the agent with `ground_truth`"""
    service: Service = "ps"
    """ps shares the cores among all flows, fcfs serves `cores` flows and lets the others wait"""
    max_flows: int = 64
    """flows a server holds, waiting ones included; the next one is rejected"""
    idle_share: float = 0.4
    """share of the price that an idle server costs"""
    boot_s: float = 0.5
    """seconds from starting a drained server until it serves"""
    min_billed_s: float = 1.0
    """least time a started server is paid for"""
    failure_rate_hz: float = 0.0
    """failures a second, per server"""
    repair_s: float = 30.0
    """mean seconds until a failed server is back"""
    detection_s: float = 2.0
    """seconds until every dispatcher knows of a failure or a recovery"""
    slowdown_rate_hz: float = 0.0
    """slow-downs a second, per server"""
    slowdown_s: float = 30.0
    """mean seconds of a slow-down"""
    slowdown_factor: float = 0.4
    """speed during a slow-down, as a share of the nominal speed"""

    def __post_init__(self) -> None:
        if not self.cores:
            raise ValueError("pool.cores must name at least one server, got []")
        for name in ("speed", "price_usd_per_h", "memory_gb"):
            if len(getattr(self, name)) != len(self.cores):
                raise ValueError(
                    f"pool.{name} must have one entry per server ({len(self.cores)}), got {getattr(self, name)}"
                )
        for cores in self.cores:
            positive(**{"pool.cores": cores})
        for name in ("speed", "price_usd_per_h", "memory_gb"):
            for value in getattr(self, name):
                non_negative(**{f"pool.{name}": value})
        if not any(self.speed):
            raise ValueError(f"pool.speed must hold at least one capacity > 0, got {self.speed}")
        one_of(SERVICES, **{"pool.service": self.service})
        positive(**{"pool.max_flows": self.max_flows, "pool.repair_s": self.repair_s, "pool.slowdown_s": self.slowdown_s})
        share(**{"pool.idle_share": self.idle_share, "pool.slowdown_factor": self.slowdown_factor})
        for name in ("boot_s", "min_billed_s", "failure_rate_hz", "detection_s", "slowdown_rate_hz"):
            non_negative(**{f"pool.{name}": getattr(self, name)})
        if self.max_flows < max(self.cores):
            raise ValueError(f"pool.max_flows must be >= the largest of pool.cores, got {self.max_flows}")

    @property
    def n_servers(self) -> int:
        return len(self.cores)

    @property
    def capacity(self) -> NDArray[np.float64]:
        """Nominal capacity per server ``(n_servers,)`` in seconds of work a second."""
        return np.asarray(self.cores, np.float64) * np.asarray(self.speed, np.float64)


@dataclass(frozen=True)
class WorkloadClass:
    """Flows of one kind; `envs.load_balancing.stories` tells where the default figures come from."""

    mean_work_s: float
    """mean work of a flow, in seconds on a core of speed 1"""
    deadline_s: float
    """latency up to which an answer is of value"""
    value_usd: float
    """value of an answer in time"""
    penalty_usd: float
    """price of a late or lost one"""

    def __post_init__(self) -> None:
        positive(mean_work_s=self.mean_work_s, deadline_s=self.deadline_s)
        non_negative(value_usd=self.value_usd, penalty_usd=self.penalty_usd)


@dataclass(frozen=True)
class Regimes:
    """Load levels times class mixes, followed as a Markov chain that changes at random instants."""

    loads: list[float] = field(default_factory=lambda: [0.2, 0.6, 0.85])
    """offered load of each level, as a share of the pool's nominal capacity"""
    interactive_shares: list[float] = field(default_factory=lambda: [0.95, 0.5, 0.05])
    """share of interactive flows in each mix"""
    mean_dwell_s: float = 100.0
    """mean seconds in a regime; 20 windows of 20 steps by default"""

    def __post_init__(self) -> None:
        if not self.loads or not self.interactive_shares:
            raise ValueError("regimes.loads and regimes.interactive_shares must not be empty, got []")
        for load in self.loads:
            non_negative(**{"regimes.loads": load})
        for value in self.interactive_shares:
            share(**{"regimes.interactive_shares": value})
        positive(**{"regimes.mean_dwell_s": self.mean_dwell_s})

    @property
    def n_regimes(self) -> int:
        return len(self.loads) * len(self.interactive_shares)

    @property
    def load(self) -> NDArray[np.float64]:
        """Offered load of each regime ``(n_regimes,)``; the mix varies fastest."""
        return np.repeat(np.asarray(self.loads, np.float64), len(self.interactive_shares))

    @property
    def interactive_share(self) -> NDArray[np.float64]:
        """Share of interactive flows of each regime ``(n_regimes,)``."""
        return np.tile(np.asarray(self.interactive_shares, np.float64), len(self.loads))


@dataclass(frozen=True)
class Workload:
    """What arrives."""

    arrivals: ArrivalSource = "poisson"
    """poisson, mmpp (bursts), diurnal (a sine over `period_s`) or trace (replay of `path`)"""
    rate_hz: float | None = None
    """mean arrivals a second, averaged over regimes; None takes the offered load of the regimes as it is"""
    regimes: Regimes = field(default_factory=Regimes)
    interactive: WorkloadClass = field(
        default_factory=lambda: WorkloadClass(mean_work_s=0.04, deadline_s=0.2, value_usd=1e-5, penalty_usd=1e-5)
    )
    batch: WorkloadClass = field(
        default_factory=lambda: WorkloadClass(mean_work_s=0.2, deadline_s=1.0, value_usd=8e-6, penalty_usd=0.0)
    )
    work: WorkDistribution = "exponential"
    """distribution of the work of a flow within its class"""
    work_cv: float = 1.5
    """coefficient of variation of lognormal work"""
    pareto_shape: float = 2.2
    """tail exponent of Pareto work; above 1, so that the mean exists"""
    burst_factor: float = 3.0
    """mmpp: rate in a burst, as a multiple of the rate between bursts"""
    burst_s: float = 5.0
    """mmpp: mean seconds of a burst"""
    calm_s: float = 20.0
    """mmpp: mean seconds between bursts"""
    period_s: float = 600.0
    """diurnal: length of a day"""
    amplitude: float = 0.5
    """diurnal: swing of the rate around its mean, as a share of it"""
    path: str | None = None
    """trace: the file"""
    split: TraceSplit | None = None
    """trace: the part in time to replay; None takes train for training and selection, held_out for evaluation"""
    train_share: float = 0.7
    """trace: share of the time that is for training"""
    interactive_quantile: float = 0.7
    """trace: flows up to this quantile of work are interactive"""

    def __post_init__(self) -> None:
        one_of(ARRIVAL_SOURCES, **{"workload.arrivals": self.arrivals})
        one_of(WORK_DISTRIBUTIONS, **{"workload.work": self.work})
        if self.rate_hz is not None:
            positive(**{"workload.rate_hz": self.rate_hz})
        for name in ("work_cv", "burst_s", "calm_s", "period_s"):
            positive(**{f"workload.{name}": getattr(self, name)})
        share(**{"workload.amplitude": self.amplitude, "workload.interactive_quantile": self.interactive_quantile})
        if not 0.0 < self.train_share < 1.0:
            raise ValueError(f"workload.train_share must be between 0 and 1, got {self.train_share}")
        if self.split is not None:
            one_of(get_args(TraceSplit), **{"workload.split": self.split})
        if not 1.0 <= self.burst_factor < float("inf"):
            raise ValueError(f"workload.burst_factor must be >= 1, got {self.burst_factor}")
        if not 1.0 < self.pareto_shape < float("inf"):
            raise ValueError(f"workload.pareto_shape must be > 1, got {self.pareto_shape}")
        if self.arrivals == "trace" and not self.path:
            raise ValueError("workload.path must name a file when workload.arrivals is trace, got None")

    @property
    def classes(self) -> tuple[WorkloadClass, ...]:
        return (self.interactive, self.batch)


@dataclass(frozen=True)
class Dispatch:
    """How one flow finds its server, given the weights."""

    rule: DispatchRule = "sed"
    """sed is argmin (n + 1) / w; all seven are described in `envs.load_balancing.kernel.dispatch`"""
    ewma_s: float = 10.0
    """time constant of Peak-EWMA (Finagle's default)"""
    probe_pool: int = 16
    """Prequal: probes kept"""
    probe_age_s: float = 1.0
    """Prequal: age at which a probe is dropped"""
    probes_per_flow: int = 3
    """Prequal: probes sent with every flow"""
    probe_quantile: float = 0.84
    """Prequal: servers above this quantile of requests in flight are hot"""

    def __post_init__(self) -> None:
        one_of(DISPATCH_RULES, **{"dispatch.rule": self.rule})
        positive(
            **{
                "dispatch.ewma_s": self.ewma_s,
                "dispatch.probe_pool": self.probe_pool,
                "dispatch.probe_age_s": self.probe_age_s,
                "dispatch.probes_per_flow": self.probes_per_flow,
            }
        )
        share(**{"dispatch.probe_quantile": self.probe_quantile})


@dataclass(frozen=True)
class Actions:
    """What the agent may set."""

    mode: ActionMode = "levels"
    """levels picks one of `levels` per server, weights is a Box in [0, 1], deltas moves them by up to `max_delta`"""
    levels: list[float] = field(default_factory=lambda: [0.0, 0.25, 0.5, 1.0, 2.0])
    """weights to choose from; without 0 no server is ever drained"""
    scale_by_capacity: bool = True
    """multiply the weights by the nominal capacities, so that equal levels mean SED with true capacities"""
    max_delta: float = 0.25
    """largest change of a weight in one step, in mode deltas"""
    delay_steps: int = 0
    """steps until an action takes effect"""

    def __post_init__(self) -> None:
        one_of(get_args(ActionMode), **{"actions.mode": self.mode})
        if not self.levels:
            raise ValueError("actions.levels must not be empty, got []")
        for level in self.levels:
            non_negative(**{"actions.levels": level})
        if not any(self.levels):
            raise ValueError(f"actions.levels must hold at least one weight > 0, got {self.levels}")
        positive(**{"actions.max_delta": self.max_delta})
        non_negative(**{"actions.delay_steps": self.delay_steps})


@dataclass(frozen=True)
class Telemetry:
    """What is wrong with the measurements that the agent sees."""

    ground_truth: bool = False
    """also show memory, cores and true utilisation of every server"""
    nominal: bool = False
    """also show every server's nominal capacity and price"""
    noise: float = 0.0
    """standard deviation of a lognormal factor on every measured feature"""
    loss: float = 0.0
    """probability that a server's report is lost and the last one stands"""
    delay_steps: int = 0
    """age of the reports, in steps"""

    def __post_init__(self) -> None:
        non_negative(**{"telemetry.noise": self.noise, "telemetry.delay_steps": self.delay_steps})
        if not 0.0 <= self.loss < 1.0:
            raise ValueError(f"telemetry.loss must be in [0, 1), got {self.loss}")

    @property
    def is_exact(self) -> bool:
        """Whether the agent sees every measurement as it is, at once."""
        return self.noise == 0 and self.loss == 0 and self.delay_steps == 0


@dataclass(frozen=True)
class Reward:
    """What the agent is paid for, beside the mix."""

    fairness_measure: str = "jain"
    """measure of fairness between the servers, one of those in `envs.core.fairness`"""
    fairness_field: FairnessField = "utilisation"
    """what is to be shared fairly"""
    loss_weight: float = 5.0
    """a lost or rejected flow counts as this many deadlines of waiting"""
    late_limit: float | None = None
    """soft constraint: share of late flows in a step above which `late_penalty` is due"""
    late_penalty: float = 1.0
    """price of the whole step being late, under the soft constraint"""
    switching_cost: float = 0.0
    """price of moving all weights from one end to the other"""
    shaping: bool = False
    """add potential-based shaping, with minus the backlog as potential (Ng, Harada and Russell 1999)"""
    shaping_gamma: float = 0.99
    """discount of the shaping; must be that of the learner"""

    def __post_init__(self) -> None:
        one_of(MEASURES, **{"reward.fairness_measure": self.fairness_measure})
        one_of(get_args(FairnessField), **{"reward.fairness_field": self.fairness_field})
        non_negative(
            **{
                "reward.loss_weight": self.loss_weight,
                "reward.late_penalty": self.late_penalty,
                "reward.switching_cost": self.switching_cost,
            }
        )
        share(**{"reward.shaping_gamma": self.shaping_gamma})
        if self.late_limit is not None:
            share(**{"reward.late_limit": self.late_limit})


@dataclass(frozen=True)
class Randomisation:
    """What is drawn anew per env and episode: an empty list leaves it as configured, `[low, high]` is drawn from."""

    n_servers: list[int] = field(default_factory=list)
    """servers present, uniform; the others of the pool are absent for the episode"""
    cores: list[int] = field(default_factory=list)
    """cores of each server, uniform"""
    speed: list[float] = field(default_factory=list)
    """speed of each server, log-uniform"""
    price_per_capacity: list[float] = field(default_factory=list)
    """price in $ an hour of a second of work a second, log-uniform per server; its price is that times its capacity"""
    load: list[float] = field(default_factory=list)
    """factor on the load of all regimes, uniform"""
    interactive_share: list[float] = field(default_factory=list)
    """shift of the interactive share of all regimes, uniform; shares stay within 0 and 1"""
    work: list[float] = field(default_factory=list)
    """factor on the mean work of each class, log-uniform"""
    deadline: list[float] = field(default_factory=list)
    """factor on the deadline of each class, log-uniform"""

    def __post_init__(self) -> None:
        for name in ("n_servers", "cores", "speed", "price_per_capacity", "load", "work", "deadline"):
            interval(**{f"randomise.{name}": getattr(self, name)})
            for end in getattr(self, name):
                positive(**{f"randomise.{name}": end})
        for name in ("n_servers", "cores"):
            if any(end != int(end) for end in getattr(self, name)):
                raise ValueError(f"randomise.{name} must hold integers, got {getattr(self, name)}")
        interval(**{"randomise.interactive_share": self.interactive_share})
        if any(abs(end) > 1.0 for end in self.interactive_share):
            raise ValueError(f"randomise.interactive_share must be within -1 and 1, got {self.interactive_share}")


@dataclass(frozen=True)
class LoadBalancingConfig:
    """The load-balancing world."""

    family: Literal["load_balancing"] = "load_balancing"
    """name of the env family"""
    pool: ServerPool = field(default_factory=ServerPool)
    workload: Workload = field(default_factory=Workload)
    dispatch: Dispatch = field(default_factory=Dispatch)
    actions: Actions = field(default_factory=Actions)
    telemetry: Telemetry = field(default_factory=Telemetry)
    reward: Reward = field(default_factory=Reward)
    randomise: Randomisation = field(default_factory=Randomisation)
    objective: NamedObjective = chosen(lambda: OBJECTIVES, by="name", default_factory=Profit)
    dt_s: float = 0.25
    """seconds between two actions"""
    episode_steps: int = 2000
    """steps after which an episode is truncated"""

    def __post_init__(self) -> None:
        one_of(("load_balancing",), family=self.family)
        positive(dt_s=self.dt_s, episode_steps=self.episode_steps)
        self._check_drawn_servers()
        self._check_drawn_arrivals()

    def _check_drawn_servers(self) -> None:
        pool, drawn = self.pool, self.randomise
        if drawn.n_servers and drawn.n_servers[1] > pool.n_servers:
            raise ValueError(f"randomise.n_servers must be at most {pool.n_servers}, the pool's, got {drawn.n_servers}")
        if drawn.n_servers and not drawn.speed and not all(pool.speed):
            raise ValueError(f"pool.speed must be > 0 for all when randomise.n_servers is set, got {pool.speed}")
        if drawn.cores and drawn.cores[1] > pool.max_flows:
            raise ValueError(f"randomise.cores must be at most pool.max_flows ({pool.max_flows}), got {drawn.cores}")

    def _check_drawn_arrivals(self) -> None:
        workload, drawn = self.workload, self.randomise
        if drawn.load and workload.rate_hz is not None:
            raise ValueError(f"randomise.load must be [] when workload.rate_hz sets the mean rate, got {drawn.load}")
        for name in ("interactive_share", "work"):
            if getattr(drawn, name) and workload.arrivals == "trace":
                raise ValueError(f"randomise.{name} must be [] when workload.arrivals is trace, got {getattr(drawn, name)}")
