"""Gradients that are written down are those that torch records, and a learner may add terms to what torch records."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch as th
from numpy.testing import assert_allclose

from hierarchy.lower.fused_ppo import FusedRecurrentPPO
from hierarchy.lower.losses import Coefficients, Loss, derived, recorded
from hierarchy.nets.recurrent import FusedLstmPolicy
from hierarchy.nets.sequences import Evaluation, Minibatch
from tests.hierarchy.lower.test_recurrent_ppo import Recall, Wandering
from tests.hierarchy.nets.policies import ACTIONS, HIDDEN

N = 64


def drawn(seed: int) -> tuple[Evaluation, Minibatch]:
    """An evaluation with gradients, and the samples that it is of; ratios well inside and outside of any clip."""
    rng = np.random.default_rng(seed)
    values, log_prob, entropy = (th.from_numpy(rng.normal(size=N).astype(np.float32)).requires_grad_() for _ in range(3))
    old, advantages, returns = (rng.normal(size=N).astype(np.float32) for _ in range(3))
    nothing = th.zeros(N, 1)
    return Evaluation(values, log_prob, entropy), Minibatch(nothing, None, N, (), nothing, old, advantages, returns)


@pytest.mark.parametrize("normalise", [True, False])
@pytest.mark.parametrize("seed", range(5))
def test_both_have_the_same_gradients_and_figures(seed: int, normalise: bool) -> None:
    coefficients = Coefficients(clip_range=0.2, ent_coef=0.01, vf_coef=0.5, normalise_advantage=normalise)
    gradients, figures = [], []
    for loss_of in (derived, recorded):
        evaluation, minibatch = drawn(seed)
        loss = loss_of(evaluation, minibatch, coefficients)
        loss.backward()
        gradients.append([part.grad.numpy() for part in evaluation])
        figures.append(loss.figures)
    for ours, theirs in zip(*gradients, strict=True):
        assert_allclose(ours, theirs, atol=1e-6)
        assert (theirs != 0).any()
    assert_allclose(*figures, rtol=1e-5, atol=1e-6)
    assert 0.0 < figures[0].clip_fraction < 1.0


class Recorded(FusedRecurrentPPO):
    """The same learner over torch's own gradients."""

    def loss(self, evaluation: Evaluation, minibatch: Minibatch) -> Loss:
        return recorded(evaluation, minibatch, self.coefficients)


class Penalised(FusedRecurrentPPO):
    """With one more term: values are to be small."""

    def loss(self, evaluation: Evaluation, minibatch: Minibatch) -> Loss:
        return recorded(evaluation, minibatch, self.coefficients).plus(100.0 * evaluation.values.square().mean())


def agent_of(kind: type[FusedRecurrentPPO], env: Any, **settings: Any) -> FusedRecurrentPPO:
    arguments = {"n_steps": 16, "batch_size": 32, "n_epochs": 4, "seed": 0, "device": "cpu"} | settings
    return kind(FusedLstmPolicy, env, policy_kwargs={"net_arch": [HIDDEN], "lstm_hidden_size": HIDDEN}, **arguments)


@pytest.mark.parametrize("actions", ACTIONS)
def test_training_over_recorded_gradients_leaves_the_same_weights(actions: str) -> None:
    kinds = (FusedRecurrentPPO, Recorded)
    ours, theirs = (agent_of(kind, Wandering(4, ACTIONS[actions])).learn(128).policy.state_dict() for kind in kinds)
    for name, value in theirs.items():
        assert_allclose(ours[name].numpy(), value.numpy(), atol=1e-4, err_msg=name)


def test_a_term_that_is_added_is_trained_on_and_recorded() -> None:
    sizes = {}
    for kind in (FusedRecurrentPPO, Penalised):
        agent = agent_of(kind, Recall(8, 0), learning_rate=1e-2, vf_coef=0.0 if kind is Penalised else 0.5)
        agent.learn(8 * 16 * 8)
        sizes[kind] = float(np.abs(agent.rollout_buffer.values).mean())
    assert sizes[Penalised] < 0.2 * sizes[FusedRecurrentPPO], sizes
    minibatch = agent.rollout_buffer.minibatch(np.arange(16))
    with_term, without = (kind.loss(agent, agent.policy.evaluate(minibatch), minibatch) for kind in (Penalised, Recorded))
    assert with_term.figures.loss > without.figures.loss
