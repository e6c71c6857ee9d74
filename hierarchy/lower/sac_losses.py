"""Losses of soft actor-critic, TorchRL's, over what is remembered of a step.

They know nothing of memory: vmap, by which they have two values at once, has no rule for a GRU. Of several choices each is
an agent with a value of its own, and all share the reward, since `DiscreteSACLoss` knows one choice.
"""

from __future__ import annotations

from typing import Any

import torch as th
from tensordict.nn import ProbabilisticTensorDictModule, ProbabilisticTensorDictSequential, TensorDictModule
from torch import nn
from torchrl.data import Bounded
from torchrl.modules import TanhNormal
from torchrl.objectives import DiscreteSACLoss, SACLoss

from hierarchy.nets.actor import RecurrentActor, Squashed

LEAST_SPREAD = 1e-3
"""Of numbers, before tanh."""
FIRST_ALPHA = 0.1
"""Weight of entropy at the start, in scaled rewards; it is learned."""
Losses = tuple[ProbabilisticTensorDictSequential, Any]
"""The policy, from "hidden" to "action", and a loss of it and of its values."""


def _by_choice(of_all: th.Tensor, size: int) -> th.Tensor:
    return of_all.view(*of_all.shape[:-1], -1, size)


class _Choices(nn.Module):
    """Logits of every choice ``(..., n_choices, size)``."""

    def __init__(self, actor: RecurrentActor, size: int) -> None:
        super().__init__()
        self.latent, self.logits, self._size = actor.latent, actor.action_net, size

    def forward(self, hidden: th.Tensor) -> th.Tensor:
        return _by_choice(self.logits(self.latent(hidden)), self._size)


class _Numbers(nn.Module):
    """Centre and spread of numbers before tanh, ``(..., n)`` each."""

    def __init__(self, actor: RecurrentActor) -> None:
        super().__init__()
        assert isinstance(actor.action_net, Squashed)
        self.latent, self.centre = actor.latent, actor.action_net.linear
        self.spread = nn.Linear(self.centre.in_features, self.centre.out_features)

    def forward(self, hidden: th.Tensor) -> tuple[th.Tensor, th.Tensor]:
        latent = self.latent(hidden)
        return self.centre(latent), nn.functional.softplus(self.spread(latent)) + LEAST_SPREAD


def _values(n_in: int, width: int, n_out: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(n_in, width), nn.Tanh(), nn.Linear(width, n_out))


class _OfChoices(nn.Module):
    """Values of the options of every choice ``(..., n_choices, size)``."""

    def __init__(self, width: int, sizes: list[int]) -> None:
        super().__init__()
        self.net, self._size = _values(width, width, sum(sizes)), sizes[0]

    def forward(self, hidden: th.Tensor) -> th.Tensor:
        return _by_choice(self.net(hidden), self._size)


class _OfNumbers(nn.Module):
    """Values of numbers ``(..., 1)``."""

    def __init__(self, width: int, n: int) -> None:
        super().__init__()
        self.net = _values(width + n, width, 1)

    def forward(self, hidden: th.Tensor, action: th.Tensor) -> th.Tensor:
        values: th.Tensor = self.net(th.cat([hidden, action], dim=-1))
        return values


def losses_of_choices(actor: RecurrentActor, entropy_share: float) -> Losses:
    """Of choices of equal sizes; the entropy aimed at is a share of the largest."""
    sizes = actor.form.action.sizes
    policy = ProbabilisticTensorDictSequential(
        TensorDictModule(_Choices(actor, sizes[0]), in_keys=["hidden"], out_keys=["logits"]),
        ProbabilisticTensorDictModule(["logits"], ["action"], distribution_class=th.distributions.Categorical),
    )
    loss = DiscreteSACLoss(
        policy,
        TensorDictModule(_OfChoices(actor.form.hidden_size, sizes), in_keys=["hidden"], out_keys=["action_value"]),
        action_space="categorical",
        num_actions=sizes[0],
        target_entropy_weight=entropy_share,
        alpha_init=FIRST_ALPHA,
        loss_function="l2",
    )
    return policy, loss


def losses_of_numbers(actor: RecurrentActor, entropy_share: float) -> Losses:
    """Of numbers within bounds; the entropy aimed at is minus that share of a nat for each."""
    action = actor.form.action
    low, high = th.tensor(action.low), th.tensor(action.high)
    bounds = {"low": low, "high": high}
    policy = ProbabilisticTensorDictSequential(
        TensorDictModule(_Numbers(actor), in_keys=["hidden"], out_keys=["loc", "scale"]),
        ProbabilisticTensorDictModule(
            ["loc", "scale"], ["action"], distribution_class=TanhNormal, distribution_kwargs=bounds
        ),
    )
    values = _OfNumbers(actor.form.hidden_size, len(low))
    loss = SACLoss(
        policy,
        TensorDictModule(values, in_keys=["hidden", "action"], out_keys=["state_action_value"]),
        action_spec=Bounded(low, high, (len(low),)),
        target_entropy=-entropy_share * len(low),
        alpha_init=FIRST_ALPHA,
        loss_function="l2",
    )
    return policy, loss
