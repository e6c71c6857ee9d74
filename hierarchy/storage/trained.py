"""The pair of agents that a folder holds, ready to act."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import envs
from envs.core.spec import SPEC_FIELDS, UPPER_FIELDS
from envs.core.world import World, specified
from hierarchy.building.windows import lower_steps_per_window
from hierarchy.config import ExperimentConfig
from hierarchy.pair import ContextSetter, Pair, Upper
from hierarchy.protocols import Actor, TrainedActor
from hierarchy.storage.agents import check_fits, fitted, lower_of, upper_of
from hierarchy.storage.bundle import BUNDLE_NAME, PRESET, is_bundle, parts_of, read_bundle, settings_in
from hierarchy.storage.settings import config_from


@dataclass(frozen=True)
class Trained:
    """Both agents, and the settings that they were trained with."""

    config: ExperimentConfig
    lower: TrainedActor
    upper: Actor

    def pair(self, world: World | None = None, n_envs: int = 1, setter: ContextSetter | None = None) -> Pair:
        """The pair at the beginning of episodes: measurements in, settings out.

        Parameters
        ----------
        world
            What is measured and set; a simulated one of ``n_envs`` by default.
        n_envs
            Size of the batch, where no world is given.
        setter
            Sets contexts; the upper agent by default.

        Raises
        ------
        NotTrainedError
            The agents were trained for another world; the field in which it differs is named.
        """
        lower = self.lower
        if world is None:
            world = envs.simulate(self.config.env, n_envs, self.config.seed).world
        else:
            there, trained = world, envs.describe(self.config.env)
            spec = specified(there, trained.family, trained.dt_s)
            lower = fitted(lower, "lower agent", trained, spec, lambda: there)
            if setter is None:
                check_fits("upper agent", spec, trained, UPPER_FIELDS)
        n_envs = world.dynamics.n_envs
        setter = setter or Upper(self.upper.start(n_envs))
        pair = Pair(world, lower.start(n_envs * world.dynamics.n_agents), setter, lower_steps_per_window(self.config))
        pair.reset()
        return pair


def config_of(folder: Path, *, trusts_factory: bool = False) -> ExperimentConfig:
    """The settings that a folder was made with.

    Raises
    ------
    SettingError
        It holds none, none of this version, or they name a factory that is not trusted.
    """
    values = settings_in(folder)
    values.pop(PRESET, None)
    return config_from(values, trusts_factory)


def load(folder: Path, *, trusts_factory: bool = False) -> Trained:
    """The agents that a folder holds.

    Raises
    ------
    SettingError
        One is missing, can't be read, or was trained for another world than the folder's settings describe; or these name a
        factory that is not trusted.
    """
    config, parts = config_of(folder, trusts_factory=trusts_factory), parts_of(folder)
    if is_bundle(folder):
        check_fits(BUNDLE_NAME, envs.describe(config.env), read_bundle(folder).spec, SPEC_FIELDS)
    return Trained(config, lower_of(parts.lower, config), upper_of(parts.upper, config))
