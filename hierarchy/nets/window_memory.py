"""What an upper agent remembers of windows, in plain torch: a function of the last window and of what was remembered.

What is remembered of an env is a row of numbers, all 0 where an episode begins. So one function serves training, acting, a
batch of any width, and a model that others run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch as th
from torch import nn

from envs.core.arrays import BoolArray, FloatArray, FloatArray32
from envs.core.state import Tree
from envs.core.validation import check, setting


@dataclass(frozen=True)
class MemoryForm:
    """What a memory is, apart from what it is fitted to."""

    kind: str
    """name in the registry"""
    n_features: int = setting(ge=1, le=1e7)
    """length of what is observed of a window, context included"""
    size: int = setting(ge=1, le=1e4)
    """windows of a stack, regimes of a belief"""
    columns: list[int] = setting(default_factory=list, ge=0)
    """entries that regimes are told apart by"""

    def __post_init__(self) -> None:
        check(self)


class WindowMemory(nn.Module):
    """A kind of memory fills in :meth:`recall` and what differs.

    Attributes
    ----------
    n_observed
        Length of what an agent observes, ``m`` below.
    n_remembered
        Numbers that are remembered of an env, ``r`` below.
    """

    dtype = th.float32
    n_observed: int
    n_remembered: int

    def __init__(self, form: MemoryForm) -> None:
        super().__init__()
        self.form = form

    def recall(self, observation: th.Tensor, remembered: th.Tensor) -> tuple[th.Tensor, th.Tensor]:
        """What an agent observes ``(n, m)`` at the end of windows ``(n, n_features)``, given what was remembered ``(n, r)``,
        and what is remembered now.
        """
        raise NotImplementedError

    def forward(self, observation: th.Tensor, remembered: th.Tensor) -> tuple[th.Tensor, th.Tensor]:
        """See :meth:`recall`."""
        return self.recall(observation, remembered)

    def start(self, n_envs: int) -> th.Tensor:
        """What is remembered as episodes begin ``(n_envs, r)``."""
        return th.zeros(n_envs, self.n_remembered, dtype=self.dtype)

    @property
    def is_fitted(self) -> bool:
        """Whether there is nothing left to fit."""
        return True

    def fit(self, windows: FloatArray32, seed: int) -> None:
        """Fit it to episodes of windows ``(n_episodes, n_windows, n_features)``."""

    def names(self, features: Sequence[str]) -> list[str]:
        """Names of what an agent observes, given those of a window."""
        raise NotImplementedError

    def in_units(self, features: FloatArray, observed: FloatArray32) -> FloatArray:
        """What an agent observed in the windows of an episode ``(n_windows, m)``, in the units of windows ``(n_windows,
        n_features)``.
        """
        raise NotImplementedError


class StackedWindows(WindowMemory):
    """The last windows side by side, the newest last."""

    def __init__(self, form: MemoryForm) -> None:
        super().__init__(form)
        self.n_observed = form.size * form.n_features
        self.n_remembered = self.n_observed - form.n_features

    def recall(self, observation: th.Tensor, remembered: th.Tensor) -> tuple[th.Tensor, th.Tensor]:
        observed = th.cat([remembered, observation], dim=1)
        return observed, observed[:, self.form.n_features :]

    def names(self, features: Sequence[str]) -> list[str]:
        before = [f"{name} {n} before" for n in range(self.form.size - 1, 0, -1) for name in features]
        return [*before, *features]

    def in_units(self, features: FloatArray, observed: FloatArray32) -> FloatArray:
        before = np.zeros((self.form.size - 1, features.shape[1]))
        padded = np.concatenate([before, features])
        return np.concatenate([padded[n : n + len(features)] for n in range(self.form.size)], axis=1)


class Recall:
    """What is remembered in every env of a batch.

    Parameters
    ----------
    memory
        None remembers nothing: what is observed is the window.
    """

    def __init__(self, memory: WindowMemory | None, n_envs: int) -> None:
        self._memory = memory
        self._remembered = th.zeros(n_envs, 0) if memory is None else memory.start(n_envs)

    def observe(self, windows: FloatArray32, mask: BoolArray | None = None) -> FloatArray32:
        """What an agent observes ``(n_envs, m)`` at the end of windows ``(n_envs, n_features)``; they are taken in, those of
        ``mask (n_envs,)`` if there is one.

        Raises
        ------
        ValueError
            The memory is not fitted.
        """
        if self._memory is None:
            return windows
        if not self._memory.is_fitted:
            raise ValueError("memory must be fitted before anything is remembered")
        with th.inference_mode():
            observed, following = self._memory.recall(th.from_numpy(windows), self._remembered)
            if mask is not None:
                following = th.where(th.from_numpy(mask)[:, None], following, self._remembered)
        self._remembered = following
        seen: FloatArray32 = observed.numpy()
        return seen

    def reset(self, mask: BoolArray | None = None) -> None:
        """Forget what came before in all envs, or where ``mask (n_envs,)`` is set."""
        kept = np.zeros(len(self._remembered), np.bool_) if mask is None else ~mask
        with th.inference_mode():
            self._remembered = self._remembered * th.from_numpy(kept)[:, None]

    def get_state(self) -> Tree:
        """What is remembered; nothing without a memory."""
        return {} if self._memory is None else {"remembered": self._remembered.numpy().copy()}

    def set_state(self, state: Tree) -> None:
        """Go on from a state."""
        if self._memory is not None:
            self._remembered = th.from_numpy(np.array(state["remembered"]))


def fitted_arrays(memory: WindowMemory) -> Tree:
    """What a memory was fitted to be, as copies by name."""
    return {name: buffer.numpy().copy() for name, buffer in memory.named_buffers()}


def fit_with(memory: WindowMemory, arrays: Tree) -> None:
    """Have a memory be what another one of its form was fitted to be."""
    for name, buffer in memory.named_buffers():
        buffer.copy_(th.from_numpy(np.array(arrays[name])))
