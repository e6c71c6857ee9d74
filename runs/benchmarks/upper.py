"""Phase 2: lower steps per second under the upper agent."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from envs.core.simulation import Simulation
from envs.faces.registration import make_single
from hierarchy.building import lower, upper
from hierarchy.config import ExperimentConfig
from hierarchy.lower.recurrent_ppo import RecurrentPPOConfig
from hierarchy.pair import Held, Pair, equal_mix
from hierarchy.protocols import Learner
from hierarchy.upper.meta_env import run_window
from hierarchy.upper.td3 import TD3Config
from runs.benchmarks import stock
from runs.benchmarks.plan import Case, Curve, Plan, Ratio, Target

META_PERIOD = 200
"""Lower steps in a window, as published."""
N_WINDOWS = 4
EPISODE_WINDOWS = 10_000
"""So many that no episode ends while windows are measured."""
WIDTHS = (1, 4, 16, 64, 128)


def _config(n_envs: int) -> ExperimentConfig:
    settings = TD3Config(
        n_envs=n_envs, meta_period=META_PERIOD, batch_size=32, buffer_size=1000, learning_starts=0, episode_windows=40
    )
    return ExperimentConfig(upper=settings)


def windows_per_s(n_envs: int, scale: float) -> Callable[[], float]:
    """Lower steps per second of windows under a fixed context: the world, its features, the frozen agent, statistics."""
    made: list[tuple[Simulation, Pair]] = []
    n_steps = max(1, round(scale * META_PERIOD))

    def measure() -> float:
        if not made:
            made.append(_held(_config(n_envs), n_steps))
        simulation, pair = made[0]
        started_s = time.perf_counter()
        for _ in range(N_WINDOWS):
            run_window(simulation, pair, n_steps)
        return N_WINDOWS * n_steps * n_envs / (time.perf_counter() - started_s)

    return measure


def _held(config: ExperimentConfig, period: int) -> tuple[Simulation, Pair]:
    """Running meta envs, and a fresh lower agent that acts in them under equal weights."""
    n_envs = config.upper.n_envs
    simulation = upper.simulation(config, "train", range(n_envs), EPISODE_WINDOWS)
    simulation.reset()
    equal = Held(equal_mix(simulation.world))
    return simulation, Pair(simulation.world, lower.build(config).actor.start(n_envs), equal, period)


def learning(n_envs: int, scale: float) -> Callable[[], float]:
    """Lower steps per second of phase 2 with TD3 learning, one gradient step a meta step."""
    made: list[Learner] = []
    n_meta_steps = max(1, round(scale * N_WINDOWS)) * n_envs

    def measure() -> float:
        if not made:
            config = _config(n_envs)
            made.append(upper.build(config, lower.build(config).actor))
        started_s = time.perf_counter()
        made[0].learn(n_meta_steps)
        return n_meta_steps * META_PERIOD / (time.perf_counter() - started_s)

    return measure


def predicting(scale: float) -> Callable[[], float]:
    """Lower steps per second of a loop that calls stock `predict` on one env."""
    made: list[stock.Predicting] = []
    n_steps = max(1, round(scale * N_WINDOWS * META_PERIOD))

    def measure() -> float:
        if not made:
            config = _config(1)
            config = replace(config, lower=RecurrentPPOConfig(n_envs=1, batch_size=64))
            agent = stock.agent(config, stock.vec_env(config, "dummy"))
            made.append(stock.Predicting(agent, make_single(config.env)))
        started_s = time.perf_counter()
        made[0].run(n_steps)
        return n_steps / (time.perf_counter() - started_s)

    return measure


def plan(scale: float) -> Plan:
    """Windows alone and with learning, against one env; the same against the number of envs."""
    learned = "TD3 learning, 16 meta envs"
    return Plan(
        cases=[
            Case("16 meta envs", "steps/s", windows_per_s(16, scale)),
            Case("predict on one env", "steps/s", predicting(scale)),
            Case("128 meta envs", "steps/s", windows_per_s(128, scale)),
            Case(learned, "steps/s", learning(16, scale)),
        ],
        ratios=[
            Ratio("16 meta envs", "predict on one env", Target("at least", 15)),
            Ratio(learned, "predict on one env", Target("at least", 15)),
        ],
        targets={
            "16 meta envs": Target("at least", 20_000),
            learned: Target("at least", 20_000),
            "128 meta envs": Target("at least", 60_000),
        },
        curves=[
            Curve(
                "phase_2_speed",
                "meta envs (1)",
                "lower steps per second (1/s)",
                {"windows": {n: windows_per_s(n, scale) for n in WIDTHS}},
            )
        ],
    )
