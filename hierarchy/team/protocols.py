"""What is asked of learners of teams and of what they have learned. Importing it costs no torch.

They are those of :mod:`hierarchy.protocols`, but that observations and actions have an axis of agents, and that what acts is
held against the specification of a team.
"""

from __future__ import annotations

from dataclasses import Field
from typing import Any, ClassVar, Protocol

from envs.core.state import Tree
from envs.core.team import TeamEnv, TeamSpec
from hierarchy.protocols import Actor, Observer, SavedAgent


class TrainedTeam(Actor, Protocol):
    """What a team has learned so far; it acts on observations ``(n_envs, n_agents, n_features)``."""

    @property
    def model(self) -> Any:
        """What it does, as a module of torch: a function of the tensors in its ``examples`` to those in its ``outputs``."""

    def saved(self, name: str, algorithm: str) -> SavedAgent:
        """What acts, to be kept by that name; training can't go on from it."""

    def fitted(self, spec: TeamSpec) -> TrainedTeam:
        """The same, for a team of that specification.

        Raises
        ------
        ValueError
            It was trained for another number of agents, other observations or other actions.
        """


class TeamLearner(Protocol):
    """A team in training, see :class:`hierarchy.protocols.Learner`."""

    @property
    def n_steps(self) -> int:
        """Trained so far, over all envs together; all agents move in one step."""

    @property
    def actor(self) -> TrainedTeam:
        """What acts as the team has learned to by now."""

    def begin_from(self, saved: SavedAgent) -> None:
        """Take over what a team of the same kind has learned, before training.

        Raises
        ------
        SettingError
            It is of another kind.
        """

    def learn(self, n_steps: int, *observers: Observer) -> None:
        """Train for ``n_steps`` more, over all envs together, or until the rollout that they end in is over."""

    def get_state(self) -> Tree:
        """All that moves, as copies, before a rollout begins."""

    def set_state(self, state: Tree) -> None:
        """Go on from a state of :meth:`get_state` of a learner that was built with the same settings, to the last bit."""

    def saved(self, name: str) -> SavedAgent:
        """The team as it is now, to be kept by that name."""


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
