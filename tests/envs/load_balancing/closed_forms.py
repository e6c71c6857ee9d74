"""Closed forms of queueing theory, and when samples agree with one."""

from __future__ import annotations

import math

import numpy as np

from tests.envs.load_balancing.pools import standard_errors


def erlang_c(n_servers: int, load: float) -> float:
    """Probability that a flow of M/M/c waits."""
    offered = n_servers * load
    waiting = offered**n_servers / math.factorial(n_servers) / (1 - load)
    return waiting / (sum(offered**k / math.factorial(k) for k in range(n_servers)) + waiting)


def erlang_b(n_servers: int, offered: float) -> float:
    """Probability that a flow of M/G/c/c is turned away."""
    return offered**n_servers / math.factorial(n_servers) / sum(offered**k / math.factorial(k) for k in range(n_servers + 1))


def mmc_latency_s(n_servers: int, load: float) -> float:
    """Mean latency of M/M/c with one second of work; under processor sharing whatever the distribution of work."""
    return 1 + erlang_c(n_servers, load) / (n_servers * (1 - load))


def agrees(samples: np.ndarray, expected: float) -> bool:
    """Within 3 % and within 4 standard errors, which have to be small enough for the 3 % to mean something."""
    error = samples.std(ddof=1) / math.sqrt(len(samples))
    assert error < 0.015 * expected
    return abs(samples.mean() / expected - 1) < 0.03 and standard_errors(samples, expected) < 4
