"""Who sets the context: one class a kind, one entry in :data:`STRATEGIES` an arm."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from stable_baselines3 import TD3

from hierarchy.upper import agent as upper

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


class Seen(NamedTuple):
    """What there is to go by at the start of a window. Only oracles read the regimes."""

    meta_observation: NDArray[np.float32]  # (n_envs, n_features)
    regime: IntArray  # (n_envs,) now
    regime_of_window: IntArray  # (n_envs,) of the last completed window, -1 when there is none
    suggested: FloatArray | None  # (n_envs, k) by the world's hand-written rule, where it has one


class Strategy(Protocol):
    """Sets the contexts ``(n_envs, k)`` of the next window."""

    def __call__(self, seen: Seen) -> FloatArray: ...


@dataclass(frozen=True)
class Fixed:
    """Always the same mix, ``(k,)`` for all envs or ``(n_envs, k)``."""

    mix: FloatArray

    def __call__(self, seen: Seen) -> FloatArray:
        return np.broadcast_to(self.mix, (len(seen.regime), self.mix.shape[-1]))


class Random:
    """A new mix every window, uniform over the simplex."""

    def __init__(self, n_terms: int, seed: int) -> None:
        self._alpha = np.ones(n_terms)
        self._rng = np.random.default_rng(seed)

    def __call__(self, seen: Seen) -> FloatArray:
        return self._rng.dirichlet(self._alpha, len(seen.regime))


@dataclass(frozen=True)
class RegimeTable:
    """A mix per regime, told the regime now or, delayed, that of the last completed window; equal weights before it."""

    table: FloatArray  # (n_regimes, k) for all envs, or (n_envs, n_regimes, k)
    delayed: bool = False

    def __call__(self, seen: Seen) -> FloatArray:
        regime = seen.regime_of_window if self.delayed else seen.regime
        tables = np.broadcast_to(self.table, (len(regime), *self.table.shape[-2:]))
        mixes = tables[np.arange(len(regime)), regime]
        return np.where((regime >= 0)[:, None], mixes, 1.0 / tables.shape[-1])


class Rule:
    """What an engineer would write down: the world's own rule from measurements to mixes."""

    def __call__(self, seen: Seen) -> FloatArray:
        assert seen.suggested is not None
        return seen.suggested


@dataclass(frozen=True)
class Learned:
    """The trained upper agent."""

    agent: TD3

    def __call__(self, seen: Seen) -> FloatArray:
        return upper.contexts(self.agent, seen.meta_observation)


@dataclass(frozen=True)
class Sources:
    """What the arms are made from, found on selection seeds or by training."""

    n_terms: int
    seed: int
    fixed_best: FloatArray  # (k,)
    table: FloatArray | None  # (n_regimes, k), None in a world without regimes
    agent: TD3
    has_rule: bool = False
    tuned_static: FloatArray | None = None  # (k,)
    fixed_custom: FloatArray | None = None  # (k,)
    constant: IntArray | None = None  # the best constant action, not a mix


Mixes = dict[str, Any]
"""What was chosen on selection seeds, as plain values by the name of the source; None where there is nothing."""


def chosen_mixes(sources: Sources) -> Mixes:
    """The mixes that were chosen; the inverse of :func:`with_mixes`."""
    names = ("fixed_best", "table", "tuned_static", "constant")
    found = {name: getattr(sources, name) for name in names}
    return {name: None if mix is None else mix.tolist() for name, mix in found.items()}


def with_mixes(sources: Sources, mixes: Mixes) -> Sources:
    """The same sources with mixes that were chosen before."""
    found: dict[str, Any] = {name: None if mix is None else np.array(mix) for name, mix in mixes.items()}
    return replace(sources, **found)


STRATEGIES: dict[str, Callable[[Sources], Strategy | None]] = {
    "fixed_equal": lambda s: Fixed(np.full(s.n_terms, 1.0 / s.n_terms)),
    "fixed_best": lambda s: Fixed(s.fixed_best),
    "tuned_static": lambda s: None if s.tuned_static is None else Fixed(s.tuned_static),
    "fixed_custom": lambda s: None if s.fixed_custom is None else Fixed(s.fixed_custom),
    "random": lambda s: Random(s.n_terms, s.seed),
    "rule": lambda s: Rule() if s.has_rule else None,
    "learned": lambda s: Learned(s.agent),
    "regime_oracle": lambda s: None if s.table is None else RegimeTable(s.table),
    "delayed_oracle": lambda s: None if s.table is None else RegimeTable(s.table, delayed=True),
}
"""The arms of an ablation; an arm that a world can't define is None."""
