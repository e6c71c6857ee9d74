"""What a world is called and made of, without building it: names, numbers and labels that agents are held against."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gymnasium import spaces

LOWER_FIELDS = ("terms", "n_parts", "features", "shared", "shows_action_set", "action_space", "levels", "n_agents")
"""What a lower agent depends on."""
PART_FIELDS = ("terms", "features", "shared", "shows_action_set", "levels")
"""The same for one that runs on any number of parts and agents."""
UPPER_FIELDS = ("terms", "observed")
"""What an upper agent depends on."""
N_SHOWN = 8
"""Entries of a list that a message shows."""


@dataclass(frozen=True)
class WorldSpec:
    """A world's specification; saved with every agent, and compared field by field when it is loaded.

    Attributes
    ----------
    family
        Of the env.
    dt_s
        Seconds of a step.
    terms
        Reward terms (1), in the order of the context.
    n_parts
        Interchangeable parts that the observation lists one by one; 0 if there are none.
    features
        Of the observation, index by index, those of one part where there are parts.
    shared
        Features that belong to no part, after the parts; action set and context follow.
    shows_action_set
        Whether the valid actions are part of the observation.
    action_space
        Kind and sizes, see :func:`described`.
    levels
        What the values of a choice mean; empty where they are numbers.
    observed
        Statistics that the upper agent observes, in order; the context follows.
    metrics, timeline
        Statistics of tables and of the picture of an episode; their units are in their names.
    regimes
        Names of the regimes.
    setting, setting_names
        What an action sets, for pictures: in general, and entry by entry.
    objective, objective_unit
        What the upper agent maximises, and its unit.
    n_agents
        That act in an env, each by itself.
    """

    family: str
    dt_s: float
    terms: tuple[str, ...]
    n_parts: int
    features: tuple[str, ...]
    shared: tuple[str, ...]
    shows_action_set: bool
    action_space: Mapping[str, Any]
    levels: tuple[float, ...]
    observed: tuple[str, ...]
    metrics: tuple[str, ...]
    timeline: tuple[str, ...]
    regimes: tuple[str, ...]
    setting: str
    setting_names: tuple[str, ...]
    objective: str
    objective_unit: str
    n_agents: int = 1

    @property
    def n_terms(self) -> int:
        """Length of the context."""
        return len(self.terms)

    def to_json(self) -> dict[str, Any]:
        """Plain values by field."""
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in ((field.name, getattr(self, field.name)) for field in dataclasses.fields(self))
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> WorldSpec:
        """The inverse of :meth:`to_json`."""
        fields: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
        return cls(**fields)

    def misfit(self, other: WorldSpec, fields: Sequence[str]) -> str | None:
        """The first of ``fields`` in which another world differs, as text: field, what is here, what is there."""
        for name in fields:
            ours, theirs = self.to_json()[name], other.to_json()[name]
            if ours != theirs:
                return f"{name} {_shown(ours, theirs)}, got {_shown(theirs, ours)}"
        return None


def _shown(value: Any, other: Any) -> str:
    """A value as text; of a long list only what another one lacks."""
    if not isinstance(value, list):
        return str(value)
    own = [one for one in value if one not in other]
    shown = value if len(value) <= N_SHOWN or not own else own
    return ", ".join(map(str, shown[:N_SHOWN])) + (", ..." if len(shown) > N_SHOWN else "") or "none"


SPEC_FIELDS = tuple(field.name for field in dataclasses.fields(WorldSpec))
"""All of them."""


def described(space: spaces.Space[Any]) -> dict[str, Any]:
    """An action space as plain values.

    Raises
    ------
    ValueError
        Another space than `Discrete`, `MultiDiscrete` or `Box`.
    """
    if isinstance(space, spaces.Discrete):
        return {"kind": "discrete", "n": int(space.n)}
    if isinstance(space, spaces.MultiDiscrete):
        return {"kind": "multi_discrete", "n": space.nvec.tolist()}
    if isinstance(space, spaces.Box):
        return {"kind": "box", "shape": list(space.shape), "low": float(space.low.min()), "high": float(space.high.max())}
    raise ValueError(f"action_space must be Discrete, MultiDiscrete or Box, got {type(space).__name__}")
