"""An arm for every rule that one would run in a world without learning."""

from __future__ import annotations

from functools import partial

import envs
from envs import EnvConfig
from envs.core.rules import Controller
from envs.core.spec import WorldSpec
from hierarchy.arms.arm import Arm
from hierarchy.arms.start import Start
from hierarchy.config import ExperimentConfig


def configured(name: str, env: EnvConfig) -> EnvConfig:
    """The world as the rule has it."""
    changed: EnvConfig = envs.rules(env)[name].configured(env)
    return changed


def start_balancing(name: str, start: Start) -> Controller:
    """The rule, which sets what the world is set to."""
    env = start.config.env
    return envs.rules(env)[name].start(env, start.simulation.n_envs)


def wants_rules(config: ExperimentConfig, spec: WorldSpec) -> bool:
    """They can be left out."""
    return config.ablation.heuristics


def balancing_arms(env: EnvConfig) -> dict[str, Arm]:
    """The rules of a world as arms, by name."""
    return {
        name: Arm("rule", partial(start_balancing, name), wants_rules, configured=partial(configured, name))
        for name in envs.rules(env)
    }
