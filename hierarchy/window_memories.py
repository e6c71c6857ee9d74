"""What is asked of the settings of a memory of windows. Importing it costs no torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import Field
from typing import Any, ClassVar, NamedTuple, Protocol


class WindowNames(NamedTuple):
    """What there is to be remembered of a window.

    Attributes
    ----------
    observed
        Names of the statistics that an upper agent observes, in order; the context follows.
    exogenous
        Those of them that no action changes, as far as the world says.
    n_terms
        Length of the context.
    """

    observed: Sequence[str]
    exogenous: Sequence[str]
    n_terms: int

    @property
    def n_features(self) -> int:
        """Length of an observation of a window."""
        return len(self.observed) + self.n_terms


class MemoryConfig(Protocol):
    """Settings of what an upper agent remembers of windows, which build it; a type of ``hierarchy.upper.memory.MEMORIES``.

    Forms and memories are those of :mod:`hierarchy.nets.window_memory`.
    """

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    @property
    def kind(self) -> str:
        """The name in the registry."""

    @property
    def fit_episodes(self) -> int:
        """Episodes whose windows it is fitted to before anything is learned; 0 where there is nothing to fit."""

    def form(self, names: WindowNames) -> Any:
        """What it is where windows have these names; None of one that remembers nothing.

        Raises
        ------
        SettingError
            They lack one that the settings name.
        """

    @staticmethod
    def module(form: Any) -> Any:
        """A memory of that form, not fitted."""
