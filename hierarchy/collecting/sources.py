"""Who acts while a dataset is made, and in which world: a trained pair from its folder, or a rule."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from gymnasium import spaces

import envs
from envs.core.batch import BatchEnv
from envs.core.rules import Enqueued
from envs.core.validation import SettingError
from hierarchy.building.windows import lower_steps_per_window
from hierarchy.collecting.behaviour import Behaviour, Certain, Drawn
from hierarchy.collecting.conduct import NOMINAL, Conduct
from hierarchy.collecting.contexts import WindowContexts
from hierarchy.config import ExperimentConfig
from hierarchy.lower.acting import PolicyActor
from hierarchy.pair import Upper
from hierarchy.phases.tuning import of_seed
from hierarchy.protocols import Actor, TrainedActor
from hierarchy.storage.agents import lower_of, upper_of
from hierarchy.storage.bundle import parts_of


class Source:
    """What acts in a world of its own.

    Parameters
    ----------
    config
        All settings; the numbers of a rule that agents start from are among them.
    conduct
        How.
    lower, upper
        The pair that acts unless a rule does.

    Raises
    ------
    SettingError
        There is no rule and no pair, or the upper agent sets a context for each agent of an env.
    """

    def __init__(
        self,
        config: ExperimentConfig,
        conduct: Conduct,
        lower: TrainedActor | None = None,
        upper: Actor | None = None,
    ) -> None:
        if conduct.rule is None and (lower is None or upper is None):
            raise SettingError("rule", "given where no folder of a trained pair is", "nothing")
        self.config, self.conduct, self._lower = config, conduct, lower
        self._upper = None if conduct.rule is not None or conduct.contexts == "sampled" else upper
        if self._upper is not None and config.upper.context_per_balancer:
            raise SettingError("contexts", "sampled where upper.context_per_balancer is true", "upper")

    @property
    def name(self) -> str:
        """In words."""
        conduct, config = self.conduct, self.config
        if conduct.rule is not None:
            return f"rule {conduct.rule}"
        how = "draws" if conduct.draws else "likeliest actions"
        above = "sampled contexts" if self._upper is None else f"contexts of {config.upper.algorithm}"
        return f"pair: {config.lower.algorithm}, {how}, {above}"

    def batch(self, env_ids: Sequence[int]) -> BatchEnv:
        """A fresh batch of the world on streams of training, under the contexts."""
        config = self.config
        batch = envs.make(config.env, len(env_ids), config.seed, "train", config.lower.context, env_ids)
        if self._upper is not None:
            setter = Upper(self._upper.start(len(env_ids)))
            batch.contexts = WindowContexts(setter, batch.world, lower_steps_per_window(config))
        return batch

    def behaviour(self, batch: BatchEnv, generators: Sequence[np.random.Generator]) -> Behaviour:
        """What acts in the rows of a batch, each with a generator of its own.

        Raises
        ------
        SettingError
            The world has no such rule, or the pair draws none of its actions.
        """
        rule = self.conduct.rule
        if rule is None:
            return self._of_pair(batch, generators)
        if rule != NOMINAL:
            acting = envs.acting_rule(self.config.env, rule, batch.n_envs)
            return Certain(lambda observation: acting.decide(batch.simulation.measurements))
        nominal = batch.world.nominal_action
        if nominal is None:
            raise SettingError("rule", "another in a world without a nominal action", rule)
        action = np.tile(nominal, (batch.n_rows, 1)).reshape(batch.n_rows, *(batch.action_space.shape or ()))
        return Certain(lambda observation: action)

    def _of_pair(self, batch: BatchEnv, generators: Sequence[np.random.Generator]) -> Behaviour:
        assert self._lower is not None
        acting = self._lower.start(batch.n_rows)
        if not self.conduct.draws:
            return Certain(acting.act)
        if not isinstance(self._lower, PolicyActor) or isinstance(batch.action_space, spaces.Box):
            allowed = f"false for {self.config.lower.algorithm} with {batch.action_space}"
            raise SettingError("draws", allowed, self.conduct.draws)
        return Drawn(self._lower, generators)


def source_in(config: ExperimentConfig, conduct: Conduct, folder: Path | None) -> Source:
    """The pair of a folder in the world of ``config``, with the seed and the base rule of the folder; or without a folder
    what a rule needs, where a base rule has the numbers of ``config``, or those that an engineer would try first.

    Raises
    ------
    SettingError
        Something is missing or damaged, or does not fit the world.
    """
    if folder is None:
        return Source(numbered(config), conduct)
    config = numbered(of_seed(config, folder))
    if conduct.rule is not None:
        return Source(config, conduct)
    parts = parts_of(folder)
    return Source(config, conduct, lower_of(parts.lower, config), upper_of(parts.upper, config))


def numbered(config: ExperimentConfig) -> ExperimentConfig:
    """Settings that have the numbers of the rule that agents start from, if there is one."""
    rule = envs.base_rule(config.env)
    if rule is None or rule.numbers:
        return config
    [name, *_] = rule.candidates
    found = envs.rules(config.env)[name]
    numbers = found.suggest(Enqueued(found.first(config.env)[0]), config.env)
    return replace(config, env=envs.with_numbers(config.env, name, numbers))
