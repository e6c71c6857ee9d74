"""Where an actor begins."""

from __future__ import annotations

import numpy as np
import torch as th

from envs.core.arrays import FloatArray
from envs.core.simplex import to_action
from hierarchy.upper.penalised_td3 import PenalisedTD3
from hierarchy.upper.warm_up import WarmedSAC


@th.no_grad()
def begin_at(agent: PenalisedTD3 | WarmedSAC, mix: FloatArray) -> None:
    """Have an actor set a mix ``(k,)`` in every state, until it learns better."""
    before_tanh = np.arctanh(to_action(mix)).astype(np.float32)
    last = agent.actor.mu if isinstance(agent, WarmedSAC) else agent.actor.mu[-2]
    assert isinstance(last, th.nn.Linear)
    last.weight.zero_()
    last.bias.copy_(th.from_numpy(before_tanh))
    agent.begins_at = mix.tolist()
    if isinstance(agent, PenalisedTD3):
        agent.actor_target.load_state_dict(agent.actor.state_dict())
        agent.anchor = before_tanh.tolist()
