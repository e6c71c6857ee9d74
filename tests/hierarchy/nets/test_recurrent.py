"""The fused policy is the stock one: same values, same memory, same probabilities, same gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch as th
from gymnasium import spaces
from sb3_contrib.common.recurrent.type_aliases import RNNStates
from scipy import stats

from hierarchy.nets.context_gate import ContextGate
from hierarchy.nets.heads import head_of
from hierarchy.nets.memory import Memory
from hierarchy.nets.recurrent import FusedLstmPolicy
from tests.hierarchy.nets.policies import ACTIONS, HIDDEN, N_FEATURES, Pair, assert_close, observation_space, pair

N_ENVS = 3
STARTS = np.array([[1, 1, 1], [0, 0, 0], [0, 1, 0], [1, 0, 1], [0, 0, 0]], np.float32)


@pytest.fixture(params=ACTIONS)
def policies(request: pytest.FixtureRequest) -> Pair:
    return pair(ACTIONS[request.param])


def stock_states(memory: Memory) -> RNNStates:
    """A memory as the stock policy wants it, with a leading axis of layers."""
    actor_hidden, actor_cell, critic_hidden, critic_cell = (part[None] for part in memory)
    return RNNStates((actor_hidden, actor_cell), (critic_hidden, critic_cell))


def observed(rng: np.random.Generator, n: int = N_ENVS) -> th.Tensor:
    return th.from_numpy(np.abs(rng.normal(size=(n, N_FEATURES))).astype(np.float32))  # weights are no less than 0


@th.no_grad()
def test_every_step_of_a_rollout_is_that_of_the_stock_policy(policies: Pair) -> None:
    stock, fused = policies
    rng, memory = np.random.default_rng(0), fused.initial_memory(N_ENVS)
    for flags in STARTS:
        observations, starts = observed(rng), th.from_numpy(flags)
        states = stock_states(memory)
        _, values, _, after = stock(observations, states, starts)
        distribution, _ = stock.get_distribution(observations, states.pi, starts)
        assert_close(fused.values(observations, memory, starts), stock.predict_values(observations, states.vf, starts)[:, 0])
        actions, log_prob, our_values, memory = fused.step(observations, memory, starts)
        assert_close(our_values, values[:, 0])
        assert_close(log_prob, distribution.log_prob(actions.reshape(N_ENVS, *fused.action_space.shape)))
        for ours, theirs in zip(memory, (*after.pi, *after.vf), strict=True):
            assert_close(ours, theirs[0])


@th.no_grad()
def test_the_actor_alone_remembers_and_prefers_as_the_stock_policy(policies: Pair) -> None:
    stock, fused = policies
    rng, memory = np.random.default_rng(1), fused.acting.initial_memory(N_ENVS)
    for flags in STARTS:
        observations, starts = observed(rng), th.from_numpy(flags)
        states = (memory[0][None], memory[1][None])
        theirs, after = stock._predict(observations, states, starts, deterministic=True)
        parameters, memory = fused.acting.step(observations, memory, 1.0 - starts[:, None])
        low, high = (-1.0, 1.0) if isinstance(fused.action_space, spaces.Box) else (None, None)
        assert_close(fused.head.mode(parameters), theirs if low is None else theirs.clamp(low, high))
        assert_close(memory[0], after[0][0])


@pytest.mark.parametrize("n_envs", [1, 7])
def test_a_step_is_the_same_in_any_batch_but_for_rounding(policies: Pair, n_envs: int) -> None:
    _, fused = policies
    observations, starts = observed(np.random.default_rng(2), n_envs), th.zeros(n_envs)
    together = fused.values(observations, fused.initial_memory(n_envs), starts)
    one = fused.initial_memory(1)
    alone = [fused.values(observations[i : i + 1], one, starts[:1]) for i in range(n_envs)]
    assert_close(together, th.cat(alone))


@pytest.mark.parametrize("sizes", [[4, 4, 4], [5, 2], [2, 2, 3, 3, 2]], ids=str)
@th.no_grad()
def test_categorical_draws_are_as_probable_as_their_logits_say(sizes: list[int]) -> None:
    head = head_of(spaces.MultiDiscrete(sizes), None)
    logits = th.randn(1, sum(sizes), generator=th.Generator().manual_seed(0))
    n = 20_000
    th.manual_seed(1)
    actions, log_prob = head.sample(logits.expand(n, -1))
    expected = np.zeros(n)
    for column, part in enumerate(th.split(logits[0], sizes)):
        p = part.softmax(0).numpy().astype(np.float64)
        seen = np.bincount(actions[:, column].numpy(), minlength=len(p))
        assert stats.chisquare(seen, n * p / p.sum()).pvalue > 1e-4
        expected += np.log(p)[actions[:, column].numpy()]
    np.testing.assert_allclose(log_prob.numpy(), expected, atol=1e-4)
    assert abs(np.corrcoef(actions[:, 0].numpy(), actions[:, 1].numpy())[0, 1]) < 0.05


@th.no_grad()
def test_gaussian_draws_have_the_mean_and_spread_they_are_given() -> None:
    head = head_of(spaces.Box(-1.0, 1.0, (2,), np.float32), th.tensor([-1.0, 0.5]))
    th.manual_seed(0)
    actions, _ = head.sample(th.tensor([[0.3, -2.0]]).expand(20_000, -1))
    assert stats.kstest(actions[:, 0].numpy(), stats.norm(0.3, np.exp(-1.0)).cdf).pvalue > 1e-4
    assert stats.kstest(actions[:, 1].numpy(), stats.norm(-2.0, np.exp(0.5)).cdf).pvalue > 1e-4


def test_other_action_spaces_are_refused() -> None:
    with pytest.raises(ValueError, match=r"action_space must be Discrete, MultiDiscrete or Box, got MultiBinary"):
        head_of(spaces.MultiBinary(3), None)


@pytest.mark.parametrize(
    "arguments",
    [
        {"n_lstm_layers": 2},
        {"shared_lstm": True, "enable_critic_lstm": False},
        {"enable_critic_lstm": False},
        {"share_features_extractor": False},
    ],
    ids=str,
)
def test_other_arrangements_of_networks_are_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="policy must have one layer"):
        FusedLstmPolicy(observation_space(), ACTIONS["levels"], lambda _: 1e-3, lstm_hidden_size=HIDDEN, **arguments)


def test_the_context_gates_what_is_made_of_an_observation() -> None:
    gate = ContextGate(spaces.Box(-5.0, 5.0, (N_FEATURES,), np.float32), n_terms=3, features_dim=HIDDEN)
    observations = th.randn(4, N_FEATURES, generator=th.Generator().manual_seed(0))
    observations[:, -3:] = th.tensor([[1.0, 0.0, 0.0], [0.0, 0.99, 0.01], [0.2, 0.3, 0.5], [0.0, 0.0, 1.0]])
    weights = {name: value.numpy() for name, value in gate.state_dict().items()}
    context = observations[:, -3:].numpy()
    logarithms = 1.0 - np.log(context + 0.01) / np.log(0.01)
    of_all, of_context = np.hstack([observations.numpy(), logarithms]), np.hstack([context, logarithms])
    features = np.tanh(of_all @ weights["_features.weight"].T + weights["_features.bias"])
    factor = 1.0 + of_context @ weights["_gate.weight"].T + weights["_gate.bias"]
    np.testing.assert_allclose(gate(observations).detach().numpy(), features * factor, atol=1e-5)
    assert gate.features_dim == HIDDEN


@pytest.mark.parametrize("sizes", [[4, 4], [4, 3], [2, 5, 5]], ids=str)
def test_a_head_start_is_that_of_the_preferred_level(sizes: list[int]) -> None:
    action, logit = np.array(sizes) - 1, 1.5
    head = head_of(spaces.MultiDiscrete(sizes), None)
    parameters = head.preferring(action, logit)
    assert head.mode(parameters[None]).tolist() == [action.tolist()]
    for part, level in zip(th.split(parameters, sizes), action, strict=True):
        odds = part.softmax(0) / part.softmax(0)[(level + 1) % len(part)]
        assert odds[level] == pytest.approx(np.exp(logit))
        assert th.equal(odds[np.arange(len(part)) != level], th.ones(len(part) - 1))


def test_without_levels_the_preferred_action_is_the_mean() -> None:
    head = head_of(spaces.Box(-1.0, 1.0, (2,), np.float32), th.zeros(2))
    assert head.mode(head.preferring(np.array([0.25, -0.5]), 9.0)[None]).tolist() == [[0.25, -0.5]]


@th.no_grad()
def test_a_policy_that_begins_near_an_action_prefers_it_in_every_state(policies: Pair) -> None:
    _, fused = policies
    fused.action_net.weight.mul_(1e-3)
    preferred = {spaces.Box: [0.5, -0.5], spaces.MultiDiscrete: [2, 0], spaces.Discrete: 2}
    action = np.array(preferred[type(fused.action_space)])
    fused.begin_near(action, 1.0)
    parameters, _ = fused.acting.step(
        observed(np.random.default_rng(3)), fused.acting.initial_memory(N_ENVS), th.ones(N_ENVS, 1)
    )
    np.testing.assert_allclose(fused.head.mode(parameters), np.stack([action] * N_ENVS), atol=0.02)
