"""Networks of a team: memory, parameters that are shared or not, scales, and what an agent's value has a slope in."""

from __future__ import annotations

import numpy as np
import pytest
import torch as th
from numpy.testing import assert_allclose, assert_array_equal
from torch import nn

from hierarchy.team.distributions import Factored
from hierarchy.team.forms import ActionForm, TeamForm, joint_index
from hierarchy.team.nets import AgentGRU, AgentNetwork, Standard
from hierarchy.team.policy_gradients import as_each_sees
from hierarchy.team.replay import Replay
from hierarchy.team.stepping import Moments, Transition
from hierarchy.team.windows import moved_on

N_AGENTS, N_FEATURES, HIDDEN = 3, 4, 5


def windows(n: int = 2, steps: int = 6) -> th.Tensor:
    there = th.ones(n, N_AGENTS, steps, 1)
    return th.cat([th.randn(n, N_AGENTS, steps, N_FEATURES, generator=th.Generator().manual_seed(0)), there], -1)


def stock_gru(memory: AgentGRU, index: int) -> nn.GRU:
    """torch's, with the parameters of one agent; its gates stand in the same order."""
    gru = nn.GRU(N_FEATURES, HIDDEN, batch_first=True)
    with th.no_grad():
        gru.weight_ih_l0.copy_(memory.into[index].T)
        gru.weight_hh_l0.copy_(memory.back[index].T)
        gru.bias_ih_l0.copy_(memory.bias_into[index, 0])
        gru.bias_hh_l0.copy_(memory.bias_back[index, 0])
    return gru


@pytest.mark.parametrize("n_sets", [1, N_AGENTS])
def test_a_memory_is_that_of_torch(n_sets: int) -> None:
    memory, window = AgentGRU(N_FEATURES, HIDDEN, n_sets), windows()
    found = memory(window)
    for agent in range(N_AGENTS):
        _, expected = stock_gru(memory, min(agent, n_sets - 1))(window[:, agent, :, :-1])
        assert_allclose(found[:, agent].detach(), expected[0].detach(), atol=1e-6)


def test_what_was_before_an_episode_is_not_remembered() -> None:
    memory, window = AgentGRU(N_FEATURES, HIDDEN, 1), windows()
    window[:, :, :2, -1] = 0.0
    assert_array_equal(memory(window).detach(), memory(window[:, :, 2:]).detach())


def form(**changes: object) -> TeamForm:
    given = {
        "action": ActionForm("multi_discrete", [2, 3]),
        "n_agents": N_AGENTS,
        "n_features": N_FEATURES,
        "hidden_size": HIDDEN,
    }
    return TeamForm(**(given | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize("memory", ["none", "gru"])
@pytest.mark.parametrize("shares", [True, False])
def test_agents_learn_for_themselves_unless_they_share(memory: str, shares: bool) -> None:
    """The first one's loss moves what another one does where parameters are shared, and only there."""
    network = AgentNetwork(form(memory=memory, memory_steps=6, shares_parameters=shares), 2)
    before = network(windows()).detach()
    optimiser = th.optim.SGD(network.parameters(), 0.1)
    network(windows())[:, 0].sum().backward()
    optimiser.step()
    after = network(windows()).detach()
    assert (before[:, 0] != after[:, 0]).any()
    assert (before[:, 1:] != after[:, 1:]).any() == shares


def test_agents_that_share_know_who_they_are() -> None:
    network = AgentNetwork(form(), 2)
    alike = windows()[:, :1].expand(-1, N_AGENTS, -1, -1)
    found = network(alike).detach()
    assert (found[:, 0] != found[:, 1]).all()


def test_others_actions_have_no_slope() -> None:
    """Paid for the sum of all actions each, an agent climbs its own share of what it is paid, not that of all."""
    action = th.rand(2, N_AGENTS, 2, requires_grad=True)
    seen = as_each_sees(action)
    assert_array_equal(seen.detach(), action.detach().flatten(1)[:, None].expand(2, N_AGENTS, -1))
    (weight,) = th.autograd.grad((seen.sum(-1) * th.tensor([1.0, 10.0, 100.0])).sum(), action)
    assert_array_equal(weight[0], [[1.0, 1.0], [10.0, 10.0], [100.0, 100.0]])


def test_choices_of_branches_are_independent() -> None:
    logits = th.randn(4, N_AGENTS, 5, generator=th.Generator().manual_seed(0))
    ours = Factored(logits, [2, 3])
    parts = [th.distributions.Categorical(logits=one) for one in th.split(logits, [2, 3], -1)]
    value = th.stack([part.sample() for part in parts], -1)
    expected = sum(part.log_prob(one) for part, one in zip(parts, value.unbind(-1), strict=True))
    assert_allclose(ours.log_prob(value), expected, rtol=1e-5)
    assert_allclose(ours.entropy(), sum(part.entropy() for part in parts), rtol=1e-5)
    assert_array_equal(ours.mode, th.stack([part.probs.argmax(-1) for part in parts], -1))


def test_choices_are_drawn_as_often_as_they_are_likely() -> None:
    """Of 4,000 evenly spread numbers each choice gets its share up to one of them; even the last number draws one."""
    policy = Factored(th.log(th.tensor([0.1, 0.9, 0.3, 0.5, 0.2])).expand(4000, 5), [2, 3])
    even = (th.arange(4000) + 0.5) / 4000
    drawn = policy.drawn(th.stack([even, even], -1))
    for branch, shares in enumerate(([0.1, 0.9], [0.3, 0.5, 0.2])):
        counts = drawn[:, branch].bincount(minlength=len(shares))
        assert_allclose(counts, 4000 * np.array(shares), atol=1.5)
    assert (policy.drawn(th.full((4000, 2), 1.0 - 1e-9)) == th.tensor([1, 2])).all()


def test_joint_actions_are_numbered_as_the_network_numbers_them() -> None:
    from hierarchy.team.acting import TeamModule

    module = TeamModule(form(is_joint=True))
    every = np.stack(np.meshgrid(*[np.arange(n) for n in [2, 3] * N_AGENTS], indexing="ij"), -1).reshape(-1, N_AGENTS, 2)
    numbers = joint_index(every, module.form.action)
    assert_array_equal(np.sort(numbers), np.arange(6**N_AGENTS))
    assert_array_equal(module.decided(th.from_numpy(np.eye(6**N_AGENTS)[numbers])), every)


def test_scales_are_those_of_what_was_observed() -> None:
    seen = np.random.default_rng(0).normal([1.0, -5.0, 2.0], [1.0, 20.0, 0.0], (400, 3))
    moments = Moments(3)
    for part in np.split(seen, 4):
        moments.add(part)
    assert_allclose(moments.mean, seen.mean(0))
    assert_allclose(moments.std, [*seen.std(0)[:2], 1.0])
    standard = Standard(3)
    standard.mean.copy_(th.from_numpy(moments.mean))
    standard.std.copy_(th.from_numpy(moments.std))
    scaled = standard(th.from_numpy(seen).float()).numpy()
    assert_allclose(scaled[:, :2].mean(0), 0.0, atol=1e-5)
    assert_allclose(scaled[:, :2].std(0), 1.0, rtol=1e-5)


def test_windows_hold_the_newest_steps_of_an_episode() -> None:
    window = np.zeros((2, 1, 3, 2), np.float32)
    for at in range(1, 5):
        observation = np.full((2, 1, 1), at, np.float32)
        window = moved_on(window, observation, np.array([at == 1, at in (1, 4)]))
    assert_array_equal(window[0, 0], [[2, 1], [3, 1], [4, 1]])
    assert_array_equal(window[1, 0], [[0, 0], [0, 0], [4, 1]])


def test_the_newest_transitions_are_kept() -> None:
    replay = Replay(5)
    for at in range(4):
        ones = np.full((2, 1), at, np.float32)
        flags = np.zeros(2, bool)
        replay.add(Transition(ones, ones, ones, ones, ones, ones, flags, flags))
    assert len(replay) == 5
    drawn = replay.draw(400, np.random.default_rng(0))
    assert set(drawn.reward[:, 0]) == {1.0, 2.0, 3.0}


def test_numbers_reach_their_bounds() -> None:
    action = ActionForm("box", [], [-2.0, 0.0], [2.0, 50.0])
    found = action.for_env(np.array([[[-1.0, 1.0]], [[0.0, 0.0]], [[-3.0, 0.5]]]))
    assert_array_equal(found[:, 0], [[-2.0, 50.0], [0.0, 25.0], [-2.0, 37.5]])
