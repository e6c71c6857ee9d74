"""What learners from a dataset share: settings, which build one. Importing them costs no torch.

They learn one choice among all actions there are, given the last observations, from what is on record alone.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gymnasium import spaces

from envs.core.context import ContextSampling
from envs.core.validation import SettingError, check, setting
from hierarchy.datasets.requires import check_d3rlpy

if TYPE_CHECKING:
    from envs import EnvConfig
    from hierarchy.protocols import Learner, SavedAgent, TrainedActor
    from hierarchy.vec_env import BatchVecEnv

DATA = "data"
"""The setting that names the dataset."""


@dataclass(frozen=True)
class OfflineConfig:
    """A lower agent that learns from a dataset: its context is part of what it observes."""

    algorithm: str = ""
    """name in the registry"""
    data: str = ""
    """folder of the dataset to learn from, which metabalance dataset has made"""
    updates: int = setting(20_000, gt=0)
    """gradient steps; no step of the world is taken"""
    batch_size: int = setting(256, gt=0)
    """actions in a gradient step, drawn anew each time"""
    learning_rate: float = setting(1e-3, gt=0)
    """of Adam at the start"""
    final_share: float = setting(0.1, ge=0, le=1)
    """share of the learning rate that is left at the end, to which it falls in a line"""
    hidden_size: int = setting(64, gt=0)
    """width of layers"""
    history: int = setting(1, gt=0)
    """observations that the agent observes at once, the newest last; nothing else is remembered"""
    normalise_observations: bool = False
    """shift and scale observations by their moments in the dataset, kept with the agent"""

    def __post_init__(self) -> None:
        check(self)

    @property
    def timesteps(self) -> int:
        """Gradient steps, in the place of steps of the world."""
        return self.updates

    @property
    def n_envs(self) -> int:
        """One, that says what the world is like."""
        return 1

    @property
    def paired(self) -> bool:
        """Never: rewards are those on record."""
        return False

    @property
    def context(self) -> ContextSampling:
        """That datasets are recorded under by default; learning meets those on record."""
        return ContextSampling()

    @property
    def least_share(self) -> float | None:
        """See :class:`hierarchy.nets.joint_actor.JointForm`."""
        return None

    @property
    def reward_bound(self) -> float | None:
        """Of rewards in units of the spread of returns on record; None for who learns from none."""
        return None

    @property
    def discount(self) -> float:
        """Per action; 0 for who looks no further."""
        return 0.0

    def of_d3rlpy(self, **shared: Any) -> Any:
        """Settings of the learner as d3rlpy has them, with those that all have."""
        raise NotImplementedError

    def check_world(self, n_parts: int, action_space: spaces.Space[Any], constraints: Collection[str] = ()) -> None:
        """Whether actions are few enough for each to be one choice.

        Raises
        ------
        SettingError
            They aren't, or d3rlpy is not installed.
        """
        check_d3rlpy(self.algorithm)
        from hierarchy.nets.action_form import form_of
        from hierarchy.nets.joint_choices import MOST_JOINT, JointChoices

        is_box = isinstance(action_space, spaces.Box)
        if is_box or JointChoices(form_of(action_space)).n > MOST_JOINT:
            found = "numbers" if is_box else f"{JointChoices(form_of(action_space)).n:,}"
            allowed = (
                f"another unless actions are choices with at most {MOST_JOINT:,} combinations ({action_space} has {found})"
            )
            raise SettingError("algorithm", allowed, self.algorithm)

    def check_data(self, env: EnvConfig, contextual: bool = True) -> None:
        """Whether the dataset can be read and is of a world like that.

        Raises
        ------
        SettingError
            It can't, it isn't, or the agent is to have a single task.
        """
        self._check_contextual(contextual)
        from envs import describe
        from hierarchy.datasets.reading import check_fits, check_rule, read_said

        said, _ = read_said(self._folder, DATA)
        check_fits(said, describe(env), DATA)
        check_rule(said, env, DATA)

    def build(self, env: BatchVecEnv, seed: int, contextual: bool = True) -> Learner:
        """A fresh agent, which looks at ``env`` for what the world is like and never acts in it.

        Raises
        ------
        SettingError
            It can't act there, the dataset is of another world, can't be read or is not given, or d3rlpy is not installed.
        """
        self._check_contextual(contextual)
        check_d3rlpy(self.algorithm)
        from hierarchy.lower import offline_learner

        return offline_learner.build(self, env, seed, self._folder)

    def actor(self, saved: SavedAgent) -> TrainedActor:
        """What acts of a saved agent; that takes neither dataset nor d3rlpy.

        Raises
        ------
        SettingError
            It was trained by another algorithm, or its networks are not those that it says.
        """
        from hierarchy.lower.acting import joint_actor_of

        return joint_actor_of(saved, self.algorithm)

    @property
    def _folder(self) -> Path:
        if not self.data:
            raise SettingError(DATA, "the folder of a dataset (made by metabalance dataset)", "nothing")
        return Path(self.data)

    def _check_contextual(self, contextual: bool) -> None:
        if not contextual:
            allowed = "another for an agent without a hierarchy (ablation.flat): rewards on record are those of mixes"
            raise SettingError("algorithm", allowed, self.algorithm)


@dataclass(frozen=True)
class ValuesConfig(OfflineConfig):
    """One that learns what actions are worth."""

    gamma: float = setting(0.95, ge=0, le=1)
    """discount per action"""
    clip_reward: float | None = setting(10.0, gt=0)
    """divide rewards by the spread of returns on record, under mixes of their kind, and hold them within this bound; None
    leaves them as they are"""
    target_every: int = setting(200, gt=0)
    """gradient steps after which the target network becomes the one that is trained"""

    @property
    def reward_bound(self) -> float | None:
        return self.clip_reward

    @property
    def discount(self) -> float:
        return self.gamma
