"""Action distributions from the output of a policy's last layer, without an object per step.

The same distributions as Stable-Baselines3's for the action spaces of worlds, with its parameters: logits of every choice,
or a mean beside the policy's `log_std`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable
from typing import Any, Protocol

import torch as th
from gymnasium import spaces

from envs.core.arrays import Array

HALF_LOG_2PI = 0.5 * math.log(2.0 * math.pi)


class Head(Protocol):
    """A distribution over actions. `parameters` are ``(n, n_parameters)``, actions ``(n, n_choices)``.

    Attributes
    ----------
    n_together
        Rows, one after another, that are drawn with the same random numbers: each by its own probabilities all the same, but
        rows whose parameters are equal act alike.
    """

    n_together: int

    def sample(self, parameters: th.Tensor) -> tuple[th.Tensor, th.Tensor]:
        """Actions, and their log probabilities ``(n,)``."""

    def evaluate(self, parameters: th.Tensor, actions: th.Tensor) -> tuple[th.Tensor, th.Tensor]:
        """Log probabilities of actions, and entropies, ``(n,)`` each."""

    def mode(self, parameters: th.Tensor) -> th.Tensor:
        """The likeliest actions that the space allows, in its own shape."""

    def preferring(self, action: Array, logit: float) -> th.Tensor:
        """Parameters ``(n_parameters,)`` that prefer an action ``(n_choices,)``, by ``logit`` where there are logits."""


def _for_all(drawn: th.Tensor, n_together: int) -> th.Tensor:
    """Draws ``(n / n_together, ...)`` for every row ``(n, ...)``."""
    return drawn if n_together == 1 else drawn.repeat_interleave(n_together, dim=0)


class Categorical:
    """A choice each of ``sizes``; runs of equal sizes are handled in one call. A ``scalar`` action is its only choice."""

    n_together = 1

    def __init__(self, sizes: Iterable[int], scalar: bool = False) -> None:
        self._scalar = scalar
        self._runs = [(len(list(run)), size) for size, run in itertools.groupby(sizes)]
        self._widths = [n * size for n, size in self._runs]
        self._counts = [n for n, _ in self._runs]

    def _logits(self, parameters: th.Tensor) -> list[th.Tensor]:
        """Per run ``(n, n_choices, size)``."""
        parts = th.split(parameters, self._widths, dim=1)
        return [part.view(-1, *run) for part, run in zip(parts, self._runs, strict=True)]

    def sample(self, parameters: th.Tensor) -> tuple[th.Tensor, th.Tensor]:
        """By the Gumbel trick: the largest of logit minus the logarithm of an exponential draw."""
        actions, log_prob = [], th.zeros(len(parameters))
        for logits in self._logits(parameters):
            drawn = th.empty_like(logits[:: self.n_together]).exponential_().log_()
            chosen = (logits - _for_all(drawn, self.n_together)).argmax(-1, keepdim=True)
            log_prob += logits.log_softmax(-1).gather(-1, chosen).sum((1, 2))
            actions.append(chosen[..., 0])
        return th.cat(actions, dim=1), log_prob

    def evaluate(self, parameters: th.Tensor, actions: th.Tensor) -> tuple[th.Tensor, th.Tensor]:
        log_prob, entropy = [], []
        for logits, taken in zip(self._logits(parameters), th.split(actions, self._counts, dim=1), strict=True):
            _, n_choices, size = logits.shape
            log_p = (
                logits.reshape(-1, size).t().log_softmax(0)
            )  # a softmax over few columns is slow, over few rows it is not
            log_prob.append(log_p.gather(0, taken.reshape(1, -1)).view(-1, n_choices).sum(1))
            entropy.append(-(log_p.exp() * log_p).sum(0).view(-1, n_choices).sum(1))
        return th.stack(log_prob).sum(0), th.stack(entropy).sum(0)

    def mode(self, parameters: th.Tensor) -> th.Tensor:
        likeliest = th.cat([logits.argmax(-1) for logits in self._logits(parameters)], dim=1)
        return likeliest[:, 0] if self._scalar else likeliest

    def preferring(self, action: Array, logit: float) -> th.Tensor:
        parameters = th.zeros(1, sum(self._widths))
        chosen = th.split(th.as_tensor(action, dtype=th.int64).reshape(-1), self._counts)
        for logits, index in zip(self._logits(parameters), chosen, strict=True):
            logits[0].scatter_(1, index[:, None], logit)
        return parameters[0]


class Gaussian:
    """Independent normals around the parameters; `log_std` ``(n_choices,)`` is learned beside them."""

    n_together = 1

    def __init__(self, log_std: th.Tensor, low: Array, high: Array) -> None:
        self._log_std = log_std
        self._low, self._high = th.as_tensor(low, device="cpu"), th.as_tensor(high, device="cpu")

    def _log_prob(self, parameters: th.Tensor, actions: th.Tensor) -> th.Tensor:
        z = (actions - parameters) / self._log_std.exp()
        return -(0.5 * z * z + self._log_std + HALF_LOG_2PI).sum(-1)

    def sample(self, parameters: th.Tensor) -> tuple[th.Tensor, th.Tensor]:
        drawn = th.randn_like(parameters[:: self.n_together])
        actions = parameters + self._log_std.exp() * _for_all(drawn, self.n_together)
        return actions, self._log_prob(parameters, actions)

    def evaluate(self, parameters: th.Tensor, actions: th.Tensor) -> tuple[th.Tensor, th.Tensor]:
        entropy = (0.5 + HALF_LOG_2PI + self._log_std).sum()
        return self._log_prob(parameters, actions), entropy.expand(len(parameters))

    def mode(self, parameters: th.Tensor) -> th.Tensor:
        return parameters.clamp(self._low, self._high)

    def preferring(self, action: Array, logit: float) -> th.Tensor:
        return th.as_tensor(action, dtype=th.float32)


def head_of(action_space: spaces.Space[Any], log_std: th.Tensor | None = None) -> Head:
    """The distribution that belongs to an action space; without ``log_std`` for who asks for its mode alone.

    Raises
    ------
    ValueError
        Another space than `Discrete`, `MultiDiscrete` or `Box`.
    """
    if isinstance(action_space, spaces.Discrete):
        return Categorical([int(action_space.n)], scalar=True)
    if isinstance(action_space, spaces.MultiDiscrete):
        return Categorical(action_space.nvec.tolist())
    if isinstance(action_space, spaces.Box):
        spread = th.zeros(action_space.shape, device="cpu") if log_std is None else log_std
        return Gaussian(spread, action_space.low, action_space.high)
    raise ValueError(f"action_space must be Discrete, MultiDiscrete or Box, got {type(action_space).__name__}")
