"""What the networks of whatever acts by observations have in common, apart from their parameters."""

from __future__ import annotations

from dataclasses import dataclass

from envs.core.validation import SettingError, check, setting
from hierarchy.nets.action_form import ActionForm
from hierarchy.nets.preprocessing import Preprocessing

MOST_OBSERVED = 10_000_000
"""Numbers that an actor observes at most."""


@dataclass(frozen=True, kw_only=True)
class ObservingForm:
    """What is observed and what is chosen."""

    normalise: bool
    """observations are shifted and scaled"""
    action: ActionForm
    """what is chosen"""
    hidden_size: int = setting(ge=1, le=65_536)
    """width of layers, and of what remembers"""
    n_observed: int = setting(ge=1, le=MOST_OBSERVED)
    """length of an observation of the world, its context included"""
    n_terms: int = setting(ge=0, le=1e5)
    """length of the context"""
    history: int = setting(ge=1, le=1e4)
    """observations that are observed at once"""

    def __post_init__(self) -> None:
        check(self)
        if self.n_terms > self.n_observed:
            raise SettingError("n_terms", f"<= n_observed ({self.n_observed})", self.n_terms)
        if self.n_observed * self.history > MOST_OBSERVED:
            raise SettingError("history", f"<= {MOST_OBSERVED // self.n_observed} of that length", self.history)

    @property
    def preprocessing(self) -> Preprocessing:
        """What is done to observations."""
        return Preprocessing(self.n_terms, self.history, self.normalise)
