"""Rules that switch servers on and off by demand, as an engineer would write them, over the dispatch rule of the world.

As in Kubernetes' horizontal pod autoscaler, a signal per unit of capacity has a target band: above the upper threshold the
next server is switched on, below the lower one for long enough (stabilisation) the last one is switched off. Servers stand
in the order of price per capacity; the next one stands in for one that is known to be down, which keeps its weight: nothing
goes to it, and when it is back it need not be started. The numbers of a rule are found by search.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np

from envs.core.arrays import BoolArray, FloatArray, IntArray
from envs.core.rules import MEASUREMENTS, Controller, Numbers, Trial
from envs.core.state import Tree
from envs.load_balancing.config import CLASSES, LoadBalancingConfig
from envs.load_balancing.config.world import Backends
from envs.load_balancing.kernel.recent import SPANS_S
from envs.load_balancing.measurements import Measurements
from envs.load_balancing.rules.demand import SIGNALS, Demand, Groups, Signal
from envs.load_balancing.rules.each import start_each
from envs.load_balancing.rules.settings import ruled

UP: Mapping[Signal, tuple[float, float]] = {"in_flight": (0.05, 300.0), "offered": (0.1, 2.0), "utilisation": (0.1, 1.0)}
"""Where the upper threshold of a signal is looked for, per unit of capacity."""
DOWN_SHARE = (0.01, 0.95)
"""Where the lower threshold is looked for, as a share of the upper one."""
MAX_HOLD_S = 120.0
NEVER_LONG = 1e9
READINGS = ("demand_to_upper", "demand_to_lower", "below", "rested")
"""What a rule goes by: demand over each threshold, as ``x / (1 + x)``, and how much has passed of the times that it waits
before it switches a server off, and on again, at most 1."""
FEW = 8
"""Requests in flight from which on the cheap servers are not enough, to begin a search with."""
EVERYBODY: Groups = (tuple(range(len(CLASSES))),)
DEAREST: Groups = ((0,),)
EACH: Groups = tuple((i,) for i in range(len(CLASSES)))


def column(values: Sequence[Numbers], name: str, n_envs: int) -> FloatArray:
    """A number of every env ``(n_envs,)``, from one mapping for all or one per env."""
    of_envs = np.array([float(numbers[name]) for numbers in values])
    return np.broadcast_to(of_envs, (n_envs,)).copy()


def by_price(price_usd_per_h: FloatArray, capacity: FloatArray, present: BoolArray | bool = True) -> IntArray:
    """Servers ``(..., n_servers)`` in order of price per capacity, absent ones last."""
    per_capacity = price_usd_per_h / np.maximum(capacity, 1e-9)
    order: IntArray = np.argsort(np.where(present, per_capacity, np.inf), axis=-1, kind="stable")
    return order


class Switching:
    """Switches the servers of every group of classes by its own demand.

    Parameters
    ----------
    config
        Settings of the world as the rule has it.
    groups
        The classes of each of W groups.
    n_envs, values
        Size of the batch, and the numbers: one mapping for all envs, or one per env.

    Attributes
    ----------
    readings
        What the last decision went by ``(n_envs, W, 4)``, see :data:`READINGS`.
    """

    def __init__(self, config: LoadBalancingConfig, groups: Groups, n_envs: int, values: Sequence[Numbers]) -> None:
        self._config, self._groups = config, groups

        def numbers(name: str) -> FloatArray:
            return np.stack([column(values, f"{name}_{group}", n_envs) for group in range(len(groups))], axis=-1)

        def places(name: str, among: Sequence[Any]) -> IntArray:
            of_groups = [[among.index(one[f"{name}_{group}"]) for one in values] for group in range(len(groups))]
            return np.broadcast_to(np.array(of_groups).T, (n_envs, len(groups))).copy()

        self._demand = Demand(config, groups, places("signal", SIGNALS), places("span_s", SPANS_S))
        self._up, self._down = numbers("up"), numbers("up") * numbers("down_share")
        self._hold_on_s, self._hold_off_s = numbers("hold_on_s"), numbers("hold_off_s")
        self._least, self._skip = numbers("least").astype(np.int64), numbers("skip").astype(np.int64)
        self._most = self._least + numbers("more").astype(np.int64)
        self.n_on = np.full((n_envs, len(groups)), config.pool.n_servers)  # as an episode begins; cut to what there is
        self._below_s = np.zeros(self.n_on.shape)  # time for which less would have done
        self._since_up_s = np.full(self.n_on.shape, NEVER_LONG)
        self.readings = np.zeros((*self.n_on.shape, len(READINGS)))
        self._order: IntArray | None = None

    def decide(self, measurements: Measurements) -> FloatArray:
        """Dispatch weights ``(n_envs, n_backends, n_servers)``."""
        if self._order is None:
            self._order = by_price(measurements.price_usd_per_h, measurements.capacity, measurements.present)
        place, n_up = self._places(measurements, self._order)
        skip = np.minimum(self._skip, n_up - 1).clip(0)
        room = measurements.present.sum(-1, keepdims=True) - skip
        least, most = np.minimum(self._least, room).clip(1), np.minimum(self._most, room).clip(1)
        self.n_on = np.clip(self.n_on, least, most)
        used = self._used(place, skip) & ~measurements.known_down[:, None, :]
        capacity = self._capacity(measurements, used)
        demand = self._watched(measurements, used)
        upper, lower = self._up * capacity, self._down * capacity
        more = (demand > upper) & (self._since_up_s >= self._hold_on_s)
        self._below_s = np.where(demand < lower, self._below_s + self._config.dt_s, 0.0)
        less = ~more & (self._below_s > self._hold_off_s)
        self.readings = self._read(demand, upper, lower)
        self._since_up_s = np.where(more, 0.0, self._since_up_s + self._config.dt_s)
        self._below_s[less] = 0.0
        self.n_on = np.clip(self.n_on + more - less, least, most)
        return self._weights(measurements, self._used(place, skip) & measurements.present[:, None, :])

    def _read(self, demand: FloatArray, upper: FloatArray, lower: FloatArray) -> FloatArray:
        below, rested = (
            np.minimum(passed_s / np.maximum(wait_s, self._config.dt_s), 1.0)
            for passed_s, wait_s in ((self._below_s, self._hold_off_s), (self._since_up_s, self._hold_on_s))
        )
        return np.stack([_of_one(demand, upper), _of_one(demand, lower), below, rested], axis=-1)

    def reset(self, mask: BoolArray) -> None:
        """Episodes have begun in ``mask (n_envs,)``, whose prices may be others."""
        self.readings[mask] = 0.0
        self.n_on[mask] = self._config.pool.n_servers
        self._below_s[mask], self._since_up_s[mask] = 0.0, NEVER_LONG
        self._demand.busy[mask] = 0.0
        self._order = None

    def get_state(self) -> Tree:
        """What moves; numbers stay."""
        order = {} if self._order is None else {"order": self._order.copy()}
        moving = {"n_on": self.n_on, "below_s": self._below_s, "since_up_s": self._since_up_s, "busy": self._demand.busy}
        moving["readings"] = self.readings
        return {**order, **{name: array.copy() for name, array in moving.items()}}

    def set_state(self, state: Tree) -> None:
        """Go back to a state of :meth:`get_state`."""
        self._order = state["order"].copy() if "order" in state else None
        self.n_on, self._below_s = state["n_on"].copy(), state["below_s"].copy()
        self._since_up_s, self._demand.busy = state["since_up_s"].copy(), state["busy"].copy()
        self.readings = state["readings"].copy()

    def _watched(self, measurements: Measurements, used: BoolArray) -> FloatArray:
        """The demand of every group ``(n_envs, W)``."""
        return self._demand.measure(measurements, used)

    def _places(self, measurements: Measurements, order: IntArray) -> tuple[IntArray, IntArray]:
        """How many that are up stand before every server ``(n_envs, n_servers)``, and how many there are."""
        up = np.take_along_axis(~measurements.known_down, order, axis=-1)
        ranked: IntArray = np.cumsum(up, axis=-1) - up
        place: IntArray = np.empty_like(ranked)
        np.put_along_axis(place, order, ranked, axis=-1)
        return place, up.sum(-1, keepdims=True)

    def _used(self, place: IntArray, skip: IntArray) -> BoolArray:
        """The servers of every group ``(n_envs, W, n_servers)``: the next `n_on` after those that it skips."""
        at = place[:, None, :]
        used: BoolArray = (at >= skip[..., None]) & (at < (skip + self.n_on)[..., None])
        return used

    def _capacity(self, measurements: Measurements, used: BoolArray) -> FloatArray:
        capacity: FloatArray = (used * measurements.capacity[:, None, :]).sum(-1)
        return np.maximum(capacity, 1e-9)

    def _weights(self, measurements: Measurements, used: BoolArray) -> FloatArray:
        """Capacities of the servers that are on: a backend has those of the groups that its classes belong to."""
        nominal = np.maximum(measurements.capacity, 1e-6)[:, None, :]
        if self._config.n_backends == 1 or len(self._groups) == 1:
            anywhere = used.any(1, keepdims=True)
            return np.repeat(nominal * anywhere, self._config.n_backends, axis=1)
        return nominal * used


def _of_one(demand: FloatArray, threshold: FloatArray) -> FloatArray:
    """Demand as a share of itself and a threshold, in [0, 1]: a half where they are equal."""
    share: FloatArray = demand / np.maximum(demand + threshold, 1e-9)
    return share


class Band(NamedTuple):
    """Numbers of one group, before they have names."""

    signal: Signal
    up: float
    down_share: float
    hold_on_s: float
    hold_off_s: float
    least: int
    more: int


def _named(bands: Sequence[Band]) -> dict[str, Any]:
    """Numbers of all groups by the names that a search knows them by."""
    named: dict[str, Any] = {}
    for group, band in enumerate(bands):
        named |= {
            f"signal_{group}": band.signal,
            f"up_{band.signal}_{group}": band.up,
            f"span_s_{group}": SPANS_S[1],
            f"down_share_{group}": band.down_share,
            f"hold_on_s_{group}": band.hold_on_s,
            f"hold_off_s_{group}": band.hold_off_s,
            f"least_{group}": band.least,
            f"more_{group}": band.more,
            f"skip_{group}": 0,
        }
    return named


@dataclass(frozen=True)
class Autoscale:
    """A switching rule: whose demand it watches, and over which backends it acts.

    Attributes
    ----------
    groups
        Classes that are watched together.
    backends
        Of the world as the rule has it. One backend for all knows every request of a server when it picks one.
    may_skip
        Whether the first group may leave the cheapest servers to others.
    """

    groups: Groups
    backends: Backends
    may_skip: bool = False
    has_numbers: ClassVar[bool] = True
    is_oracle: ClassVar[bool] = False
    knows: ClassVar[str] = MEASUREMENTS

    def suits(self, config: LoadBalancingConfig) -> bool:
        """Everywhere."""
        return True

    def configured(self, config: LoadBalancingConfig) -> LoadBalancingConfig:
        """The world with the rule's backends, without samples of requests."""
        return ruled(config, backends=self.backends)

    def suggest(self, trial: Trial, config: LoadBalancingConfig) -> dict[str, Any]:
        """The numbers of every group: what to watch, thresholds, the rest between two servers switched on (`hold_on_s`), how
        long less must do before one is switched off (`hold_off_s`), and how many servers are always on.
        """
        drawn: dict[str, Any] = {}
        for group in range(len(self.groups)):
            signal = trial.suggest_categorical(f"signal_{group}", SIGNALS)
            drawn[f"signal_{group}"] = signal
            drawn[f"up_{group}"] = trial.suggest_float(f"up_{signal}_{group}", *UP[signal], log=True)
            drawn[f"span_s_{group}"] = trial.suggest_categorical(f"span_s_{group}", SPANS_S)
            drawn[f"down_share_{group}"] = trial.suggest_float(f"down_share_{group}", *DOWN_SHARE)
            drawn[f"hold_on_s_{group}"] = trial.suggest_float(f"hold_on_s_{group}", 0.0, MAX_HOLD_S)
            drawn[f"hold_off_s_{group}"] = trial.suggest_float(f"hold_off_s_{group}", 0.0, MAX_HOLD_S)
            drawn[f"least_{group}"] = trial.suggest_int(f"least_{group}", 1, config.pool.n_servers)
            drawn[f"more_{group}"] = trial.suggest_int(f"more_{group}", 0, config.pool.n_servers - 1)
            skips = config.pool.n_servers - 1 if self.may_skip and group == 0 else 0
            drawn[f"skip_{group}"] = trial.suggest_int(f"skip_{group}", 0, skips)
        return drawn

    def first(self, config: LoadBalancingConfig) -> Sequence[Numbers]:
        """What an engineer would try first: a band of requests in flight, of utilisation or of offered work, over the cheap
        servers or from the first one on; classes that can wait have the cheap servers alone, or what the others have.

        The first band of all has the dearest server on from 8 requests in flight on, and off when there are none.
        """
        pool = config.pool
        n, boot_s = pool.n_servers, min(pool.boot_s, MAX_HOLD_S)
        long_s, cheap = min(4.0 * boot_s, MAX_HOLD_S), max(n - 1, 1)
        of_cheap = pool.capacity[by_price(np.asarray(pool.price_usd_per_h), pool.capacity)[:cheap]].sum()
        few, some = (float(np.clip(k / max(of_cheap, 1e-6), *UP["in_flight"])) for k in (FEW - 0.5, 24.0))
        none_left = float(np.clip(0.5 / (few * pool.capacity.sum()), *DOWN_SHARE))
        bands = [
            Band("in_flight", few, none_left, 0.0, 0.0, cheap, n - cheap),
            Band("in_flight", few, 0.1, 0.0, long_s, cheap, n - cheap),
            Band("in_flight", some, 0.1, boot_s, long_s, 1, n - 1),
            Band("utilisation", 0.7, 0.6, boot_s, boot_s, 1, n - 1),
            Band("offered", 0.7, 0.7, 0.0, boot_s, 1, n - 1),
            Band("offered", 0.7, 0.7, 0.0, long_s, cheap, n - cheap),
        ]
        waiting = Band("in_flight", UP["in_flight"][1], 0.5, 0.0, 0.0, cheap, 0)
        alike = [(band,) * len(self.groups) for band in bands]
        apart = [(band, *[waiting] * (len(self.groups) - 1)) for band in bands]
        return [_named(of_groups) for of_groups in dict.fromkeys((*apart, *alike))]  # each but once

    def start(self, config: LoadBalancingConfig, n_envs: int, values: Sequence[Numbers] = ()) -> Controller:
        """The rule from the beginning of the episodes of a batch on, with these numbers."""
        return start_each(self.begin, config, n_envs, values)

    def begin(self, config: LoadBalancingConfig, n_envs: int, values: Sequence[Numbers]) -> Switching:
        """The same for one balancer."""
        return Switching(config, self.groups, n_envs, values)
