"""Where an actor begins: at one mix, or at a mix for every state that examples are learned from."""

from __future__ import annotations

import numpy as np
import torch as th
from torch.nn import functional

from envs.core.arrays import FloatArray, FloatArray32
from envs.core.simplex import to_action
from hierarchy.upper.penalised_td3 import PenalisedTD3
from hierarchy.upper.warm_up import WarmedSAC

N_UPDATES = 1_000
BATCH_SIZE = 256
LEARNING_RATE = 1e-3


@th.no_grad()
def begin_at(agent: PenalisedTD3 | WarmedSAC, mix: FloatArray) -> None:
    """Have an actor set a mix ``(k,)`` in every state, for all agents of an env, until it learns better."""
    last = agent.actor.mu if isinstance(agent, WarmedSAC) else agent.actor.mu[-2]
    assert isinstance(last, th.nn.Linear)
    last.weight.zero_()
    last.bias.copy_(th.from_numpy(np.arctanh(np.tile(to_action(mix), agent.n_contexts)).astype(np.float32)))
    agent.keep_beginning()
    agent.begin_again()


def begin_like(agent: PenalisedTD3 | WarmedSAC, observations: FloatArray32, mixes: FloatArray) -> None:
    """Have an actor set mixes ``(n, k)`` for observations ``(n, n_features)``, by least squares, until it learns better."""
    generator = th.Generator().manual_seed(agent.seed or 0)
    actions = np.tile(to_action(mixes), (1, agent.n_contexts))
    observed, wanted = th.from_numpy(observations), th.from_numpy(actions.astype(np.float32))
    optimiser = th.optim.Adam(agent.actor.parameters(), LEARNING_RATE)
    for _ in range(N_UPDATES):
        at = th.randint(len(observed), (BATCH_SIZE,), generator=generator)
        loss = functional.mse_loss(th.tanh(agent.before_tanh(observed[at])), wanted[at])
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    agent.keep_beginning()
    agent.begin_again()
