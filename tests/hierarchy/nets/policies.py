"""The stock recurrent policy and the fused one, side by side."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch as th
from gymnasium import spaces
from sb3_contrib.common.recurrent.policies import RecurrentActorCriticPolicy

from hierarchy.nets.context_gate import ContextGate
from hierarchy.nets.recurrent import FusedLstmPolicy

Pair = tuple[RecurrentActorCriticPolicy, FusedLstmPolicy]

N_FEATURES, N_TERMS, HIDDEN = 5, 2, 8
ACTIONS: dict[str, spaces.Space[Any]] = {
    "levels": spaces.MultiDiscrete([3, 3]),
    "unequal_levels": spaces.MultiDiscrete([4, 3]),
    "one_level": spaces.Discrete(4),
    "weights": spaces.Box(-1.0, 1.0, (2,), np.float32),
}
TOLERANCE = 1e-5


def observation_space() -> spaces.Box:
    return spaces.Box(-5.0, 5.0, (N_FEATURES,), np.float32)


def pair(action_space: spaces.Space[Any]) -> Pair:
    """Both with the same, large parameters."""
    encoder = {"n_terms": N_TERMS, "features_dim": HIDDEN}
    arguments: dict[str, Any] = {"net_arch": [HIDDEN], "lstm_hidden_size": HIDDEN}
    arguments |= {"features_extractor_class": ContextGate, "features_extractor_kwargs": encoder}
    stock = RecurrentActorCriticPolicy(observation_space(), action_space, lambda _: 1e-3, **arguments)
    generator = th.Generator().manual_seed(0)
    with th.no_grad():
        for parameter in stock.parameters():
            parameter.copy_(0.5 * th.randn(parameter.shape, generator=generator))
    fused = FusedLstmPolicy(observation_space(), action_space, lambda _: 1e-3, **arguments)
    fused.load_state_dict(stock.state_dict())
    return stock, fused


def assert_close(ours: th.Tensor, stock: th.Tensor, tolerance: float = TOLERANCE) -> None:
    th.testing.assert_close(ours, stock, atol=tolerance, rtol=tolerance)
