"""A team whose value is that of its agent that is worst off, as an algorithm: its settings, which build it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from envs.core.team import TeamEnv
from envs.core.validation import setting
from hierarchy.team.qmix import MixedConfig

if TYPE_CHECKING:
    from hierarchy.team.protocols import TeamLearner


@dataclass(frozen=True)
class WorstOffConfig(MixedConfig):
    """The least of the values of agents."""

    algorithm: Literal["worst_off"] = setting("worst_off", one_of=("worst_off",))
    """the least of values"""

    def build(self, env: TeamEnv, seed: int) -> TeamLearner:
        """A fresh team in ``env``."""
        self.check_buildable(env.spec)
        import torch as th
        from tensordict.nn import TensorDictModule
        from torch import nn

        from hierarchy.team.mixed_values import CHOSEN, MixedLearner

        class Least(nn.Module):
            def forward(self, values: th.Tensor) -> th.Tensor:
                return values.amin(-2)

        def mixer() -> TensorDictModule:
            return TensorDictModule(Least(), in_keys=[CHOSEN], out_keys=["chosen_action_value"])

        return MixedLearner(env, self, seed, mixer)
