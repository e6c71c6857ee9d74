"""Measurements of a real balancer: its looks and its log, step by step, in the arrays that the simulator fills."""

from __future__ import annotations

import numpy as np

from envs.core.arrays import FloatArray, IntArray
from envs.core.numbers import numbers
from envs.core.rng import streams
from envs.core.state import Tree, copied, restore_attributes
from envs.load_balancing.config import LoadBalancingConfig
from envs.load_balancing.kernel import metering, recent
from envs.load_balancing.kernel.accounts import ARRIVED, COMPLETED, IN_FLIGHT, LOST, REJECTED, prices
from envs.load_balancing.kernel.metering import Ended, Look, Numbers
from envs.load_balancing.measurements import Measurements, simulated
from envs.load_balancing.params import new_state
from envs.load_balancing.rules.foreseeing import day_of


class Meter:
    """Measures one balancer. Time is in seconds from the reset on; looks and requests come in the order of time.

    What a balancer can't say is not made up: a request that is in flight counts as late once it has ended, not before.

    Parameters
    ----------
    config
        The world that is measured: servers, classes, prices.
    seed
        Of the draws by which a full reservoir forgets.
    """

    def __init__(self, config: LoadBalancingConfig, seed: int = 0) -> None:
        self.config = config
        self.state = new_state(config, streams(seed, "evaluate", [0]))
        self._pool = numbers(config.pool)
        self._measurements = simulated(self.state, self.state.features)
        self.reset()

    @property
    def measurements(self) -> Measurements:
        """As of the last step that ended; arrays are written anew every step."""
        return self._measurements

    def reset(self, time_of_day: float = 0.0) -> None:
        """Begin at 0 s, which is a ``time_of_day`` in [0, 1): nothing was measured, all servers are up and have weight."""
        pool, servers = self.config.pool, self.state.servers
        servers.present[0] = True
        servers.cores[0], servers.speed[0], servers.capacity[0] = pool.cores, pool.speed, pool.capacity
        servers.price_usd_per_h[0] = pool.price_usd_per_h
        self.state.deadline_s[0] = [one.deadline_s for one in self.config.workload.classes]
        self.state.source.mean_rate_hz[0] = 0.0
        self._shown = np.zeros(len(self.config.workload.classes), np.int64)
        self._closed_s, self._is_open, self._first_time = 0.0, True, time_of_day
        self._set_time_of_day(0.0)
        metering.clear(self._numbers(self.config.dt_s), self.state)

    def put_in_force(self, weights: FloatArray, now_s: float) -> None:
        """Relative weights ``(n_backends, n_servers)`` hold from now on."""
        self._open()
        metering.put_in_force(self._numbers(self.config.dt_s), self.state, now_s, weights.astype(np.float64))

    def look(self, now_s: float, look: Look) -> None:
        """Take in what the balancer says now; the more often, the better is known how long requests were in flight."""
        self._open()
        self._shown = look.n_flows.sum(1) + look.n_waiting
        metering.look(self._numbers(self.config.dt_s), self.state, now_s, *look)

    def take_in(self, ended: Ended) -> None:
        """Take in requests that have ended since the last step."""
        self._open()
        metering.take_in(self._numbers(self.config.dt_s), self.state, ended)

    @property
    def unlogged(self) -> IntArray:
        """Requests of every class ``(C,)`` that have come, as far as was known when the last step ended, and of whose end
        nothing was taken in.
        """
        counts = self.state.counts[metering.ENV]
        n: IntArray = counts[:, ARRIVED] - counts[:, [COMPLETED, LOST, REJECTED]].sum(1)
        return n

    def close(self, now_s: float) -> Measurements:
        """End a step at the instant of the last look; what comes then is of the next one."""
        self._set_time_of_day(now_s)
        metering.close(self._numbers(max(now_s - self._closed_s, 1e-9)), self.state, now_s)
        self._closed_s, self._is_open = now_s, False
        return self._measurements

    def settle(self, ended: Ended) -> None:
        """The end of an episode: requests that were in flight as the last step closed, and have ended since, are late."""
        metering.settle(self.state, ended)

    def _set_time_of_day(self, now_s: float) -> None:
        day_s = day_of(self.config)
        self.state.time_of_day[0] = 0.0 if day_s is None else (self._first_time + now_s / day_s) % 1.0

    def _open(self) -> None:
        """Begin a step with whatever comes first; figures of the one before are there until then.

        From here on as many requests are in flight as the last look showed. Those whose end was never logged count as in
        flight in the figures of a step, for the law that all are accounted for, but spend no time.
        """
        if not self._is_open:
            metering.begin(self.state)
            self.state.counts[metering.ENV, :, IN_FLIGHT] = self._shown
            self._is_open = True

    def _numbers(self, dt_s: float) -> Numbers:
        """Settings of a step that took so long."""
        config = self.config
        return Numbers(
            self._pool,
            prices(dt_s, config.pool.idle_share, np.ones(1)),
            recent.spans(dt_s),
            config.telemetry.samples,
            dt_s / config.dt_s,
        )

    def get_state(self) -> Tree:
        own = {
            "closed_s": self._closed_s,
            "is_open": self._is_open,
            "first_time": self._first_time,
            "shown": self._shown.copy(),
        }
        return {"kernel": copied(self.state), **own}

    def set_state(self, state: Tree) -> None:
        restore_attributes(self, {"state": state["kernel"]}, ["state"])
        self._closed_s, self._is_open, self._first_time = state["closed_s"], state["is_open"], state["first_time"]
        self._shown = state["shown"].copy()


def compile_meter(config: LoadBalancingConfig) -> None:
    """Run everything of a meter that is compiled, on figures of nobody: the first step of a real one takes no longer."""
    meter, n_servers, n_classes = Meter(config), config.pool.n_servers, len(config.workload.classes)
    look = Look(np.ones((n_classes, n_servers), np.int64), np.zeros(n_classes, np.int64), np.zeros(n_servers, np.bool_))
    one, first = np.ones(1), np.zeros(1, np.int64)
    ended = Ended(one, first, first, first, one, one)
    meter.put_in_force(np.full((config.n_backends, n_servers), 0.5), 0.5)
    meter.look(1.0, look)
    meter.take_in(ended)
    meter.close(1.0)
    meter.look(2.0, look)
    meter.settle(ended)
