"""What one should know of a world before its figures are read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from envs.load_balancing.config import CLASSES, LoadBalancingConfig, Trace
from envs.load_balancing.kernel.arrivals.trace import Replay
from envs.load_balancing.objectives import Budget
from envs.load_balancing.params import traffic_of


class Part(NamedTuple):
    """What of a recording is replayed: how long it lasts at the scaled rate, and its requests by class."""

    duration_s: float
    n_requests: tuple[int, ...]  # of each class


class Replayed(NamedTuple):
    """The parts of a recording that train (and select) and that evaluate."""

    train: Part
    evaluate: Part


def replayed(config: LoadBalancingConfig) -> Replayed:
    """What is replayed of the recording that the config names.

    Raises
    ------
    SettingError, TraceError
        The recording can't be read.
    """
    return Replayed(_part(config, held_out=False), _part(config, held_out=True))


def _part(config: LoadBalancingConfig, held_out: bool) -> Part:
    traffic = traffic_of(config, held_out)
    replay = traffic.sources[traffic.source]
    assert isinstance(replay, Replay)
    n_requests = np.bincount(replay.flow_class, minlength=len(CLASSES))
    return Part(float(replay.period_s), tuple(n_requests.tolist()))


def notes(config: LoadBalancingConfig, episode_steps: int) -> tuple[str, ...]:
    """Where agents are given less than rules; of a recording, that one part trains and evaluates, that a part lacks a class,
    that the part that evaluates is short; that a day of an error budget is longer than an episode.

    Raises
    ------
    SettingError, TraceError
        The recording can't be read.
    """
    episode_s = episode_steps * config.dt_s
    of_agents = tuple(_of_agents(config))
    if config.error_budget is not None:
        of_agents += tuple(_of_budget(config.error_budget, episode_s))
    if not isinstance(config.workload.arrivals, Trace):
        return of_agents
    return (*of_agents, *_of_recording(config.workload.arrivals, replayed(config), episode_s))


def _of_agents(config: LoadBalancingConfig) -> Iterator[str]:
    if not config.telemetry.is_exact:
        yield "agents on servers observe late, lost or noisy reports (telemetry), rules and the upper agent exact ones"
    if not config.telemetry.samples and config.actions.mode != "guided":  # plans are of all servers
        yield "agents on servers observe no times of requests (telemetry.samples is false): these features read 0"
    if config.actions.delay_steps:
        yield "actions of agents take effect late (actions.delay_steps), those of rules at once"


def _of_budget(budget: Budget, episode_s: float) -> Iterator[str]:
    if episode_s < budget.day_s:
        yield f"an episode of {episode_s:,.0f} s has the budget of a whole day (objective.day_s {budget.day_s:,.0f})"


def _of_recording(trace: Trace, parts: Replayed, episode_s: float) -> Iterator[str]:
    if trace.split is not None:
        yield f"the same part of the recording trains and evaluates (workload.arrivals.split {trace.split})"
    for verb, part in (("trains", parts.train), ("evaluates", parts.evaluate)):
        for name, n in zip(CLASSES, part.n_requests, strict=True):
            if n == 0:
                yield f"the part of the recording that {verb} has no {name} requests"
    part = parts.evaluate
    if part.duration_s < episode_s:
        requests = f"{sum(part.n_requests):,} requests, at the rate that its clock is scaled to"
        lasts = f"lasts {part.duration_s:,.0f} s ({requests}), an episode {episode_s:,.0f} s"
        n_loops = episode_s / part.duration_s
        yield f"the part of the recording that evaluates {lasts}: it is replayed {n_loops:.1f} times"
