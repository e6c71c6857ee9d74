"""Both phases, all arms and what is deployed over several balancers, each of which sees its own requests alone."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch as th

import envs
import hierarchy
from envs.core.arrays import Array
from envs.load_balancing.config import BalancersConfig, LoadBalancingConfig, Telemetry
from hierarchy import experiment
from hierarchy.config import ExperimentConfig
from hierarchy.evaluation import evaluate_folder
from hierarchy.evidence.recordings import load_episodes
from hierarchy.evidence.results import Results
from hierarchy.experiment import Experiment
from hierarchy.lower.team import TeamLowerConfig
from hierarchy.nets.models import PairModel
from hierarchy.pair import Pair, Window
from hierarchy.protocols import LowerAlgorithm
from hierarchy.team.mappo import MAPPOConfig
from hierarchy.team.protocols import TeamAlgorithm
from hierarchy.team.qmix import QMIXConfig

pytestmark = pytest.mark.slow
N = 2


def learned_by(algorithm: TeamAlgorithm) -> TeamLowerConfig:
    """A lower level of agents that learn as a team."""
    return TeamLowerConfig(timesteps=160, n_envs=2, team=algorithm)


LEARNERS: dict[str, LowerAlgorithm] = {
    "mappo": learned_by(MAPPOConfig(warm_up=8, rollout_steps=4, batch_size=8, epochs=1, hidden_size=8)),
    "qmix": learned_by(QMIXConfig(warm_up=8, batch_size=8, hidden_size=8, memory="gru", memory_steps=3)),
}


class Team(NamedTuple):
    """An experiment over several balancers."""

    config: ExperimentConfig
    out: Path
    results: Results


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
    lower = LEARNERS.get(mode) or dataclasses.replace(config.lower, paired=mode == "guided")
    upper = dataclasses.replace(config.upper, context_per_balancer=mode != "levels")
    return dataclasses.replace(config, env=world, lower=lower, upper=upper, ablation=ablation)


@pytest.fixture(scope="module", params=["levels", "guided", *LEARNERS])
def team(
    request: pytest.FixtureRequest, untracked_config: ExperimentConfig, tmp_path_factory: pytest.TempPathFactory
) -> Team:
    config, out = of_team(untracked_config, request.param), tmp_path_factory.mktemp(request.param)
    return Team(config, out, experiment.train(Experiment(config, out)))


def test_a_team_goes_through_both_phases_and_all_arms(team: Team) -> None:
    config, arms = team.config, team.results["arms"]
    wanted = {"learned", "flat", "gated", "distilled", "fixed_best", "tuned_static", "regime_oracle"}
    wanted |= {"sed", "sed_flatter", "sed_global", "autoscale_class"}
    assert wanted | ({"best_constant"} if config.ablation.constants else set()) <= arms.keys()
    assert (arms["sed_global"]["kind"], arms["sed_global"]["knows"]) == ("oracle", "all balancers")
    for name, recorded in load_episodes(team.out).items():
        assert recorded.objective.shape == (config.ablation.n_seeds,), name
        np.testing.assert_allclose(recorded.objective, arms[name]["objective"]["per_seed"])
    again = evaluate_folder(config, team.out)
    for name in ("learned", "sed", "sed_flatter", "autoscale_class"):
        assert again["arms"][name]["objective"]["per_seed"] == arms[name]["objective"]["per_seed"]


def test_a_pair_decides_for_each_balancer_by_what_it_observes_itself(team: Team) -> None:
    """In envs side by side as in one alone."""
    config, trained = team.config, hierarchy.load(team.out)
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


class OneModel:
    """Both agents as one function of tensors, beside a pair that decides."""

    def __init__(self, trained: hierarchy.Trained, pair: Pair, n_rows: int) -> None:
        spec = envs.describe(trained.config.env)
        self._pair, self._set, self._act = pair, pair._setter.contexts, pair._lower.act
        self._model = PairModel(trained.lower.model, trained.upper.model, spec.n_terms, spec.n_agents)  # type: ignore[attr-defined]
        zeros = {name: th.zeros(n_rows, one.shape[1]) for name, one in self._model.examples.items()}
        self._inputs = zeros | {"context": th.full_like(zeros["context"], 1.0 / spec.n_terms)}
        self.n_compared = 0
        pair._setter.contexts, pair._lower.act = self.contexts, self.act  # type: ignore[method-assign]

    def contexts(self, window: Window) -> Array:
        measured = th.from_numpy(window.observation[:, : -self._inputs["context"].shape[1]])
        self._inputs["window"] = measured.repeat_interleave(N, dim=0)
        self._inputs["begins"] = th.ones_like(self._inputs["begins"])
        return self._set(window)

    def act(self, observation: Array) -> Array:
        action = self._act(observation)
        self._inputs["observation"] = th.from_numpy(observation[:, : -self._inputs["context"].shape[1]])
        with th.inference_mode():
            found = dict(zip(self._model.outputs, self._model(*self._inputs.values()), strict=True))
        np.testing.assert_array_equal(found.pop("action").numpy(), action)
        np.testing.assert_allclose(
            found["context"].numpy(), self._pair.contexts.reshape(-1, found["context"].shape[1]), atol=1e-6
        )
        self._inputs |= {name.removeprefix("next_"): one for name, one in found.items()}
        self._inputs |= {"begins": th.zeros_like(self._inputs["begins"]), "keep": th.ones_like(self._inputs["keep"])}
        self.n_compared += 1
        return action


def test_a_pair_is_one_model_of_rows(team: Team) -> None:
    """The same actions and contexts, whether the upper agent sets one for all balancers or one for each."""
    trained = hierarchy.load(team.out)
    simulation = envs.simulate(team.config.env, 3, 5)
    simulation.reset()
    pair = trained.pair(simulation.world)
    model = OneModel(trained, pair, simulation.n_rows)
    for _ in range(team.config.env.episode_steps):
        simulation.advance(pair.decide(simulation.measurements))
    assert model.n_compared > 1
