"""A real HAProxy as the balancer of a world: looked at, measured step by step, and given weights."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from envs.core.arrays import BoolArray, IntArray
from envs.core.dynamics import Dynamics
from envs.core.validation import SettingError, check
from envs.core.world import World
from envs.haproxy.log import LogListener
from envs.haproxy.looking import Seen, see
from envs.haproxy.meter import Meter
from envs.haproxy.runtime import TIMEOUT_S, Place, RuntimeApi, RuntimeApiError
from envs.load_balancing import actions
from envs.load_balancing.config import CLASSES, LoadBalancingConfig
from envs.load_balancing.measurements import Measurements
from envs.load_balancing.world import around


@dataclass(frozen=True)
class HAProxyConfig:
    """Where a HAProxy is, and what it calls things."""

    socket: str = ""
    """its stats socket, of level admin: a path, or HOST:PORT"""
    log: str = ""
    """where it sends its log: the path of a Unix datagram socket, which is made, or HOST:PORT for UDP"""
    backends: list[str] = field(default_factory=list)
    """backend of every class of requests, in the order of the world's classes; all have the same servers"""
    servers: list[str] = field(default_factory=list)
    """names of the servers, in the order of the world's pool"""

    def __post_init__(self) -> None:
        check(self)


class WeightError(RuntimeApiError):
    """HAProxy has another weight than was written: somebody else sets weights, too."""


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

    Raises
    ------
    SettingError
        Names are missing, or too many.
    OSError
        The log's address can't be bound.
    """

    def __init__(
        self, config: LoadBalancingConfig, settings: HAProxyConfig, now: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__([0], 0, "evaluate")
        if len(settings.backends) != len(CLASSES):
            raise SettingError("backends", f"a backend for each class ({', '.join(CLASSES)})", settings.backends)
        if len(settings.servers) != config.pool.n_servers:
            raise SettingError("servers", f"{config.pool.n_servers} names, as many as the pool has", settings.servers)
        self.config, self.settings = config, settings
        self.api = RuntimeApi(settings.socket, TIMEOUT_S)
        self.listener = LogListener(
            settings.log, {name: at for at, name in enumerate(settings.backends)}, settings.servers, now
        )
        self._meter, self._now, self._began_s = Meter(config), now, now()
        self.seen: Seen | None = None
        """The last look."""
        self._looked_s = 0.0
        self.n_restarts = 0
        """How often another process was found at the socket."""

    @property
    def action_space(self) -> spaces.Space[NDArray[np.generic]]:
        """Of one env."""
        return actions.action_space(self.config)

    @property
    def measurements(self) -> Measurements:
        return self._meter.measurements

    @property
    def world(self) -> World:
        """The functions of what is measured around it."""
        return around(self.config, self)

    @property
    def time_s(self) -> float:
        """Since it was made."""
        return self._now() - self._began_s

    def look(self) -> Seen:
        """Look at it now.

        Raises
        ------
        RuntimeApiError
            It can't be reached, or has no such backend or server.
        """
        seen = see(self.api, self.settings.backends, self.settings.servers)
        if self.seen is not None and seen.pid != self.seen.pid:
            self.n_restarts += 1
        self.seen = seen
        of_world = seen.weights if self.config.n_backends > 1 else seen.weights[:1]  # the only one has what all classes have
        self._looked_s = self.time_s
        self._meter.put_in_force(of_world.astype(np.float64), self._looked_s)
        self._meter.look(self._looked_s, seen.look)
        return seen

    def measure(self) -> Measurements:
        """End a step: a look, and what the log has said since the last one.

        Raises
        ------
        RuntimeApiError
            As in :meth:`look`; the step goes on then.
        """
        self.look()
        self._meter.take_in(self.listener.ended(self.listener.drain(), self._began_s))
        return self._meter.close(self._looked_s)

    def write(self, weights: IntArray) -> None:
        """Set integer weights ``(C, S)``, those that are others than the last look saw, and read them back.

        Raises
        ------
        RuntimeApiError
            One is refused, or another one is read back.
        """
        assert self.seen is not None
        changed = np.argwhere(weights != self.seen.weights).tolist()
        wanted = {Place(self.settings.backends[b], self.settings.servers[s]): int(weights[b, s]) for b, s in changed}
        found = self.api.set_weights(wanted) if wanted else {}
        for place, weight in wanted.items():
            if found[place].now != weight:
                raise WeightError(f"{place.backend}/{place.server} has weight {found[place].now}, {weight} was written")
        self.seen = self.seen._replace(weights=weights.copy())

    def restore(self) -> None:
        """Set the weights of the configuration file.

        Raises
        ------
        RuntimeApiError
            As in :meth:`write`.
        """
        self.write(self.look().initial)

    @property
    def down(self) -> BoolArray:
        """Servers ``(S,)`` that got no requests at the last look."""
        assert self.seen is not None
        return self.seen.look.down

    def close(self) -> None:
        """Hear no more."""
        self.listener.close()

    def __enter__(self) -> Balancer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
