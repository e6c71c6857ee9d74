"""The test bed as a whole: servers, HAProxy in front of them, loads that are sent through it, and faults meanwhile."""

from __future__ import annotations

import functools
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from envs.core.validation import SettingError
from envs.haproxy.runtime import RuntimeApi, RuntimeApiError
from envs.load_balancing.config import CLASSES, LoadBalancingConfig
from runs.testbed import load
from runs.testbed.backends import Backends
from runs.testbed.errors import BedError
from runs.testbed.faults import Fault, Troubles, check_faults
from runs.testbed.load import Answers, LoadConfig
from runs.testbed.open_files import allow
from runs.testbed.ports import free_ports
from runs.testbed.precise import run
from runs.testbed.proxy import PAUSE_S, SOCKET, HAProxy, ProxyConfig, canary, check_socket_path, configuration
from runs.testbed.requests import Schedule
from runs.testbed.sending import Sender, Sending

LOG_SOCKET = "log.sock"
UP_S = 15.0
SPARE = 100
"""Files and connections beside those of a load."""


class TestBed:
    """A context: the pool of a world runs within it, as real processes on 127.0.0.1, and nothing of it is left afterwards.

    It is entered and left by one thread, which lives as long: HAProxy ends with it.

    Parameters
    ----------
    config
        The world, of which pool and backends count. Servers serve first come, first served; what simulated servers do
        besides (booting, failures and slow-downs at random) is left out.
    log_socket
        Where HAProxy sends its log; whoever reads it binds it before the test bed is entered. None has a path in the folder
        of the test bed.

    Attributes
    ----------
    folder
        Configuration, sockets and output of the processes; it is there within the context.
    servers
        Their names, ``(S,)``.
    backends
        Name of the backend of each class; the same for all with joint backends.
    canaries
        The backends that have a share of the requests of those, if one is set.
    ports
        Frontend of each class.
    machines, proxy
        The servers and HAProxy, to be told what to do; within the context.

    Raises
    ------
    SettingError
        HAProxy or the settings do not allow it.
    """

    __test__ = False  # it is none, whatever its name says to pytest

    def __init__(
        self,
        config: LoadBalancingConfig,
        proxy: ProxyConfig | None = None,
        bounds: LoadConfig | None = None,
        log_socket: Path | None = None,
    ) -> None:
        _check_world(config)
        if log_socket is not None:
            check_socket_path(log_socket, "log_socket")
        self.config, self._proxy_config, self._bounds = config, proxy or ProxyConfig(), bounds or LoadConfig()
        self._given_log_socket = log_socket
        self.servers = tuple(f"s{number}" for number in range(1, config.pool.n_servers + 1))
        kinds = CLASSES if config.backends == "class" else ("joint",) * len(CLASSES)
        self.backends = tuple(f"{self._proxy_config.prefix}_{kind}" for kind in kinds)
        self.canaries = tuple(map(canary, self.backends)) if self._proxy_config.share else ()
        self.folder: Path
        self.machines: Backends
        self.proxy: HAProxy
        self.ports: tuple[int, ...] = ()
        self._stack = ExitStack()

    def __enter__(self) -> TestBed:
        allow(self._bounds.connections + SPARE, "connections")
        with ExitStack() as stack:
            self.folder = Path(tempfile.mkdtemp(prefix="metabalance-"))
            stack.callback(shutil.rmtree, self.folder, ignore_errors=True)
            self.machines = stack.enter_context(Backends(self.config.pool, self.servers, self.folder / "servers.log"))
            self.ports = tuple(free_ports(len(CLASSES)))
            self.proxy = stack.enter_context(HAProxy(self.folder, self._configuration()))
            self.wait_until_up()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def socket(self) -> str:
        """Path of HAProxy's stats socket, level admin."""
        return self.proxy.socket

    @property
    def log_socket(self) -> Path:
        """Where HAProxy sends its log, one datagram a request."""
        return self._given_log_socket or self.folder / LOG_SOCKET

    def wait_until_up(self) -> None:
        """Return when a health check of every server has succeeded, in every backend.

        Raises
        ------
        BedError
            It takes too long.
        """
        until_s = time.monotonic() + UP_S
        while not self._are_up():
            if time.monotonic() > until_s:
                raise BedError(f"the servers are not up within {UP_S:g} s")
            time.sleep(PAUSE_S)

    def run(self, schedule: Schedule, faults: Sequence[Fault] = ()) -> Answers:
        """Send the requests of a schedule at their instants, and let faults happen at theirs.

        It returns when the last request is answered or given up. What faults have done stays.

        Raises
        ------
        SettingError
            The schedule is beyond the bounds, or a fault is of no server, or after the last request.
        BedError
            The servers have ended.
        """
        self._check(schedule, faults)
        events: dict[float, list[Callable[[], None]]] = {}
        for fault in faults:
            events.setdefault(fault.at_s, []).append(functools.partial(self._happen, fault))
        return run(lambda: load.send(schedule, self.ports, self.servers, self._bounds, events))

    def begin(self, sender: Sender, schedule: Schedule, faults: Sequence[Fault], start_s: float) -> Sending:
        """The same from another process and without waiting: instants count from ``start_s`` of the monotonic clock.

        Raises
        ------
        SettingError
            As in :meth:`run`.
        """
        load.check_bounds(schedule, self._bounds)
        check_faults(faults, len(self.servers), self._bounds.max_seconds, "the longest load")
        if faults:
            troubles = Troubles([(start_s + one.at_s, functools.partial(self._happen, one)) for one in faults])
            self._stack.callback(troubles.end)
        return sender.send(schedule, self.ports, self.servers, self._bounds, start_s)

    def _check(self, schedule: Schedule, faults: Sequence[Fault]) -> None:
        load.check_bounds(schedule, self._bounds)
        check_faults(faults, len(self.servers), schedule.last_s, "the last request")

    def _happen(self, fault: Fault) -> None:
        actions: dict[str, Callable[[], None]] = {
            "slow": functools.partial(self.machines.slow_down, fault.server, fault.factor),
            "stop": functools.partial(self.machines.stop, fault.server),
            "start": functools.partial(self.machines.start, fault.server),
            "kill_proxy": self.proxy.kill,
            "start_proxy": self.proxy.launch,
        }
        actions[fault.kind]()

    def _configuration(self) -> str:
        return configuration(
            self._proxy_config,
            socket=self.folder / SOCKET,
            log=self.log_socket,
            connections=self._bounds.connections + SPARE,
            frontends={kind: (port, name) for kind, port, name in zip(CLASSES, self.ports, self.backends, strict=True)},
            servers=dict(zip(self.servers, self.machines.ports, strict=True)),
        )

    def _are_up(self) -> bool:
        try:
            rows = RuntimeApi(self.socket).statistics(*dict.fromkeys((*self.backends, *self.canaries)))
        except RuntimeApiError:
            return False
        servers = [row for row in rows if row["svname"] in self.servers]
        return all(row["status"] == "UP" and row["check_status"].endswith("L7OK") for row in servers)


def _check_world(config: LoadBalancingConfig) -> None:
    """Refuse a world whose servers are not what runs here."""
    if config.pool.service != "fcfs":
        raise SettingError("pool.service", "fcfs on a test bed", repr(config.pool.service))
    for name in ("n_servers", "cores", "speed"):
        drawn = getattr(config.randomise, name)
        if drawn:
            raise SettingError(f"randomise.{name}", "[] on a test bed, whose servers are those of the pool", drawn)
