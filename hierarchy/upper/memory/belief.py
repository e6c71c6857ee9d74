"""A belief about hidden regimes, as an upper agent's memory: its settings. Importing them costs no torch.

The filter is of its own few lines (:mod:`hierarchy.nets.belief`, :mod:`hierarchy.nets.hidden_markov`): the package
hmmlearn, which installs, is by its own README under limited maintenance, smooths whole sequences, and has no step that goes
on from a belief, in a batch or in a graph of tensors, which is what acting and exporting take.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from envs.core.validation import SettingError, check, setting
from hierarchy.window_memories import WindowNames

if TYPE_CHECKING:
    from hierarchy.nets.window_memory import MemoryForm, WindowMemory


@dataclass(frozen=True)
class BeliefConfig:
    """How likely every hidden regime is in the window that begins, by all windows of the episode so far."""

    kind: Literal["belief"] = setting("belief", one_of=("belief",))
    """a forward filter over hidden regimes"""
    n_regimes: int = setting(4, ge=2, le=64)
    """hidden regimes"""
    fit_episodes: int = setting(16, gt=0)
    """episodes under random contexts whose windows the regimes are fitted to, before anything is learned"""
    statistics: list[str] = setting(default_factory=list)
    """observed statistics that tell regimes apart; none for those that no action changes, or for all where the world knows
    of none"""

    def __post_init__(self) -> None:
        check(self)

    def form(self, names: WindowNames) -> MemoryForm:
        """The statistics that tell regimes apart are told by their places.

        Raises
        ------
        SettingError
            One of them is not observed.
        """
        from hierarchy.nets.window_memory import MemoryForm

        for name in self.statistics:
            if name not in names.observed:
                raise SettingError("statistics", f"of {', '.join(names.observed)}", name)
        wanted = self.statistics or names.exogenous or names.observed
        columns = [place for place, name in enumerate(names.observed) if name in wanted]
        return MemoryForm("belief", names.n_features, self.n_regimes, columns)

    @staticmethod
    def module(form: MemoryForm) -> WindowMemory:
        """A filter that is not fitted."""
        from hierarchy.nets.belief import Belief

        return Belief(form)
