"""SAC over a GRU: sequences are replayed as they were, what must be remembered is, and numbers stay within their bounds."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import onnxruntime
import pytest
from gymnasium import spaces
from numpy.testing import assert_allclose, assert_array_equal

import envs
from envs.core.state import Tree
from envs.core.validation import SettingError
from hierarchy.building import lower
from hierarchy.config import ExperimentConfig
from hierarchy.exporting.onnx import onnx_of
from hierarchy.lower.sac_gru import SACGRUConfig
from hierarchy.lower.sac_learner import SACGRULearner
from hierarchy.nets.sequence_replay import Steps
from tests.hierarchy.lower.test_recurrent_ppo import Recall


class NoFigures:
    """Of an env that has none."""

    def take_in(self, env: Any) -> None: ...

    def taken(self) -> dict[str, float]:
        return {}

    def get_state(self) -> Tree:
        return {}

    def set_state(self, state: Tree) -> None: ...


def learner_in(env: Recall, seed: int, **settings: Any) -> SACGRULearner:
    given = {"n_envs": env.num_envs, "hidden_size": 16, "learning_starts": 1000, "learning_rate": 5e-3, "gamma": 0.95}
    sequences = {"burn_in": 2, "unroll": 6, "entropy_share": 0.1, "updates": 2}
    return SACGRULearner(SACGRUConfig(**{**given, **sequences, **settings}), env, seed, 0, NoFigures())


@pytest.mark.slow
def test_a_cue_is_recalled_as_recurrent_ppo_recalls_it() -> None:
    """In as many steps, in the last fifth of which PPO has nine of ten."""
    shares = []
    for seed in range(5):
        env = Recall(64, seed)
        learner_in(env, seed, timesteps=10_240).learn(10_240)
        shares.append(np.mean(np.array_split(env.hits, 5)[-1]))
    assert min(shares) > 0.9
    assert np.mean(shares) > 0.95


def test_what_is_remembered_of_a_sequence_is_what_was_remembered_in_acting() -> None:
    """Whether an episode begins in it or not, as long as nothing was learned in between."""
    env = Recall(8, 0)
    learner = learner_in(env, 0, learning_starts=10**6, buffer_size=8 * 30)
    learner.learn(8 * 25)
    for seed in range(20):
        drawn = learner._replay.draw(3, 6, np.random.default_rng(seed))
        remembered = learner._remembered(drawn)
        assert_allclose(remembered[:-1].detach().numpy(), drawn.memory[3:], atol=1e-6)  # after a burn-in of two


def test_nothing_is_learned_by_the_burn_in() -> None:
    """What a loss of later steps says goes back to the first of them and no further."""
    env = Recall(8, 0)
    learner = learner_in(env, 0, learning_starts=10**6, buffer_size=8 * 30)
    learner.learn(8 * 25)
    slopes = []
    for silenced in (slice(0, 2), slice(2, 3)):
        drawn = learner._replay.draw(3, 6, np.random.default_rng(0))
        drawn = drawn._replace(start=np.zeros_like(drawn.start), memory=0.0 * drawn.memory)
        drawn.observation[:] = 0.0
        drawn.observation[silenced, :, 0] = 1.0  # the only entry that is not 0
        learner.module.zero_grad()
        learner._remembered(drawn)[-1].sum().backward()
        gradient = learner.module.encoder._features.weight.grad
        assert gradient is not None
        slopes.append(float(gradient[:, 0].abs().sum()))
    assert slopes[0] == 0.0
    assert slopes[1] > 0.0


def test_a_small_buffer_does_not_keep_it_from_learning() -> None:
    env = Recall(8, 0)
    learner = learner_in(env, 0, learning_starts=300, buffer_size=8 * 12)
    before = learner.saved("lower").arrays["acting.gru.weight_hh_l0"].copy()
    learner.learn(8 * 64)
    assert (learner.saved("lower").arrays["acting.gru.weight_hh_l0"] != before).any()


def test_settings_are_not_taken_over_with_what_was_learned() -> None:
    learned, fresh = learner_in(Recall(8, 0), 0), learner_in(Recall(8, 0), 0, gamma=0.5, entropy_share=0.9)
    before = {name: float(fresh.loss.state_dict()[name]) for name in ("target_entropy", "_value_estimator.gamma")}
    fresh.begin_from(learned.saved("lower"))
    assert {name: float(fresh.loss.state_dict()[name]) for name in before} == before


def test_steps_that_a_time_limit_cut_off_are_not_learned_from() -> None:
    env = Recall(8, 0)
    learner = learner_in(env, 0, learning_starts=10**6, buffer_size=8 * 30)
    learner.learn(8 * 25)
    drawn = learner._replay.draw(5, 7, np.random.default_rng(0))
    steps = Steps(**{name: part[2:-1] for name, part in drawn._asdict().items()})  # after the burn-in
    hidden = learner._remembered(drawn)
    whole = learner._batch(steps, hidden)
    cut = learner._batch(steps._replace(truncated=steps.reward > 0), hidden)
    assert 0 < (steps.reward > 0).sum() == len(whole) - len(cut)
    assert float(cut["next", "reward"].max()) == 0.0
    assert whole["next", "reward"].sum() == steps.reward.sum()
    assert_array_equal(whole["next", "terminated"][:, 0, 0].numpy(), steps.terminated.ravel())


def weighing(config: ExperimentConfig) -> ExperimentConfig:
    """The tiny world with weights that are numbers, for an agent of SAC."""
    env = replace(config.env, actions=replace(config.env.actions, mode="weights"))
    sac = SACGRUConfig(n_envs=2, learning_starts=32, burn_in=2, unroll=4, batch_size=4, hidden_size=8, timesteps=256)
    return replace(config, env=env, lower=sac)


def test_numbers_are_learned_within_their_bounds(untracked_config: ExperimentConfig) -> None:
    config = weighing(untracked_config)
    learner = lower.build(config)
    assert isinstance(learner, SACGRULearner)
    fresh = envs.make(config.env, 5)
    nominal = np.tile(fresh.world.nominal_action, (5, 1))
    assert_allclose(learner.actor.start(5).act(fresh.reset()), nominal, atol=0.01)
    before = learner.saved("lower").arrays["acting.action_net.linear.weight"].copy()
    learner.learn(256)
    saved = learner.saved("lower")
    assert (saved.arrays["acting.action_net.linear.weight"] != before).any()
    explored = learner._replay.draw(200, 1, np.random.default_rng(0)).action
    assert 0.0 <= explored.min() < 0.3
    assert 0.7 < explored.max() <= 1.0
    batch = envs.make(config.env, 3)
    acting, kept = learner.actor.start(3), config.lower.actor(saved).start(3)
    observation = batch.reset()
    for _ in range(10):
        action = acting.act(observation)
        assert_array_equal(action, kept.act(observation))
        assert ((action > 0.0) & (action < 1.0)).all()
        observation, *_ = batch.step(action)


@pytest.mark.parametrize("mode", ["levels", "weights"])
def test_in_another_runtime_it_decides_the_same(untracked_config: ExperimentConfig, mode: Any) -> None:
    config = weighing(untracked_config)
    config = replace(config, env=replace(config.env, actions=replace(config.env.actions, mode=mode)))
    learner = lower.build(config)
    learner.learn(256)
    session = onnxruntime.InferenceSession(onnx_of(learner.actor))
    batch, acting = envs.make(config.env, 4), learner.actor.start(4)
    observation, memory, keep = batch.reset(), np.zeros((4, 8), np.float32), np.zeros((4, 1), np.float32)
    for _ in range(50):
        inputs = {"observation": observation, "keep": keep, "hidden": memory}
        theirs, memory = session.run(["action", "next_hidden"], inputs)
        ours = acting.act(observation)
        assert_allclose(ours, theirs, atol=1e-5)
        observation, *_ = batch.step(ours)
        keep[:] = 1.0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"policy": "equivariant"}, "policy must be joint where algorithm is sac_gru, got equivariant"),
        ({"history": 2}, "history must be 1 where algorithm is sac_gru, got 2"),
        ({"buffer_size": 100}, r"buffer_size must be >= n_envs \* \(burn_in \+ unroll \+ 1\) \(544\), got 100"),
    ],
)
def test_what_it_can_not_do_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        SACGRUConfig(**settings)


def test_choices_of_unequal_sizes_are_refused() -> None:
    with pytest.raises(SettingError, match=r"algorithm must be another for MultiDiscrete\(\[2 3\]\), got sac_gru"):
        SACGRUConfig().check_world(0, spaces.MultiDiscrete([2, 3]))
