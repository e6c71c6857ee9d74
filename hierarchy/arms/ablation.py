"""The ablation: every arm on the same evaluation seeds, after the mixes were chosen on selection seeds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from stable_baselines3 import TD3

import envs
from hierarchy.arms import constants
from hierarchy.arms.episodes import Advance, Episodes, nothing, run_heuristic, run_strategy, run_unmixed
from hierarchy.arms.selection import Selection
from hierarchy.arms.strategies import STRATEGIES, Sources
from hierarchy.config import ExperimentConfig
from hierarchy.nets.recurrent import FusedLstmPolicy
from hierarchy.simplex import simplex_grid
from hierarchy.upper import agent as upper

FloatArray = NDArray[np.float64]

FLAT = "flat"
"""The arm without a hierarchy: one agent trained on the objective itself."""
BEST_CONSTANT = "best_constant"
"""The arm that looks at nothing."""
N_ORACLES = 2
"""Arms that are told regimes."""


@dataclass(frozen=True)
class Agents:
    """What was trained: both levels of the hierarchy, and the agent without one if it is an arm."""

    lower: FusedLstmPolicy
    upper: TD3
    flat: FusedLstmPolicy | None = None


def sources(config: ExperimentConfig, agents: Agents, progress: Advance = nothing) -> Sources:
    """What the arms are made from: mixes chosen on selection seeds, and the upper agent."""
    settings = config.ablation
    windows = upper.windows(config, agents.lower, "select", [0], 1)
    n_terms, n_regimes = windows.batch.n_terms, windows.world.n_regimes
    selection = Selection(config, agents.lower, progress)
    best, by_regime = selection.fixed(simplex_grid(n_terms, settings.grid_points), n_regimes)
    grid = simplex_grid(n_terms, settings.table_points)
    return Sources(
        n_terms=n_terms,
        seed=config.seed,
        fixed_best=best,
        table=selection.regime_table(grid, best, by_regime) if n_regimes else None,
        agent=agents.upper,
        has_rule=windows.world.has_context_rule,
        tuned_static=selection.tuned_static(n_terms) if settings.tuned_static else None,
        fixed_custom=None if settings.fixed is None else np.asarray(settings.fixed) / sum(settings.fixed),
        constant=constants.best_constant(config, progress) if settings.constants else None,
    )


def n_lower_steps(config: ExperimentConfig, lower: FusedLstmPolicy) -> int:
    """Env steps that the whole ablation takes, selection included."""
    settings = config.ablation
    windows = upper.windows(config, lower, "evaluate", [0], settings.episode_windows)
    selection = Selection(config, lower).n_lower_steps(windows.batch.n_terms, windows.world.n_regimes)
    if settings.constants:
        selection += constants.n_lower_steps(config, windows.batch.action_space)
    absent = (settings.fixed is None) + (not settings.tuned_static) + (not windows.world.has_context_rule)
    if windows.world.n_regimes == 0:
        absent += N_ORACLES
    n_arms = len(STRATEGIES) - absent + settings.flat + settings.constants
    n_arms += settings.heuristics * len(envs.heuristics(config.env))
    return selection + n_arms * settings.n_seeds * windows.batch.episode_steps


def run_arms(
    config: ExperimentConfig, agents: Agents, chosen: Sources, progress: Advance = nothing
) -> dict[str, Episodes | None]:
    """Every arm on the evaluation seeds, by name; None where the world can't define it."""
    return dict(_run_all(config, agents, chosen, progress))


def _run_all(
    config: ExperimentConfig, agents: Agents, chosen: Sources, progress: Advance
) -> Iterator[tuple[str, Episodes | None]]:
    settings = config.ablation
    env_ids = list(range(settings.n_seeds))
    for name, build in STRATEGIES.items():
        strategy = build(chosen)
        if strategy is None:
            yield name, None
            continue
        windows = upper.windows(config, agents.lower, "evaluate", env_ids, settings.episode_windows)
        yield name, run_strategy(windows, strategy, config, progress)
    yield FLAT, _run_flat(config, agents.flat, env_ids, progress)
    constant = chosen.constant
    yield BEST_CONSTANT, None if constant is None else constants.run_constant(config, constant, env_ids, progress)
    n_windows = 1 if config.upper.meta_step == "episode" else settings.episode_windows
    for name in envs.heuristics(config.env) if settings.heuristics else ():
        yield name, run_heuristic(name, config, "evaluate", env_ids, n_windows, progress)


def _run_flat(
    config: ExperimentConfig, policy: FusedLstmPolicy | None, env_ids: list[int], progress: Advance
) -> Episodes | None:
    if policy is None:
        return None
    windows = upper.windows(config, policy, "evaluate", env_ids, config.ablation.episode_windows)
    return run_unmixed(windows, config, progress)
