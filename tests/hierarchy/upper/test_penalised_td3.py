"""Without a penalty it is SB3's TD3, to the bit; with one an actor gets out of saturation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch as th
from stable_baselines3 import TD3

from hierarchy.upper.off_policy import schedule
from hierarchy.upper.penalised_td3 import PenalisedTD3
from hierarchy.upper.td3 import TD3Config
from tests.hierarchy.upper.bits import Bits

CONFIG = TD3Config(learning_starts=0, meta_steps=320)
OBSERVED = th.tensor([[-1.0, 1.0], [1.0, 1.0]])


def trained(kind: type[TD3], n_steps: int = CONFIG.meta_steps, bias: float = 0.0, **more: Any) -> Any:
    """An agent without a warm-up, whose actor may begin saturated."""
    agent = kind("MlpPolicy", Bits(), **schedule(CONFIG), **CONFIG.settings(3, 5), **more)
    with th.no_grad():
        agent.actor.mu[-2].bias += bias
    return agent.learn(n_steps)


def differing(one: Any, other: Any) -> list[str]:
    """Parameters that are not equal to the bit."""
    others = other.policy.state_dict()
    return [name for name, value in one.policy.state_dict().items() if not th.equal(value, others[name])]


def test_without_a_penalty_it_is_stock() -> None:
    stock, ours = trained(TD3), trained(PenalisedTD3)
    assert stock._n_updates == ours._n_updates == CONFIG.meta_steps
    assert differing(stock, ours) == []
    np.testing.assert_array_equal(stock.replay_buffer.actions, ours.replay_buffer.actions)


def test_a_penalty_makes_a_difference_to_what_acts() -> None:
    differ = differing(trained(PenalisedTD3), trained(PenalisedTD3, saturation_penalty=0.01))
    assert any(name.startswith("actor.") for name in differ)


def test_a_penalty_pulls_a_saturated_actor_in_and_nothing_else_does() -> None:
    agents = [trained(PenalisedTD3, 640, bias=20.0, saturation_penalty=penalty) for penalty in (0.0, 0.01)]
    with th.no_grad():
        left, pulled = (agent.before_tanh(OBSERVED).square().mean().sqrt().item() for agent in agents)
    assert left == pytest.approx(20.0, abs=0.5), "where tanh is flat the critic has no say"
    assert pulled < 0.9 * left


def test_the_loss_is_that_of_stock_and_the_penalty() -> None:
    agent = trained(PenalisedTD3, 16)
    with th.no_grad():
        before_tanh = agent.before_tanh(OBSERVED)
        assert th.equal(th.tanh(before_tanh), agent.actor(OBSERVED))
        without = agent._actor_loss(OBSERVED).item()
        assert without == pytest.approx(-agent.critic.q1_forward(OBSERVED, agent.actor(OBSERVED)).mean().item())
        agent.saturation_penalty = 0.5
        assert agent._actor_loss(OBSERVED).item() - without == pytest.approx(0.5 * before_tanh.square().mean().item())


def test_the_penalty_of_the_settings_reaches_the_agent() -> None:
    assert TD3Config(saturation_penalty=0.125).build(Bits(), 0).agent.saturation_penalty == 0.125
