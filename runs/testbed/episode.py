"""One episode of an arm on the test bed: real requests to real servers, steered by what steers a real balancer."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from envs.core.arrays import Array
from envs.core.simulation import Simulation
from envs.haproxy.balancer import Balancer
from envs.haproxy.config import HAProxyConfig
from envs.haproxy.runtime import MAX_WEIGHT
from envs.load_balancing.config import LoadBalancingConfig
from envs.load_balancing.kernel.accounts import ARRIVED
from envs.load_balancing.rules.foreseeing import day_of
from hierarchy.arms.arm import Arm
from hierarchy.arms.running import Recorder
from hierarchy.arms.start import Agents, Start
from hierarchy.building.windows import lower_steps_per_window
from hierarchy.config import ExperimentConfig
from hierarchy.evidence.episodes import Episodes
from hierarchy.live.controller import Controller, Decides, Decision, whole_weights
from hierarchy.live.running import LiveConfig, Running
from hierarchy.live.serving import rehearsed
from hierarchy.pair import Pair
from runs.testbed.arms import STATIC_NAME, balance_of
from runs.testbed.bed import TestBed
from runs.testbed.errors import BedError
from runs.testbed.faults import Fault
from runs.testbed.load import Answers
from runs.testbed.proxy import ProxyConfig
from runs.testbed.requests import ScheduleConfig, draw_schedule, time_of_day
from runs.testbed.sending import Sender

MOST_UNSEEN = 0.005
"""Share of requests that may be missing in the log, or in it without having been sent."""
LEAD_S = 0.5
"""From when all stands until the first request may come."""


class Made(NamedTuple):
    """An episode that was made: what was measured, and what the requests themselves say."""

    episodes: Episodes
    answers: Answers
    n_held: int  # decisions that were not written


@dataclass(frozen=True)
class Player:
    """Plays episodes of arms.

    Attributes
    ----------
    config
        The experiment: world, windows.
    agents, found
        What was trained, and what was found for arms, by name.
    live
        How a balancer is steered.
    sender
        Sends requests.
    """

    config: ExperimentConfig
    agents: Agents
    found: Mapping[str, Any]
    live: LiveConfig
    sender: Sender

    def play(self, name: str, arm: Arm, wanted: ScheduleConfig, faults: tuple[Fault, ...]) -> Made:
        """One episode of whole windows, over the requests of an episode of the simulator.

        Raises
        ------
        SettingError
            HAProxy can't run the arm, or the faults don't fit.
        BedError
            A process of the test bed fails.
        """
        env = arm.configured(self.config.env, self.found)
        assert isinstance(env, LoadBalancingConfig)
        schedule = draw_schedule(self._world, wanted)
        weights = [MAX_WEIGHT] * env.pool.n_servers if name == STATIC_NAME else initial_weights(env)
        proxy = ProxyConfig(balance=balance_of(name, env.dispatch), weights=weights)
        with TestBed(replace(self._world, backends="class"), proxy) as bed:
            since_midnight_s = time_of_day(self._world, wanted) * (day_of(env) or 0.0)
            haproxy = HAProxyConfig(
                socket=bed.socket,
                log=str(bed.log_socket),
                backends=list(bed.backends),
                servers=list(bed.servers),
                day_began_s=time.time() + LEAD_S - since_midnight_s,
            )
            with Balancer(env, haproxy) as balancer:
                episode = _Episode(self, arm, balancer, round(wanted.seconds / env.dt_s))
                start_s = time.monotonic() + LEAD_S
                sending = bed.begin(self.sender, schedule, faults, start_s)
                time.sleep(max(start_s - time.monotonic(), 0.0))
                episode.run()
                answers = sending.answers()
                time.sleep(LEAD_S)  # the last lines of the log
                episodes = episode.recorded()
                check_counted(len(answers.status), int(balancer.measurements.counts[..., ARRIVED].sum()))
                return Made(episodes, answers, episode.n_held)

    @property
    def _world(self) -> LoadBalancingConfig:
        assert isinstance(self.config.env, LoadBalancingConfig)
        return self.config.env


class _Episode:
    """One that is being played."""

    def __init__(self, player: Player, arm: Arm, balancer: Balancer, n_steps: int) -> None:
        self._balancer, self._live, self._n_steps = balancer, player.live, n_steps
        self._period = lower_steps_per_window(player.config)
        self._simulation = Simulation(balancer.world, n_steps)
        self._simulation.reset()
        controller = arm.start(Start(player.config, player.agents, player.found, self._simulation))
        self._recorder = Recorder(self._simulation, controller if isinstance(controller, Pair) else None)
        self._controller = Controller(
            balancer,
            self._steering(controller),
            player.live.safety,
            applies=True,
            telemetry=player.live.telemetry,
            slow_s=player.live.longest_s(balancer.config.dt_s),
        )
        self._n_told = self.n_held = 0
        self._totals = self._simulation.totals()

    def _steering(self, controller: Decides) -> Decides:
        """What steers: a pair that has warmed up, or a rule whose weights are scaled."""
        if isinstance(controller, Pair):
            return rehearsed(controller, self._balancer, self._period + 1)
        return Scaled(controller, self._balancer.config)

    def run(self) -> None:
        """Steer from now to the end; the configured weights come back then."""
        self._simulation.reset()
        self._recorder.begin_window()
        Running(self._controller, self._balancer, self._live, True, self._told).run(self._n_steps)

    def _told(self, decision: Decision) -> None:
        self._n_told += 1
        self.n_held += bool(decision.held_because)
        if self._n_told % self._period == 0 and self._n_told < self._n_steps:
            self._recorder.end_window(self._simulation.statistics(self._totals))
            self._totals = self._simulation.totals()
            self._recorder.begin_window()

    def recorded(self) -> Episodes:
        """All of it, once nothing is in flight any more."""
        self._balancer.settle(np.ones(1, np.bool_))
        self._recorder.end_window(self._simulation.statistics(self._totals))
        return self._recorder.episodes()


def check_counted(n_sent: int, n_measured: int) -> None:
    """Hold what was measured against what was sent: an arm gains nothing by requests that nobody saw.

    Raises
    ------
    BedError
        More than `MOST_UNSEEN` of them were not measured.
    """
    if abs(n_sent - n_measured) > MOST_UNSEEN * max(n_sent, 1):
        raise BedError(f"{n_sent} requests were sent and {n_measured} measured")


class Scaled:
    """A rule whose weights say how servers stand to each other, and no more, as weights that may be in force.

    Parameters
    ----------
    rule
        Its weights have any scale.
    config
        Settings of the world.
    """

    def __init__(self, rule: Decides, config: LoadBalancingConfig) -> None:
        self._rule, self._largest = rule, float(whole_weights(config).max())

    def decide(self, measurements: Any) -> Array:
        """Dispatch weights ``(1, n_backends, S)``."""
        weights: Array = self._rule.decide(measurements)
        scaled: Array = weights * (self._largest / weights.max())
        return scaled


def initial_weights(env: LoadBalancingConfig) -> list[int]:
    """Of the configuration file ``(S,)``: nominal capacities, the largest of which has the largest weight."""
    relative = whole_weights(env)[0]
    return [max(round(MAX_WEIGHT * float(weight)), 1) for weight in relative / relative.max()]
