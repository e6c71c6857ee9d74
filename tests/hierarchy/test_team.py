"""Both phases, all arms and what is deployed over several balancers, each of which sees its own requests alone."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

import envs
import hierarchy
from envs.load_balancing.config import BalancersConfig, LoadBalancingConfig, Telemetry
from hierarchy import experiment
from hierarchy.config import ExperimentConfig
from hierarchy.evaluation import evaluate_folder
from hierarchy.evidence.recordings import load_episodes
from hierarchy.experiment import Experiment

pytestmark = pytest.mark.slow
N = 2


def of_team(config: ExperimentConfig, mode: str) -> ExperimentConfig:
    env = config.env
    assert isinstance(env, LoadBalancingConfig)
    actions = dataclasses.replace(env.actions, mode="guided") if mode == "guided" else env.actions
    world = dataclasses.replace(
        env,
        balancers=BalancersConfig(n=N, shares=[0.7, 0.3]),
        actions=actions,
        telemetry=Telemetry(samples=mode != "guided"),
    )
    ablation = dataclasses.replace(config.ablation, flat=True, oracles=True, tuned_static=True, constants=mode == "guided")
    lower = dataclasses.replace(config.lower, paired=mode == "guided")
    return dataclasses.replace(config, env=world, lower=lower, ablation=ablation)


@pytest.mark.parametrize("mode", ["levels", "guided"])
def test_a_team_goes_through_both_phases_and_all_arms(untracked_config: ExperimentConfig, tmp_path: Path, mode: str) -> None:
    config = of_team(untracked_config, mode)
    results = experiment.train(Experiment(config, tmp_path))
    arms = {"learned", "flat", "gated", "distilled", "fixed_best", "tuned_static", "sed", "autoscale_class", "regime_oracle"}
    assert arms | ({"best_constant"} if mode == "guided" else set()) <= results["arms"].keys()
    for name, recorded in load_episodes(tmp_path).items():
        assert recorded.objective.shape == (config.ablation.n_seeds,), name
        np.testing.assert_allclose(recorded.objective, results["arms"][name]["objective"]["per_seed"])
    again = evaluate_folder(config, tmp_path)
    for name in ("learned", "sed", "autoscale_class"):
        assert again["arms"][name]["objective"]["per_seed"] == results["arms"][name]["objective"]["per_seed"]


def test_one_policy_decides_for_each_balancer_by_what_it_observes_itself(
    untracked_config: ExperimentConfig, tmp_path: Path
) -> None:
    """In envs side by side as in one alone."""
    config = of_team(untracked_config, "levels")
    out = Experiment(config, tmp_path)
    experiment.train(out)
    trained = hierarchy.load(tmp_path)
    simulations = [envs.simulate(config.env, n, config.seed, "evaluate") for n in (1, 3)]
    pairs = []
    for simulation in simulations:
        simulation.reset()
        pairs.append(trained.pair(simulation.world, simulation.n_envs))
    for _ in range(config.env.episode_steps):
        one, many = (pair.decide(simulation.measurements) for pair, simulation in zip(pairs, simulations, strict=True))
        assert many.shape == (3, N * config.env.n_backends, config.env.pool.n_servers)  # type: ignore[attr-defined]
        np.testing.assert_array_equal(one[0], many[0])
        for simulation, weights in zip(simulations, (one, many), strict=True):
            simulation.advance(weights)
