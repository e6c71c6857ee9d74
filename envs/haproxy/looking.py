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


class UnknownServerError(RuntimeApiError):
    """A backend lacks a server."""


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
    rules = []
    n_waiting, down, untouchable = np.zeros(len(backends), np.int64), *np.zeros((2, len(servers)), np.bool_)
    for b, name in enumerate(backends):
        rows = {row["svname"]: row for row in table(answers[2 * b])}
        of_servers = {row["srv_name"]: row for row in states(answers[2 * b + 1])}
        n_waiting[b] = int(rows["BACKEND"]["qcur"])
        rules.append(rows["BACKEND"]["algo"])
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
    return Seen(look, weights, initial, untouchable, tuple(rules), int(process["Pid"]), int(process["Uptime_sec"]))
