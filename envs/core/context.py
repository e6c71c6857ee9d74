"""Contexts: the weights of the reward terms, on the simplex."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from envs.core.arrays import Array, FloatArray
from envs.core.validation import SettingError, check, setting

SUM_TOLERANCE = 1e-5
"""How far from 1 the weights of a context may sum: networks work in float32."""


@dataclass(frozen=True)
class ContextDistribution:
    """What contexts are drawn from: all of the simplex, its corners and edges more often than by chance."""

    alpha: float = setting(1.0, gt=0)
    """concentration of the Dirichlet; 1 is uniform over the simplex"""
    corner_share: float = setting(0.4, ge=0, le=1)
    """share of contexts at a corner or on an edge, half each"""

    def __post_init__(self) -> None:
        check(self)

    def draw(self, n_terms: int, key: int) -> FloatArray:
        """One context ``(n_terms,)`` on the simplex, made from 64 random bits."""
        rng = np.random.default_rng(key)
        if rng.random() >= self.corner_share or n_terms == 1:
            return rng.dirichlet(np.full(n_terms, self.alpha))
        context = np.zeros(n_terms)
        if rng.random() < 0.5:
            context[rng.integers(n_terms)] = 1.0
        else:
            context[rng.choice(n_terms, 2, replace=False)] = rng.dirichlet([self.alpha, self.alpha])
        return context


@dataclass(frozen=True)
class ContextSampling(ContextDistribution):
    """Contexts that an agent meets in training: drawn per episode and changed inside it."""

    switch_probability: float = setting(0.005, ge=0, le=1)
    """probability of a new context at every action"""
    fixed: list[float] = setting(default_factory=list, ge=0)
    """one context all the time, in place of those that are drawn: weights of the terms, which sum to 1"""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.fixed and abs(sum(self.fixed) - 1.0) > SUM_TOLERANCE:
            raise SettingError("fixed", "weights that sum to 1, or none", self.fixed)


def check_context(context: Array, n_envs: int, term_names: Sequence[str]) -> FloatArray:
    """``context`` as ``(n_envs, n_terms)``, one row for all envs or one each.

    Raises
    ------
    ValueError
        Wrong length, a negative weight, or weights that do not sum to 1.
    """
    array = np.asarray(context, np.float64)
    if array.shape not in ((len(term_names),), (n_envs, len(term_names))):
        names = ", ".join(term_names)
        raise ValueError(f"context must have {len(term_names)} weights ({names}), got shape {array.shape}")
    if (array < 0).any() or not (np.abs(array.sum(-1) - 1.0) <= SUM_TOLERANCE).all():
        raise ValueError(f"context must be weights >= 0 that sum to 1, got {array.tolist()}")
    return np.broadcast_to(array, (n_envs, len(term_names))).copy()


def of_env(contexts: FloatArray) -> FloatArray:
    """Contexts ``(n_envs, n_terms)`` as they are; the mean of an env's where there is one for each agent."""
    mean: FloatArray = contexts if contexts.ndim == 2 else contexts.mean(1)
    return mean


def contexts_of_agents(context: Array, n_envs: int, n_agents: int, term_names: Sequence[str]) -> FloatArray:
    """``context`` as ``(n_envs, n_agents, n_terms)``: what :func:`check_context` takes, or one for every agent.

    Raises
    ------
    ValueError
        As there.
    """
    if np.ndim(context) < 3:
        return check_context(context, n_envs, term_names)[:, None].repeat(n_agents, axis=1)
    if context.shape[:2] != (n_envs, n_agents):
        raise ValueError(f"context must be of {n_envs} envs with {n_agents} agents, got shape {context.shape}")
    return check_context(context.reshape(-1, context.shape[-1]), n_envs * n_agents, term_names).reshape(context.shape)
