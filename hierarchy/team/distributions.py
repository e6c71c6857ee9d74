"""A policy over choices: a product of categorical distributions, one for each branch of an action."""

from __future__ import annotations

from typing import ClassVar

import torch as th
from torch.distributions import Distribution


class Factored(Distribution):
    """Independent choices, which TorchRL has no distribution of.

    Parameters
    ----------
    logits
        ``(..., sum of sizes)``, unnormalised, branch after branch.
    sizes
        Choices in each branch.
    """

    arg_constraints: ClassVar[dict[str, th.distributions.constraints.Constraint]] = {}

    def __init__(self, logits: th.Tensor, sizes: list[int]) -> None:
        super().__init__(logits.shape[:-1], th.Size([len(sizes)]), validate_args=False)
        self._branches = [branch.log_softmax(-1) for branch in th.split(logits, sizes, -1)]

    def log_prob(self, value: th.Tensor) -> th.Tensor:
        """Of choices ``(..., n_branches)``."""
        chosen = [one.gather(-1, at[..., None]) for one, at in zip(self._branches, value.unbind(-1), strict=True)]
        return th.cat(chosen, -1).sum(-1)

    def entropy(self) -> th.Tensor:
        """Of all branches together, in nats."""
        return th.stack([-(one.exp() * one).sum(-1) for one in self._branches], -1).sum(-1)

    @property
    def mode(self) -> th.Tensor:
        """The likeliest choices."""
        return th.stack([one.argmax(-1) for one in self._branches], -1)

    def drawn(self, uniform: th.Tensor) -> th.Tensor:
        """Choices ``(..., n_branches)`` by uniform numbers in [0, 1) of the same shape."""
        points = uniform.unbind(-1)
        below = [(one.exp().cumsum(-1) <= at[..., None]).sum(-1) for one, at in zip(self._branches, points, strict=True)]
        return th.stack([at.clamp(max=one.shape[-1] - 1) for one, at in zip(self._branches, below, strict=True)], -1)
