"""What is asked of learners of teams and of what they have learned. Importing it costs no torch.

They are those of :mod:`hierarchy.protocols`, but that observations and actions have an axis of agents, and that what acts is
held against the specification of a team.
"""

from __future__ import annotations

from dataclasses import Field
from typing import Any, ClassVar, Protocol

from envs.core.team import TeamEnv, TeamSpec
from hierarchy.protocols import SavedAgent, Trained, Training


class TrainedTeam(Trained, Protocol):
    """What a team has learned so far; it acts on observations ``(n_envs, n_agents, n_features)``."""

    def fitted(self, spec: TeamSpec) -> TrainedTeam:
        """The same, for a team of that specification.

        Raises
        ------
        ValueError
            It was trained for another number of agents, other observations or other actions.
        """


class TeamLearner(Training[TrainedTeam], Protocol):
    """A team in training; all agents move in one step of an env."""


class TeamAlgorithm(Protocol):
    """Settings of a team's learner, which build it; a type of ``hierarchy.team.TEAM_ALGORITHMS``."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    @property
    def algorithm(self) -> str:
        """The name in the registry."""

    @property
    def timesteps(self) -> int:
        """Env steps to train for, over all envs."""

    def check_team(self, spec: TeamSpec) -> None:
        """Whether the algorithm can learn to act in such a world.

        Raises
        ------
        SettingError
            It can't.
        """

    def build(self, env: TeamEnv, seed: int) -> TeamLearner:
        """A fresh team in ``env``, which is reset.

        Raises
        ------
        SettingError
            The algorithm can't act there, or TorchRL is not installed.
        """

    def actor(self, saved: SavedAgent) -> TrainedTeam:
        """What acts of a saved team.

        Raises
        ------
        SettingError
            It was trained by another algorithm, its networks are not those that it says, or TorchRL is not installed.
        """
