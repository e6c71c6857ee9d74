"""A real HAProxy as the balancer of a world: looked at, measured step by step, and given weights."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from envs.core.arrays import BoolArray, IntArray
from envs.core.dynamics import Dynamics, Transition
from envs.core.validation import SettingError
from envs.core.world import World
from envs.haproxy.addresses import is_path
from envs.haproxy.canary import Canary
from envs.haproxy.config import HAProxyConfig, backends_of, control_of, recorder_of
from envs.haproxy.leaving import Left
from envs.haproxy.log import Line, LogListener
from envs.haproxy.looking import Seen, see, servers_of
from envs.haproxy.meter import Meter
from envs.haproxy.runtime import TIMEOUT_S, Place, RuntimeApi, RuntimeApiError
from envs.load_balancing import actions
from envs.load_balancing.actions import Weighting
from envs.load_balancing.config import CLASSES, LoadBalancingConfig
from envs.load_balancing.kernel.metering import Look
from envs.load_balancing.measurements import Measurements
from envs.load_balancing.rules.foreseeing import day_of
from envs.load_balancing.world import around

Kind = Literal["started again", "somebody else"]


class WeightError(RuntimeApiError):
    """HAProxy has another weight than was written: somebody else sets weights, too."""


class Notice(NamedTuple):
    """Something that was noticed of HAProxy: another process is there, or another weight than was written."""

    kind: Kind
    was: int  # process, or weight
    now: int
    backend: int = -1
    server: int = -1


class Balancer(Dynamics):
    """Moves by itself; use as a context manager, which hears the log.

    Parameters
    ----------
    config
        The world that it is.
    settings
        Where it is.
    now
        Seconds on a clock that never goes back.

    Attributes
    ----------
    settings
        With the names of all L backends that are looked at, and of all servers.
    seen
        The last look; what is on the servers for backends that are not steered is in it.
    canary
        What becomes of requests of either kind, where some are not steered.
    n_restarts, n_foreign
        How often another process was found at the socket, and a weight that somebody else had set.

    Raises
    ------
    SettingError
        Names are missing, or too many.
    RuntimeApiError
        HAProxy, which is asked for its servers, can't be reached.
    OSError
        The log's address can't be bound.
    """

    def __init__(
        self, config: LoadBalancingConfig, settings: HAProxyConfig, now: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__([0], 0, "evaluate")
        backends = backends_of(config, settings)
        control = control_of(settings, backends)
        self.api = RuntimeApi(settings.socket, TIMEOUT_S)
        servers = settings.servers or servers_of(self.api, backends[0])
        if len(servers) != config.pool.n_servers:
            raise SettingError("servers", f"{config.pool.n_servers} names, as many as the pool has", ", ".join(servers))
        self.config, self.settings = config, replace(settings, backends=backends, backend="", servers=servers)
        self._classes = {name: at for names in (backends, control) for at, name in enumerate(names)}
        self.listener = LogListener(settings.log, self._classes, servers, now, recorder_of(settings))
        self.canary = Canary(config) if control else None
        self._meter, self._now = Meter(config), now
        self.seen: Seen | None = None
        self.n_restarts = self.n_foreign = 0
        self._expected: IntArray | None = None  # (L, S) where it is known what HAProxy has
        self._notices: list[Notice] = []
        self._left: Left | None = None
        self._n_lines: Counter[int] = Counter()
        self._processes: set[int] = set()
        self._begin()

    @property
    def action_space(self) -> spaces.Space[NDArray[np.generic]]:
        """Of one env."""
        return actions.action_space(self.config)

    @property
    def measurements(self) -> Measurements:
        return self._meter.measurements

    @cached_property
    def world(self) -> World:
        """The functions of what is measured around it."""
        return around(self.config, self)

    def _begin(self) -> None:
        self._began_s, self._looked_s = self._now(), 0.0
        day_s = day_of(self.config)
        self._meter.reset(0.0 if day_s is None else (time.time() - self.settings.day_began_s) / day_s % 1.0)

    def reset_dynamics(self, mask: BoolArray) -> Transition:
        """Begin to measure: what was before does not count, what is in flight does.

        Raises
        ------
        RuntimeApiError
            As in :meth:`look`.
        """
        self.begin()
        return Transition()

    def begin(self) -> None:
        """The same as an episode.

        Raises
        ------
        RuntimeApiError
            As in :meth:`look`.
        """
        self._heard()
        self._begin()
        self.look()
        if self.canary is not None:
            self.canary.begin()

    def settle(self, mask: BoolArray) -> None:
        """Settle what was in flight at the end of the last step; call it when all of that has ended."""
        self._meter.settle(self.listener.ended(self._heard(), self._began_s))

    def _heard(self, at_most: int | None = None) -> list[Line]:
        """What the log has said since the last call, of that the first ``at_most`` lines."""
        lines = self.listener.drain(at_most)
        lines = [line for line in lines if line.pid in self._processes]  # others say nothing of this HAProxy
        self._n_lines.update(line.pid for line in lines)
        if self.canary is not None:
            for is_steered in (True, False):
                of_kind = [line for line in lines if (line.backend in self.settings.backends) == is_steered]
                self.canary.take_in(self.listener.ended(of_kind, self._began_s), is_steered)
        return lines

    @property
    def weighting(self) -> Weighting:
        """What makes weights of actions in that world, and has those that are observed."""
        weighting = self.world.actuator
        assert isinstance(weighting, Weighting)
        return weighting

    @property
    def time_s(self) -> float:
        """Since it began to measure."""
        return self._now() - self._began_s

    @property
    def n_lines(self) -> int:
        """Lines of the present process's log that were taken in."""
        return 0 if self.seen is None else self._n_lines[self.seen.pid]

    def noticed(self) -> tuple[Notice, ...]:
        """What was noticed since the last call."""
        notices, self._notices = tuple(self._notices), []
        return notices

    def look(self) -> Seen:
        """Look at it now.

        Raises
        ------
        RuntimeApiError
            It can't be reached, or has no such backend or server.
        """
        backends = self.settings.backends
        seen = see(self.api, [*backends, *self.settings.control], self.settings.servers).steered(len(backends))
        self._compare(seen)
        self._processes.add(seen.pid)
        self.seen, self._expected = seen, seen.weights
        of_world = seen.weights if self.config.n_backends > 1 else seen.weights[:1]  # the only one has what all classes have
        self._looked_s = self.time_s
        self._meter.put_in_force(of_world.astype(np.float64), self._looked_s)
        self._meter.look(self._looked_s, self._of_classes(seen))
        return seen

    def _compare(self, seen: Seen) -> None:
        """Notice what nobody here has done."""
        if self.seen is None:
            return
        if seen.pid != self.seen.pid or seen.uptime_s < self.seen.uptime_s:
            self.n_restarts += 1
            self._notices.append(Notice("started again", self.seen.pid, seen.pid))
            self._left = Left(self.seen.pid, self._meter.unlogged, is_path(self.api.address))
            return
        if self._expected is not None:
            for b, s in np.argwhere(seen.weights != self._expected).tolist():
                self.n_foreign += 1
                self._notices.append(Notice("somebody else", int(self._expected[b, s]), int(seen.weights[b, s]), b, s))

    def _of_classes(self, seen: Seen) -> Look:
        """What a look says of every class: of those that have no backend of their own, nothing."""
        n_missing = len(CLASSES) - len(seen.weights)
        n_flows, n_waiting, down = seen.look
        return Look(np.pad(n_flows, ((0, n_missing), (0, 0))), np.pad(n_waiting, (0, n_missing)), down)

    def measure(self) -> Measurements:
        """End a step: a look, and what the log had said by then since the last one.

        A request that ends while HAProxy is asked is in flight in the look. Its line is of the next step, or it would count
        twice.

        Raises
        ------
        RuntimeApiError
            As in :meth:`look`; the step goes on then.
        """
        n_said = self.listener.n_waiting
        self.look()
        lines = self._heard(n_said)
        self._meter.take_in(self.listener.ended(lines, self._began_s))
        if self._left is not None:
            self._left.heard([self._classes[one.backend] for one in lines if one.pid == self._left.pid])
            lost = self._left.lost(self._looked_s)
            if lost is not None:
                self._meter.take_in(lost)
                self._left = None
        return self._meter.close(self._looked_s)

    def write(self, weights: IntArray) -> None:
        """Set integer weights ``(L, S)``, those that are others than the last look saw, and read them back.

        Raises
        ------
        RuntimeApiError
            One is refused, or another one is read back.
        """
        assert self.seen is not None
        changed = np.argwhere(weights != self.seen.weights).tolist()
        wanted = {(b, s): Place(self.settings.backends[b], self.settings.servers[s]) for b, s in changed}
        if not wanted:
            return
        self._expected = None  # until HAProxy has said so, nobody knows
        found = self.api.set_weights({place: int(weights[at]) for at, place in wanted.items()})
        there = self.seen.weights.copy()
        for at, place in wanted.items():
            there[at] = found[place].now
        self.seen, self._expected = self.seen._replace(weights=there), there
        for (b, s), place in wanted.items():
            if there[b, s] != weights[b, s]:
                raise WeightError(f"{place.backend}/{place.server} has weight {there[b, s]}, {weights[b, s]} was written")

    def restore(self) -> None:
        """Set the weights of the configuration file, but for servers in MAINT or DRAIN, which keep theirs.

        Raises
        ------
        RuntimeApiError
            As in :meth:`write`.
        """
        seen = self.look()
        self.write(np.where(seen.untouchable, seen.weights, seen.initial))

    @property
    def down(self) -> BoolArray:
        """Servers ``(S,)`` that got no requests at the last look."""
        assert self.seen is not None
        return self.seen.look.down

    @property
    def look_age_s(self) -> float:
        """Seconds since the last look."""
        return self.time_s - self._looked_s

    def close(self) -> None:
        """Hear no more."""
        self.listener.close()

    def __enter__(self) -> Balancer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
