"""A forward filter over hidden regimes, of plain torch (Rabiner, "A tutorial on hidden Markov models", Proc. IEEE 1989).

What a window measures is Gaussian given its regime, each entry by itself; regimes follow each other as a Markov chain,
window by window. The belief is about the window that begins, which nothing was measured of yet:

    b_0 = first,    b_t(j) ~ sum_i b_(t-1)(i) p(x_t | i) moves(i, j)
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch as th

from envs.core.arrays import FloatArray, FloatArray32
from hierarchy.nets.hidden_markov import fitted
from hierarchy.nets.window_memory import MemoryForm, WindowMemory


class Belief(WindowMemory):
    """What is observed of a window, then the probability of each of R regimes in the next one, which sum to 1.

    What is remembered is the belief itself, zeros before there is one; the first observation of an episode is of no window.

    Attributes
    ----------
    first
        Probability of every regime in the first window of an episode ``(R,)``; zeros where nothing is fitted.
    moves
        Of the regime of the next window, given that of this one ``(R, R)``.
    mean, var
        Of what a window measures in a regime ``(R, F)``.
    """

    dtype = th.float64
    first: th.Tensor
    moves: th.Tensor
    mean: th.Tensor
    var: th.Tensor

    def __init__(self, form: MemoryForm) -> None:
        super().__init__(form)
        self.n_observed, self.n_remembered = form.n_features + form.size, form.size
        shapes = {"first": (form.size,), "moves": (form.size, form.size)}
        shapes |= dict.fromkeys(("mean", "var"), (form.size, len(form.columns)))
        for name, shape in shapes.items():
            self.register_buffer(name, th.zeros(shape, dtype=self.dtype))

    @property
    def is_fitted(self) -> bool:
        return bool(self.first.sum() > 0)

    def recall(self, observation: th.Tensor, remembered: th.Tensor) -> tuple[th.Tensor, th.Tensor]:
        measured = observation[:, self.form.columns].double()
        likelihood = self.log_likelihood(measured)
        weighed = remembered * (likelihood - likelihood.amax(-1, keepdim=True)).exp()
        later = (weighed[:, :, None] * self.moves).sum(1)
        begins = remembered.sum(-1, keepdim=True) == 0
        belief = th.where(begins, self.first, later / later.sum(-1, keepdim=True))
        return th.cat([observation, belief.float()], dim=1), belief

    def log_likelihood(self, measured: th.Tensor) -> th.Tensor:
        """Of what windows measure ``(n, F)`` in every regime ``(n, R)``."""
        squares = (measured[:, None] - self.mean) ** 2 / self.var
        return -0.5 * (squares + self.var.log() + math.log(2.0 * math.pi)).sum(-1)

    def fit(self, windows: FloatArray32, seed: int) -> None:
        chain = fitted(windows[..., self.form.columns].astype(np.float64), self.form.size, seed)
        for name, array in chain._asdict().items():
            getattr(self, name).copy_(th.from_numpy(array))

    def names(self, features: Sequence[str]) -> list[str]:
        return [*features, *(f"belief/{regime}" for regime in range(self.form.size))]

    def in_units(self, features: FloatArray, observed: FloatArray32) -> FloatArray:
        return np.concatenate([features, observed[:, self.form.n_features :]], axis=1)
