"""A lower agent that begins with what actions gained: it takes steps for that, keeps it, and is better for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch as th
from numpy.testing import assert_allclose, assert_array_equal

import envs
from envs.core.simulation import Simulation
from envs.core.validation import SettingError
from envs.load_balancing.config import (
    Actions,
    LoadBalancingConfig,
    Poisson,
    Regimes,
    Reward,
    ServerPool,
    Workload,
    WorkloadClass,
)
from hierarchy.arms import flat
from hierarchy.arms.flat import start_flat
from hierarchy.arms.running import Batch, play
from hierarchy.arms.start import Agents, Start
from hierarchy.building.lower import build
from hierarchy.building.lower_steps import n_lower_steps, steps_of_round, warm_steps
from hierarchy.config import ExperimentConfig
from hierarchy.executors.inline import Inline
from hierarchy.executors.processes import Processes
from hierarchy.lower.recurrent_ppo import RecurrentPPOConfig
from hierarchy.pair import Held
from hierarchy.phases.checks import check_experiment
from hierarchy.warm_start import lower
from hierarchy.warm_start.learner import WarmStarted, started
from hierarchy.warm_starts import WarmStart

KIND = WorkloadClass(mean_work_s=0.05, deadline_s=1.0, value_usd=1e-5, penalty_usd=1e-5)
RULE = "autoscale_pools"
"""Which keeps all servers on here, the dear one among them, which nobody needs."""
ALWAYS_ON = {
    f"{name}_{group}": value
    for group in (0, 1)
    for name, value in {
        "signal": "in_flight",
        "up": 1.0,
        "span_s": 5.0,
        "down_share": 0.1,
        "hold_on_s": 0.0,
        "hold_off_s": 0.0,
        "least": 2,
        "more": 0,
        "skip": 0,
    }.items()
}
WORLD = LoadBalancingConfig(
    pool=ServerPool(
        cores=[4, 4], speed=[1.0, 1.0], price_usd_per_h=[0.2, 5.0], memory_gb=[4.0, 4.0], boot_s=1.0, min_billed_s=1.0
    ),
    workload=Workload(
        arrivals=Poisson(), regimes=Regimes(loads=[0.1], interactive_shares=[0.5]), interactive=KIND, batch=KIND
    ),
    actions=Actions(mode="guided", rule=RULE, numbers=ALWAYS_ON, every_steps=2),
    reward=Reward(latency_measure="forgone"),
    dt_s=1.0,
    episode_steps=40,
)
WARM = WarmStart(rounds=2, states=512, tries=3, ahead_steps=6)
LOWER = RecurrentPPOConfig(timesteps=64, n_envs=4, n_steps=8, batch_size=16, n_epochs=1, hidden_size=8, warm_start=WARM)
CONFIG = ExperimentConfig(env=WORLD, lower=LOWER, executor="inline", seed=3)
N_WARM = 2 * (512 * 4 * 6 + 2 * 128 * 40)
"""Rounds of futures and of the way between them, which is an episode of every env."""


class Watch:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.steps: list[int] = []
        self.figures: list[tuple[int, dict[str, float]]] = []

    def on_step(self, n_steps: int) -> None:
        self.steps.append(n_steps)

    def on_metrics(self, values: Mapping[str, float], n_steps: int) -> None:
        self.figures.append((n_steps, dict(values)))


def learned(config: ExperimentConfig = CONFIG, workers: Any = None, watch: Watch | None = None) -> WarmStarted:
    learner = started(build(config), config, True, workers or Inline())
    assert isinstance(learner, WarmStarted)
    learner.learn(n_lower_steps(config), *([watch] if watch else []))
    return learner


@pytest.fixture(scope="module")
def watch() -> Watch:
    return Watch()


@pytest.fixture(scope="module")
def agent(watch: Watch) -> WarmStarted:
    return learned(watch=watch)


def objective(actor: Any, start: Any) -> np.ndarray:
    batch = Batch(WORLD, "select", range(6), 4)
    return play(CONFIG, Agents(actor, None, actor), {}, start, batch).objective


def under(mix: tuple[float, ...]) -> Any:
    def start(start: Start) -> Any:
        return start.pair(Held(np.array(mix)))

    return start


def test_its_steps_are_those_of_futures_and_its_own(agent: WarmStarted, watch: Watch) -> None:
    assert warm_steps(CONFIG) == N_WARM
    assert n_lower_steps(CONFIG) == agent.n_steps == N_WARM + 64
    assert watch.steps[:2] == [N_WARM // 2, N_WARM]
    assert watch.steps[-1] == N_WARM + 64
    assert watch.steps == sorted(watch.steps)
    told = [(step, set(values)) for step, values in watch.figures if "warm_start/error" in values]
    assert told == [(step, {"warm_start/error", "warm_start/nominal_share"}) for step in (N_WARM // 2, N_WARM)]
    assert all(step > N_WARM for step, values in watch.figures if "reward/cost" in values)


def test_it_ends_a_waste_that_the_rule_goes_on_with(agent: WarmStarted) -> None:
    """One that was given nothing follows the rule."""
    nobody = build(replace(CONFIG, lower=replace(LOWER, warm_start=WarmStart())))
    rule = objective(nobody.actor, under((1 / 3, 1 / 3, 1 / 3)))
    assert (objective(agent.actor, under((0.0, 0.5, 0.5))) > rule + 1.0).all()


def test_it_follows_its_context(agent: WarmStarted) -> None:
    """The dear server makes the load fairer, and is never worth it under cost alone."""
    costs = []
    for mix in ((0.0, 0.0, 1.0), (1.0, 0.0, 0.0)):
        episodes = play(CONFIG, Agents(agent.actor, None), {}, under(mix), Batch(WORLD, "select", range(6), 4))
        costs.append(episodes.statistics["cost_usd_per_h"].mean())
    assert costs[0] < costs[1]


def test_half_of_the_contexts_come_to_lie_where_the_objective_does() -> None:
    """Profit is made of latency and cost alike; not so where nobody asks for it."""
    aiming = learned(replace(CONFIG, lower=replace(LOWER, warm_start=replace(WARM, aims=True))))
    batches: list[Any] = [one._learner.agent.get_env().unwrapped.batch for one in (aiming, learned())]  # type: ignore[attr-defined]
    mixes = [batch.contexts.around for batch in batches]
    assert_allclose(mixes[0], [0.0, 0.5, 0.5], atol=0.15)
    assert mixes[1] is None


def test_an_agent_without_a_hierarchy_is_started_for_the_objective() -> None:
    learner = started(flat.build(CONFIG), CONFIG, False, Inline())
    learner.learn(N_WARM + 64)
    rule = objective(build(CONFIG).actor, under((1 / 3, 1 / 3, 1 / 3)))
    assert (objective(learner.actor, start_flat) > rule + 1.0).all()
    assert flat.timesteps(CONFIG) - flat.timesteps(replace(CONFIG, lower=replace(LOWER, warm_start=WarmStart()))) == N_WARM


@pytest.mark.parametrize(("episode_steps", "states"), [(40, 8), (41, 9)])
def test_all_steps_of_a_round_are_counted(monkeypatch: pytest.MonkeyPatch, episode_steps: int, states: int) -> None:
    """As many as simulations are advanced, in futures and on the way."""
    env = replace(WORLD, episode_steps=episode_steps)
    config = replace(CONFIG, env=env, lower=replace(LOWER, warm_start=replace(WARM, states=states)))
    n_done, advance = 0, Simulation.advance

    def counted(self: Simulation, action: Any) -> None:
        nonlocal n_done
        n_done += int((~self.ended).sum())
        advance(self, action)

    monkeypatch.setattr(Simulation, "advance", counted)
    for number, size in enumerate(config.lower.warm_start.jobs):
        lower.tried(lower.Job(config, True, size, number, None, ()))
    assert n_done == steps_of_round(config)


def test_an_agent_without_a_hierarchy_meets_other_luck(monkeypatch: pytest.MonkeyPatch) -> None:
    """And other envs: neither learns from what the other one met."""
    met: list[tuple[set[int], set[int]]] = []
    make, branch = envs.make, lower.branch

    def noted_make(*arguments: Any) -> Any:
        met[-1][0].update(arguments[5] if len(arguments) > 5 else ())
        return make(*arguments)

    def noted_branch(source: Any, into: Any, rows: Any, futures: Any, seed: int) -> None:
        met[-1][1].update(futures)
        branch(source, into, rows, futures, seed)

    uneven = replace(CONFIG, lower=replace(LOWER, warm_start=replace(WARM, states=257)))
    monkeypatch.setattr(envs, "make", noted_make)
    monkeypatch.setattr(lower, "branch", noted_branch)
    for contextual in (True, False):
        met.append((set(), set()))
        for number in range(4):
            lower.tried(lower.Job(uneven, contextual, uneven.lower.warm_start.jobs[number % 2], number, None, ()))
    of_lower, of_flat = met
    assert [size.n_envs for size in uneven.lower.warm_start.jobs] == [65, 128]
    assert all(len(ids) == 2 * (65 + 128) for ids, _ in met)
    assert all(len(futures) == 2 * (2 * 65 + 128) for _, futures in met)
    assert not of_lower[0] & of_flat[0]
    assert not of_lower[1] & of_flat[1]


def test_workers_learn_the_same(agent: WarmStarted) -> None:
    with Processes(n_workers=2) as workers:
        other = learned(workers=workers)
    states = [one._learner.agent.policy.state_dict() for one in (agent, other)]
    for name, value in states[0].items():
        assert_array_equal(value, states[1][name], err_msg=name)


def test_a_saved_agent_acts_as_it_did(agent: WarmStarted, tmp_path: Path) -> None:
    agent.save(tmp_path / "lower.zip")
    mix = under((0.2, 0.4, 0.4))
    assert_array_equal(objective(LOWER.load(tmp_path / "lower.zip").actor, mix), objective(agent.actor, mix))


def test_what_was_found_stays_as_it_is_while_the_agent_learns(agent: WarmStarted) -> None:
    policy = agent._learner.agent.policy
    before = {name: value.clone() for name, value in policy.state_dict().items()}
    agent._learner.learn(64)
    after = policy.state_dict()
    moved = {name for name, value in before.items() if not th.equal(value, after[name])}
    assert moved
    assert not any(name.startswith("advantages") for name in moved)


def test_before_anything_was_tried_all_actions_are_alike() -> None:
    observation = th.from_numpy(envs.make(WORLD, 3, 0).reset())
    learner: Any = build(CONFIG)
    policy = learner.agent.policy
    features, logits = policy.encoded(observation)
    assert_array_equal(logits, 0.0)
    assert logits.shape == (3, 1 + 3 * 2)
    assert features.shape == (3, 8)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            replace(CONFIG, env=replace(WORLD, actions=Actions())),
            "lower.warm_start.rounds must be 0 in a world where an action is not one choice, got 2",
        ),
        (
            replace(CONFIG, lower=replace(LOWER, warm_start=replace(WARM, tries=7))),
            "lower.warm_start.tries must be <= 6, what there is to try, got 7",
        ),
        (
            replace(CONFIG, env=envs.SparkConfig()),
            "lower.warm_start.rounds must be 0 in a world without a nominal action, got 2",
        ),
        (
            replace(CONFIG, env=replace(WORLD, reward=replace(WORLD.reward, switching_cost=0.1))),
            "lower.warm_start.rounds must be 0 in a world with a penalty beside the mix, got 2",
        ),
        (
            replace(CONFIG, lower=replace(LOWER, warm_start=replace(WARM, ahead_steps=5))),
            "lower.warm_start.ahead_steps must be a multiple of 2, the steps that an action stands for, got 5",
        ),
    ],
)
def test_where_actions_cannot_be_tried_it_is_refused(config: ExperimentConfig, message: str) -> None:
    with pytest.raises(SettingError, match=message):
        check_experiment(config)


@pytest.mark.parametrize("fields", [{"history": 2}, {"normalise_observations": True}, {"policy": "equivariant"}])
def test_it_needs_observations_as_they_are(fields: dict[str, Any]) -> None:
    with pytest.raises(SettingError, match=r"warm_start.rounds must be 0 unless policy is joint over observations as they"):
        replace(LOWER, **fields)
