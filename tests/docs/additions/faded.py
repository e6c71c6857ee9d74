"""A memory of an upper agent: the mean of the windows so far beside the last one, the older the fainter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from envs.core.validation import setting


@dataclass(frozen=True)
class FadedConfig:
    """What is left of a window fades from one to the next."""

    kind: Literal["faded"] = setting("faded", one_of=("faded",))
    """the older the fainter"""
    left: float = setting(0.5, gt=0, lt=1)
    """share that is left after a window"""

    @property
    def fit_episodes(self) -> int:
        return 0

    def form(self, names: Any) -> Any:
        from hierarchy.nets.window_memory import MemoryForm

        return MemoryForm("faded", names.n_features, round(100 * self.left))

    @staticmethod
    def module(form: Any) -> Any:
        import torch as th

        from hierarchy.nets.window_memory import WindowMemory

        class Faded(WindowMemory):
            n_observed, n_remembered = 2 * form.n_features, form.n_features

            def recall(self, observation: Any, remembered: Any) -> Any:
                share = form.size / 100
                following = share * remembered + (1 - share) * observation
                return th.cat([observation, following], dim=1), following

            def names(self, features: Any) -> Any:
                return [*features, *(f"{name} faded" for name in features)]

            def in_units(self, features: Any, observed: Any) -> Any:
                return observed

        return Faded(form)
