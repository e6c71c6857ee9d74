"""What is still to come of every cost, estimated beside a policy and apart from it."""

from __future__ import annotations

import numpy as np
import torch as th
from gymnasium import spaces
from torch import nn

from envs.core.arrays import FloatArray32
from envs.core.state import Tree
from hierarchy.nets.context_gate import ContextGate
from hierarchy.nets.optimisers import like, plain

BATCH_SIZE = 512


class CostCritics(nn.Module):
    """A value for every constraint, from what the policy's critic remembers and what is observed.

    They take memory as it is: no gradient reaches the policy, whose updates stay those of its own loss.

    Parameters
    ----------
    n_remembered
        Width of what is remembered.
    n_observed
        Length of an observation, the context at its end.
    n_terms
        Length of the context.
    width
        Of the layers.
    n_costs
        Constraints.
    """

    def __init__(self, n_remembered: int, n_observed: int, n_terms: int, width: int, n_costs: int) -> None:
        super().__init__()
        inputs = spaces.Box(-np.inf, np.inf, (n_remembered + n_observed,), np.float32)
        self.net = nn.Sequential(
            ContextGate(inputs, n_terms, width), nn.Linear(width, width), nn.Tanh(), nn.Linear(width, n_costs)
        )
        self._optimiser = th.optim.Adam(self.parameters(), eps=1e-5, fused=True)

    @th.no_grad()
    def values(self, remembered: th.Tensor, observed: th.Tensor) -> FloatArray32:
        """``(n, n_costs)`` for what is remembered ``(n, n_remembered)`` and observed ``(n, n_observed)``."""
        values: FloatArray32 = self.net(th.cat([remembered, observed], dim=1)).numpy()
        return values

    def fit(
        self, remembered: th.Tensor, observed: th.Tensor, returns: FloatArray32, n_epochs: int, learning_rate: float
    ) -> None:
        """Move values of ``n`` samples towards ``returns (n, n_costs)``."""
        self._optimiser.param_groups[0]["lr"] = learning_rate
        inputs, aims = th.cat([remembered, observed], dim=1), th.from_numpy(returns)
        for _ in range(n_epochs):
            for chosen in th.split(th.randperm(len(inputs)), BATCH_SIZE):
                loss = nn.functional.mse_loss(self.net(inputs[chosen]), aims[chosen])
                self._optimiser.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                self._optimiser.step()

    def get_state(self) -> Tree:
        """Parameters, and what the optimiser has gathered."""
        return {"net": plain(self.net.state_dict()), "optimiser": plain(self._optimiser.state_dict())}

    def set_state(self, state: Tree) -> None:
        """Go on from a state."""
        self.net.load_state_dict(like(self.net.state_dict(), state["net"]))
        self._optimiser.load_state_dict(like(self._optimiser.state_dict(), state["optimiser"]))
