"""The fused policy is the stock one: same outputs, same memory, same gradients, fewer calls of the LSTM."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch as th
from gymnasium import spaces
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sb3_contrib import RecurrentPPO
from sb3_contrib.common.recurrent.policies import RecurrentActorCriticPolicy
from sb3_contrib.common.recurrent.type_aliases import RNNStates

from envs.compose import BatchEnv
from hierarchy.recurrent import ContextGate, FusedLstmPolicy
from hierarchy.vec_env import BatchVecEnv

Pair = tuple[RecurrentActorCriticPolicy, FusedLstmPolicy]

TOLERANCE = 1e-5
N_FEATURES, HIDDEN = 5, 8
N_SEQUENCES, LENGTH = 3, 9
CRITICS: dict[str, dict[str, bool]] = {
    "own_lstm": {"shared_lstm": False, "enable_critic_lstm": True},
    "shared_lstm": {"shared_lstm": True, "enable_critic_lstm": False},
    "no_lstm": {"shared_lstm": False, "enable_critic_lstm": False},
}
ACTIONS: dict[str, spaces.Space[Any]] = {
    "levels": spaces.MultiDiscrete([4, 3]),
    "weights": spaces.Box(-1.0, 1.0, (2,), np.float32),
}
FIRST = np.zeros((N_SEQUENCES, LENGTH), bool)
FIRST[:, 0] = True
MIDDLE = np.zeros_like(FIRST)
MIDDLE[1, 4] = True
SEVERAL = np.zeros_like(FIRST)
SEVERAL[0, [0, 3, 7]] = SEVERAL[1, [3, 8]] = True
STARTS = {
    "none": np.zeros_like(FIRST),
    "first": FIRST,
    "first_of_one": FIRST & (np.arange(N_SEQUENCES) == 1)[:, None],
    "middle": MIDDLE,
    "several": SEVERAL,
    "every": np.ones_like(FIRST),
}


def pair(action_space: spaces.Space[Any], n_layers: int = 1, critic: str = "own_lstm") -> Pair:
    """The stock policy and the fused one with the same, large parameters."""
    box = spaces.Box(-5.0, 5.0, (N_FEATURES,), np.float32)
    arguments = {"net_arch": [HIDDEN], "lstm_hidden_size": HIDDEN, "n_lstm_layers": n_layers, **CRITICS[critic]}
    stock = RecurrentActorCriticPolicy(box, action_space, lambda _: 1e-3, **arguments)
    generator = th.Generator().manual_seed(n_layers)
    with th.no_grad():
        for parameter in stock.parameters():
            parameter.copy_(0.5 * th.randn(parameter.shape, generator=generator))
    fused = FusedLstmPolicy(box, action_space, lambda _: 1e-3, **arguments)
    fused.load_state_dict(stock.state_dict())
    return stock, fused


@pytest.fixture(params=ACTIONS)
def action_space(request: pytest.FixtureRequest) -> spaces.Space[Any]:
    return ACTIONS[request.param]


@pytest.fixture(params=[(1, "own_lstm"), (2, "own_lstm"), (1, "shared_lstm"), (2, "shared_lstm"), (1, "no_lstm")], ids=str)
def policies(request: pytest.FixtureRequest, action_space: spaces.Space[Any]) -> Pair:
    return pair(action_space, *request.param)


def memory(n_layers: int, n_sequences: int, rng: np.random.Generator) -> tuple[th.Tensor, th.Tensor]:
    shape = (n_layers, n_sequences, HIDDEN)
    return tuple(th.from_numpy(rng.normal(size=shape).astype(np.float32)) for _ in range(2))  # type: ignore[return-value]


def inputs(policy: RecurrentActorCriticPolicy, starts: np.ndarray, seed: int) -> tuple[Any, ...]:
    """Observations, actions, memory before them and episode starts of padded sequences, as PPO's buffer lays them out."""
    rng = np.random.default_rng(seed)
    n_sequences, length = starts.shape
    observations = rng.normal(size=(n_sequences, length, N_FEATURES)).astype(np.float32)
    padded = starts.copy()
    observations[-1, length - length // 3 :] = 0.0
    padded[-1, length - length // 3 :] = False
    n_layers = policy.lstm_actor.num_layers
    states = RNNStates(memory(n_layers, n_sequences, rng), memory(n_layers, n_sequences, rng))
    policy.action_space.seed(seed)
    actions = np.stack([policy.action_space.sample() for _ in range(n_sequences * length)])
    flat = th.from_numpy(observations.reshape(-1, N_FEATURES))
    return flat, th.from_numpy(actions), states, th.from_numpy(padded.reshape(-1).astype(np.float32))


def assert_equal(ours: th.Tensor | None, stock: th.Tensor | None) -> None:
    assert (ours is None) == (stock is None)
    if ours is not None:
        th.testing.assert_close(ours, stock, atol=TOLERANCE, rtol=TOLERANCE)


def gradients(policy: RecurrentActorCriticPolicy, arguments: tuple[Any, ...]) -> dict[str, th.Tensor | None]:
    """Of a loss of everything that `evaluate_actions` says."""
    policy.zero_grad()
    values, log_prob, entropy = policy.evaluate_actions(*arguments)
    (values.square().mean() - log_prob.mean() - 0.3 * entropy.mean()).backward()
    return {name: parameter.grad for name, parameter in policy.named_parameters()}


def parameters_of(distribution: Any) -> list[th.Tensor]:
    """What defines an action distribution: logits of every choice, or mean and standard deviation."""
    inner = distribution.distribution
    return [d.logits for d in inner] if isinstance(inner, list) else [inner.mean, inner.stddev]


@pytest.mark.parametrize("starts", STARTS.values(), ids=STARTS)
def test_values_log_probs_and_entropy_are_those_of_the_stock_policy(policies: Pair, starts: np.ndarray) -> None:
    stock, fused = policies
    arguments = inputs(stock, starts, 1)
    for ours, theirs in zip(fused.evaluate_actions(*arguments), stock.evaluate_actions(*arguments), strict=True):
        assert_equal(ours, theirs)


@pytest.mark.parametrize("starts", STARTS.values(), ids=STARTS)
def test_gradients_are_those_of_the_stock_policy(policies: Pair, starts: np.ndarray) -> None:
    stock, fused = policies
    arguments = inputs(stock, starts, 2)
    ours, theirs = gradients(fused, arguments), gradients(stock, arguments)
    assert ours.keys() == theirs.keys()
    for name in theirs:
        assert_equal(ours[name], theirs[name])


@pytest.mark.parametrize("starts", STARTS.values(), ids=STARTS)
def test_distribution_and_last_memory_are_those_of_the_stock_policy(policies: Pair, starts: np.ndarray) -> None:
    stock, fused = policies
    observations, _, states, flags = inputs(stock, starts, 3)
    (ours, our_memory), (theirs, their_memory) = (p.get_distribution(observations, states.pi, flags) for p in (fused, stock))
    for a, b in zip([*parameters_of(ours), *our_memory], [*parameters_of(theirs), *their_memory], strict=True):
        assert_equal(a, b)


@pytest.mark.parametrize("starts", STARTS.values(), ids=STARTS)
def test_predicted_values_are_those_of_the_stock_policy(policies: Pair, starts: np.ndarray) -> None:
    stock, fused = policies
    observations, _, states, flags = inputs(stock, starts, 4)
    memory_of_values = states.pi if stock.shared_lstm else states.vf
    arguments = (observations, memory_of_values, flags)
    assert_equal(fused.predict_values(*arguments), stock.predict_values(*arguments))


def test_rollout_of_several_envs_is_that_of_the_stock_policy(policies: Pair) -> None:
    stock, fused = policies
    rng = np.random.default_rng(5)
    starts = np.array([[1, 1, 1], [0, 0, 0], [0, 1, 0], [1, 0, 1], [0, 0, 0]], np.float32)
    ours = theirs = inputs(stock, np.ones((3, 1), bool), 5)[2]
    for flags in starts:
        observations = th.from_numpy(rng.normal(size=(3, N_FEATURES)).astype(np.float32))
        *our_outputs, ours = fused(observations, ours, th.from_numpy(flags), deterministic=True)
        *their_outputs, theirs = stock(observations, theirs, th.from_numpy(flags), deterministic=True)
        for a, b in zip([*our_outputs, *ours.pi, *ours.vf], [*their_outputs, *theirs.pi, *theirs.vf], strict=True):
            assert_equal(a, b)


@settings(max_examples=40)
@given(
    starts=st.tuples(st.integers(1, 4), st.integers(1, 12)).flatmap(lambda shape: arrays(np.bool_, shape)),
    n_layers=st.sampled_from([1, 2]),
    critic=st.sampled_from(list(CRITICS)),
    seed=st.integers(0, 1000),
)
def test_episodes_may_start_anywhere(starts: np.ndarray, n_layers: int, critic: str, seed: int) -> None:
    stock, fused = pair(ACTIONS["levels"], n_layers, critic)
    arguments = inputs(stock, starts, seed)
    for ours, theirs in zip(fused.evaluate_actions(*arguments), stock.evaluate_actions(*arguments), strict=True):
        assert_equal(ours, theirs)
    ours_by_name, theirs_by_name = gradients(fused, arguments), gradients(stock, arguments)
    for name in theirs_by_name:
        assert_equal(ours_by_name[name], theirs_by_name[name])


@pytest.mark.parametrize(("starts", "n_calls"), [("none", 1), ("first", 1), ("middle", 2), ("several", 4)])
def test_the_lstm_is_called_once_between_two_starts(starts: str, n_calls: int) -> None:
    _, fused = pair(ACTIONS["levels"])
    calls: list[int] = []
    fused.lstm_actor.register_forward_hook(lambda *_: calls.append(1))
    fused.evaluate_actions(*inputs(fused, STARTS[starts], 6))
    assert len(calls) == n_calls


def learned(policy: type[RecurrentActorCriticPolicy], batch: BatchEnv, n_steps: int) -> dict[str, th.Tensor]:
    """The parameters after some steps of PPO, all from one seed."""
    agent = RecurrentPPO(
        policy,
        BatchVecEnv(batch),
        n_steps=16,
        batch_size=8,
        n_epochs=2,
        policy_kwargs={"net_arch": [HIDDEN], "lstm_hidden_size": HIDDEN},
        seed=0,
        device="cpu",
    )
    if n_steps:
        agent.learn(n_steps)
    return {name: value.clone() for name, value in agent.policy.state_dict().items()}


def test_ppo_learns_the_same_with_either_policy(batch_of: Callable[..., BatchEnv]) -> None:
    fresh, stock = (learned(RecurrentActorCriticPolicy, batch_of(n_steps=7), n_steps) for n_steps in (0, 64))
    fused = learned(FusedLstmPolicy, batch_of(n_steps=7), 64)
    for name, value in stock.items():
        th.testing.assert_close(fused[name], value, atol=1e-4, rtol=1e-4)
        assert (value != fresh[name]).any()


def test_the_context_gates_what_is_made_of_an_observation() -> None:
    gate = ContextGate(spaces.Box(-5.0, 5.0, (N_FEATURES,), np.float32), n_terms=3, features_dim=HIDDEN)
    observations = th.randn(4, N_FEATURES, generator=th.Generator().manual_seed(0))
    weights = {name: value.numpy() for name, value in gate.state_dict().items()}
    of_all, of_context = observations.numpy(), observations[:, -3:].numpy()
    features = np.tanh(of_all @ weights["_features.weight"].T + weights["_features.bias"])
    factor = 1.0 + of_context @ weights["_gate.weight"].T + weights["_gate.bias"]
    np.testing.assert_allclose(gate(observations).detach().numpy(), features * factor, atol=1e-5)
    assert gate.features_dim == HIDDEN
