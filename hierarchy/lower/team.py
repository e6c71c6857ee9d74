"""A team of agents as the lower level, each with its own observations: settings, which build it. Importing them costs no
torch.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import MISSING, dataclass, field, fields
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from gymnasium import spaces

from envs.core.context import ContextSampling
from envs.core.team import TeamSpec
from envs.core.validation import SettingError, check, chosen, setting
from hierarchy import team as teams
from hierarchy.team.protocols import TeamAlgorithm
from hierarchy.team.requires import check_torchrl

if TYPE_CHECKING:
    from envs import EnvConfig
    from hierarchy.protocols import Learner, SavedAgent, TrainedActor
    from hierarchy.vec_env import BatchVecEnv


@dataclass(frozen=True)
class TeamLowerConfig:
    """Agents that learn as a team under a context, which is part of what each observes."""

    algorithm: Literal["team"] = setting("team", one_of=("team",))
    """a learner of teams"""
    timesteps: int = setting(300_000, gt=0)
    """steps to train for, over all envs and the agents in each"""
    n_envs: int = setting(32, gt=0)
    """envs side by side"""
    paired: bool = False
    """rewards are what they are above those of a twin that always takes the nominal action, on the same requests"""
    context: ContextSampling = field(default_factory=ContextSampling)
    team: TeamAlgorithm = chosen(lambda: teams.TEAM_ALGORITHMS, by="algorithm", default_factory=teams.DEFAULT)

    def __post_init__(self) -> None:
        check(self)
        [of_team] = [one for one in fields(self.team) if one.name == "timesteps"]
        if of_team.default is not MISSING and self.team.timesteps != of_team.default:
            raise SettingError("team.timesteps", "left out here, where timesteps says how long", self.team.timesteps)

    def check_world(self, n_parts: int, action_space: spaces.Space[Any], constraints: Collection[str] = ()) -> None:
        """Whether an agent of a team can learn such actions.

        Raises
        ------
        SettingError
            It can't, or TorchRL is not installed.
        """
        check_torchrl(self.team.algorithm)
        nothing = spaces.Box(-np.inf, np.inf, (1,), np.float32)
        try:
            self.team.check_team(TeamSpec(("one",), nothing, action_space, nothing))  # type: ignore[arg-type]  # is checked
        except SettingError as error:
            raise SettingError("team.algorithm", f"one for {action_space}", f"{self.team.algorithm}: {error}") from None

    def check_data(self, env: EnvConfig, contextual: bool = True) -> None:
        """It learns from the world alone."""

    def build(self, env: BatchVecEnv, seed: int, contextual: bool = True) -> Learner:
        """A fresh team in ``env``; one that is not ``contextual`` learns from rewards that its context says nothing of.

        Raises
        ------
        SettingError
            The algorithm can't act there, or TorchRL is not installed.
        """
        check_torchrl(self.team.algorithm)
        from hierarchy.lower import team_learner

        return team_learner.build(self, env, seed, contextual)

    def actor(self, saved: SavedAgent) -> TrainedActor:
        """What acts of a saved team.

        Raises
        ------
        SettingError
            It was trained by another algorithm, its networks are not those that it says, or TorchRL is not installed.
        """
        check_torchrl(self.team.algorithm)
        from hierarchy.lower.team_acting import actor_of

        return actor_of(saved, self.algorithm)
