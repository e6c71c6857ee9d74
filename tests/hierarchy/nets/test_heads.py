"""Rows drawn together act alike where they are of one mind, and each by its own probabilities everywhere."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch as th
from gymnasium import spaces

from envs.load_balancing.config import BalancersConfig
from hierarchy.building import lower
from hierarchy.config import ExperimentConfig
from hierarchy.nets.heads import Head, head_of
from hierarchy.sb3.learner import SB3Learner

N = 20_000
SPACES = {"choices": spaces.MultiDiscrete([3, 2]), "numbers": spaces.Box(-9.0, 9.0, (2,), np.float32)}
WIDTHS = {"choices": 5, "numbers": 2}


def drawn(kind: str, pair: th.Tensor, n_together: int) -> tuple[Head, th.Tensor, th.Tensor]:
    """Actions ``(N, 2, 2)`` of two rows with parameters ``pair (2, width)``, and their log probabilities ``(2 N,)``."""
    th.manual_seed(0)
    head = head_of(SPACES[kind], th.zeros(2))
    head.n_together = n_together
    actions, log_prob = head.sample(pair.repeat(N, 1))
    return head, actions.view(N, 2, 2), log_prob


@pytest.mark.parametrize("kind", SPACES)
def test_rows_of_one_mind_act_alike_when_drawn_together_and_else_do_not(kind: str) -> None:
    pair = th.linspace(-1.0, 1.0, WIDTHS[kind]).repeat(2, 1)
    _, together, _ = drawn(kind, pair, 2)
    _, apart, _ = drawn(kind, pair, 1)
    assert (together[:, 0] == together[:, 1]).all()
    assert (apart[:, 0] != apart[:, 1]).any(-1).float().mean() > 0.4
    assert len(together[:, 0].unique(dim=0)) > 1


@pytest.mark.parametrize("kind", SPACES)
def test_each_row_acts_by_its_own_probabilities(kind: str) -> None:
    """Means of what is drawn apart and together agree within four standard errors, whatever the other row's are."""
    pair = th.stack([th.linspace(-1.0, 1.0, WIDTHS[kind]), th.linspace(2.0, -1.0, WIDTHS[kind])])
    _, together, log_prob = drawn(kind, pair, 2)
    head, apart, _ = drawn(kind, pair, 1)
    for value in together.unique() if kind == "choices" else [None]:
        ours, theirs = ((one if value is None else one == value).float() for one in (together, apart))
        error = (theirs.var(0) * 2 / N).sqrt() + 1e-9
        assert ((ours.mean(0) - theirs.mean(0)).abs() < 4 * error + 1e-6).all()
    evaluated, _ = head.evaluate(pair.repeat(N, 1), together.view(2 * N, 2))
    assert th.allclose(log_prob, evaluated, atol=1e-5)


@pytest.mark.parametrize(("together", "n"), [(False, 1), (True, 2)])
def test_the_agents_of_an_env_explore_together_if_they_are_told_to(
    untracked_config: ExperimentConfig, together: bool, n: int
) -> None:
    config = replace(
        untracked_config,
        env=replace(untracked_config.env, balancers=BalancersConfig(n=2)),
        lower=replace(untracked_config.lower, explore_together=together),
    )
    learner = lower.build(config)
    assert isinstance(learner, SB3Learner)
    assert learner.agent.policy.head.n_together == n
    with th.no_grad():
        learner.agent.policy.action_net.weight.zero_()  # all are of one mind
    learner.learn(32)
    actions = learner.agent.rollout_buffer.actions
    assert (actions[:, 0::2] == actions[:, 1::2]).all() == together
