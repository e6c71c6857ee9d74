"""A look at HAProxy: what every server has to do, how it stands, and whether it is still the same process."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from envs.core.arrays import BoolArray, IntArray
from envs.haproxy.runtime import RuntimeApi, RuntimeApiError, checked, pairs, states, table
from envs.load_balancing.kernel.metering import Look

RUNNING = ("1", "2")
"""Operational states in which a server gets requests: starting and running."""


class Seen(NamedTuple):
    """What HAProxy says, in one round trip. B is the number of backends, S of servers."""

    look: Look
    weights: IntArray  # (B, S) in force
    initial: IntArray  # (B, S) of the configuration file
    untouchable: BoolArray  # (S,) set to MAINT or DRAIN by somebody
    rules: tuple[str, ...]  # (B,) by which the backends balance
    pid: int  # of the process
    uptime_s: int
    ended: IntArray  # (B,) requests that have ended since the process began, whoever answered them
    n_dropped_logs: int  # lines of log that HAProxy could not send, since it began
    others: tuple[str, ...]  # servers that the backends have besides, as backend/server

    def steered(self, n: int) -> Seen:
        """The first ``n`` backends, with what is on the servers for the next ``n`` as well, if there are any more."""
        if len(self.weights) == n:
            return self
        n_flows, n_waiting, down = self.look
        look = Look(n_flows[:n] + n_flows[n:], n_waiting[:n] + n_waiting[n:], down)
        ended = self.ended[:n] + self.ended[n:]
        return self._replace(
            look=look, weights=self.weights[:n], initial=self.initial[:n], rules=self.rules[:n], ended=ended
        )


class UnknownServerError(RuntimeApiError):
    """A backend lacks a server."""


def servers_of(api: RuntimeApi, backend: str) -> list[str]:
    """Names of the servers of a backend, in its order.

    Raises
    ------
    RuntimeApiError
        HAProxy can't be reached, or has no such backend.
    """
    (answer,) = api.ask(f"show servers state {checked(backend)}")
    try:
        return [row["srv_name"] for row in states(answer)]
    except (KeyError, ValueError, IndexError) as error:
        raise RuntimeApiError(f"an answer of {api.address} can't be read ({error!r})") from None


def see(api: RuntimeApi, backends: Sequence[str], servers: Sequence[str]) -> Seen:
    """Look at backends, one a class, which have the same servers.

    Raises
    ------
    RuntimeApiError
        HAProxy can't be reached, or has no such backend or server.
    """
    names = [checked(name) for name in backends]
    asked = [
        f"{what} {name}{which}" for name in names for what, which in (("show stat", " 6 -1"), ("show servers state", ""))
    ]
    info, *answers = api.ask("show info", *asked)
    try:
        return _seen(info, answers, names, servers)
    except (KeyError, ValueError, IndexError) as error:
        raise RuntimeApiError(f"an answer of {api.address} can't be read ({error!r})") from None


def _seen(info: str, answers: Sequence[str], backends: Sequence[str], servers: Sequence[str]) -> Seen:
    shape = len(backends), len(servers)
    n_flows, weights, initial = (np.zeros(shape, np.int64) for _ in range(3))
    rules, others = [], []
    ended = np.zeros(len(backends), np.int64)
    n_waiting, down, untouchable = np.zeros(len(backends), np.int64), *np.zeros((2, len(servers)), np.bool_)
    for b, name in enumerate(backends):
        rows = {row["svname"]: row for row in table(answers[2 * b])}
        of_servers = {row["srv_name"]: row for row in states(answers[2 * b + 1])}
        n_waiting[b] = int(rows["BACKEND"]["qcur"])
        rules.append(rows["BACKEND"]["algo"])
        ended[b] = int(rows["BACKEND"]["stot"]) - int(rows["BACKEND"]["scur"])
        others += [f"{name}/{server}" for server in of_servers if server not in servers]
        for s, server in enumerate(servers):
            if server not in rows or server not in of_servers:
                raise UnknownServerError(f"backend {name} has no server {server}")
            n_flows[b, s] = int(rows[server]["scur"]) + int(rows[server]["qcur"])
            state = of_servers[server]
            weights[b, s], initial[b, s] = int(state["srv_uweight"]), int(state["srv_iweight"])
            down[s] |= state["srv_op_state"] not in RUNNING
            untouchable[s] |= int(state["srv_admin_state"]) != 0
    process = pairs(info)
    look = Look(n_flows, n_waiting, down)
    n_dropped = int(process.get("DroppedLogs", 0))
    pid, uptime_s = int(process["Pid"]), int(process["Uptime_sec"])
    return Seen(look, weights, initial, untouchable, tuple(rules), pid, uptime_s, ended, n_dropped, tuple(others))
