"""Settings that lower agents share, whatever they learn by. Importing them costs no torch."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, get_args

from gymnasium import spaces

from envs.core.context import ContextSampling
from envs.core.validation import SettingError, check, setting
from hierarchy.nets.parts import choices

if TYPE_CHECKING:
    from envs import EnvConfig
    from hierarchy.protocols import SavedAgent, TrainedActor

LowerPolicy = Literal["joint", "equivariant"]


@dataclass(frozen=True)
class LowerConfig:
    """A lower agent: its context is part of what it observes."""

    algorithm: str = ""
    """name in the registry"""
    timesteps: int = setting(300_000, gt=0)
    """steps to train for, over all envs and the agents in each"""
    n_envs: int = setting(32, gt=0)
    """envs side by side"""
    policy: LowerPolicy = setting("joint", one_of=get_args(LowerPolicy))
    """joint observes all parts at once; equivariant treats parts alike and runs on any number of them"""
    nominal_logit: float = setting(1.0, ge=0)
    """head start of the nominal action: equal weights, which is to say shortest expected delay"""
    normalise_observations: bool = False
    """shift and scale observations by their running moments, kept with the agent and frozen once it is trained"""
    clip_reward: float | None = setting(None, gt=0)
    """divide rewards by the running spread of returns and hold them within this bound; None leaves them as they are"""
    paired: bool = False
    """rewards are what they are above those of a twin that always takes the nominal action, on the same requests; in a world
    that has no such action they are as they are"""
    history: int = setting(1, gt=0)
    """observations that the agent observes at once, the newest last"""
    context: ContextSampling = field(default_factory=ContextSampling)

    def __post_init__(self) -> None:
        check(self)
        if self.policy == "equivariant" and (self.history > 1 or self.normalise_observations):
            raise SettingError("policy", "joint with history > 1 or normalise_observations", self.policy)

    def check_world(self, n_parts: int, action_space: spaces.Space[Any], constraints: Collection[str] = ()) -> None:
        """Whether the policy fits a world of ``n_parts`` interchangeable parts: equal choices of levels for each.

        Raises
        ------
        SettingError
            An equivariant policy in a world without such parts.
        """
        if self.policy != "equivariant":
            return
        try:
            choices(action_space, n_parts)
        except ValueError:
            raise SettingError("policy", "joint in a world without interchangeable parts", self.policy) from None

    def check_data(self, env: EnvConfig, contextual: bool = True) -> None:
        """It learns from the world alone."""

    def actor(self, saved: SavedAgent) -> TrainedActor:
        """What acts of a saved agent.

        Raises
        ------
        SettingError
            It was trained by another algorithm, or its networks are not those that it says.
        """
        from hierarchy.lower.acting import actor_of

        return actor_of(saved, self.algorithm)
