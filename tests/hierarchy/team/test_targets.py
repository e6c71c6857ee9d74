"""What agents learn towards: advantages over time, values that stop where an episode does, and whose reward it is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch as th
from numpy.testing import assert_allclose

from hierarchy.team.clipped_policies import ClippedLearner
from hierarchy.team.mixed_values import MixedLearner
from tests.hierarchy.team.settings import tiny
from tests.hierarchy.team.worlds import Cue

GAMMA, LAMBDA = 0.9, 0.8


def learner_of(name: str, **changes: Any) -> Any:
    learner = tiny(name, gamma=GAMMA, **changes).build(Cue(4), 0)
    learner.learn(16)
    return learner


@pytest.mark.parametrize("name", ["mappo", "ippo"])
@pytest.mark.parametrize("reward", ["own", "team"])
def test_advantages_are_summed_back_over_an_episode_and_no_further(name: str, reward: str) -> None:
    """Generalised advantage estimation (Schulman et al., ICLR 2016), by its definition, agent by agent."""
    learner = learner_of(name, gae_lambda=LAMBDA, reward=reward, rollout_steps=7)
    assert isinstance(learner, ClippedLearner)
    rollout = learner._steps()
    assert rollout.shape == (4, 7)
    goes_on = ~rollout["next", "done"][:, :-1, 0]
    assert_allclose(rollout["next", "state"][:, :-1][goes_on], rollout["state"][:, 1:][goes_on])  # in the order of time
    with th.no_grad():
        learner._advantages(rollout)
    paid, value = rollout["next", "agents", "reward"], rollout["agents", "state_value"]
    following, done = rollout["next", "agents", "state_value"], rollout["next", "done"][:, :, None].float()
    assert done.any()
    assert (1.0 - done).any()
    error = paid + GAMMA * (1.0 - done) * following - value  # Cue never truncates
    expected, later = th.zeros_like(value), th.zeros_like(value[:, 0])
    for at in reversed(range(7)):
        later = error[:, at] + GAMMA * LAMBDA * (1.0 - done[:, at]) * later
        expected[:, at] = later
    assert_allclose(rollout["agents", "advantage"], expected, atol=1e-5)
    assert_allclose(rollout["agents", "value_target"], expected + value, atol=1e-5)


@pytest.mark.parametrize("reward", ["own", "team"])
def test_rewards_are_those_of_whom_the_settings_say(reward: str) -> None:
    learner = learner_of("ippo", reward=reward)
    steps = learner._stepper.step(np.zeros((4, 2, 1), np.int64))
    steps = steps._replace(reward=np.array([[1.0, 3.0]] * 4, np.float32))
    assert learner._rewards(steps).tolist() == [[1.0, 3.0] if reward == "own" else [4.0, 4.0]] * 4


@pytest.mark.parametrize("name", ["qmix", "vdn"])
def test_a_mixed_value_is_drawn_to_reward_and_the_best_of_the_next_step(name: str) -> None:
    """The loss is the mean square of what is missing, with nothing to come where an episode is over."""
    learner = learner_of(name, batch_size=32)
    assert isinstance(learner, MixedLearner)
    steps = learner._replay.draw(32, np.random.default_rng(0))
    assert 0 < steps.terminated.sum() < 32
    loss = learner._losses(learner._batch(steps), steps).item()

    def mixed(values: th.Tensor, state: np.ndarray) -> th.Tensor:
        mixer = learner.loss.mixer_network
        with learner.loss.mixer_network_params.to_module(mixer):
            inner = mixer.module
            return inner(values, learner._states(state)) if name == "qmix" else inner(values)

    with th.no_grad():
        now = learner.module.network(learner._windows(steps.window))
        following = learner.module.network(learner._windows(steps.next_window))
        taken = mixed(now.gather(-1, th.from_numpy(steps.action)), steps.state)
        best = mixed(following.amax(-1, keepdim=True), steps.next_state)
        paid = th.from_numpy(steps.reward.sum(1, keepdims=True)) / learner._reward_scale.std
        over = th.from_numpy(steps.terminated)[:, None].float()
        missing = paid + GAMMA * (1.0 - over) * best - taken
    assert loss == pytest.approx(missing.square().mean().item(), rel=1e-4), "targets begin as what they follow"
