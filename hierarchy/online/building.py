"""The setter of contexts that a trained pair becomes where its upper agent goes on learning."""

from __future__ import annotations

import hashlib
import json

import envs
from envs.core.objectives import Objective
from envs.core.validation import SettingError
from hierarchy.building.windows import n_contexts_of
from hierarchy.config import ExperimentConfig
from hierarchy.online.config import OnlineConfig
from hierarchy.online.guard import Guard
from hierarchy.online.learner import OnlineLearner
from hierarchy.online.promised import promised
from hierarchy.online.setter import Online, Signal
from hierarchy.storage.agents import upper_of
from hierarchy.storage.bundle import Parts
from hierarchy.storage.files import plain_settings
from hierarchy.upper.remembering import remembers


def online_of(
    config: ExperimentConfig, parts: Parts, online: OnlineConfig, objective: Objective, signal: Signal | None = None
) -> Online:
    """The setter, which begins as the upper agent of a folder.

    Parameters
    ----------
    config, parts
        Of that folder.
    online
        How it learns.
    objective, signal
        See :class:`hierarchy.online.setter.Online`.

    Raises
    ------
    SettingError
        The agent can't go on learning, nothing says what it promised, or it sets more than one context.
    """
    spec = envs.describe(config.env)
    if n_contexts_of(config, spec.n_agents) > 1:
        raise SettingError("upper.context_per_balancer", "false for an agent that goes on learning", True)
    if config.upper.meta_step != "window":
        raise SettingError("upper.meta_step", "window for an agent that goes on learning", config.upper.meta_step)
    if remembers(parts.upper):
        kind = config.upper.memory.kind
        raise SettingError("upper.memory.kind", "none for an agent that goes on learning", kind)
    shape = len(spec.observed) + spec.n_terms, spec.n_terms
    guard = Guard(promised(config, online, parts.found, objective), online.windows)
    deployed = upper_of(parts.upper, config)

    def make(n_before: int) -> OnlineLearner:
        return OnlineLearner(config, online, parts.upper, shape, n_before)

    return Online(deployed.start(1), make, guard, online, objective, signal)


def identity(config: ExperimentConfig, parts: Parts, online: OnlineConfig, objective: Objective) -> str:
    """What a state of such a setter belongs to: SHA-256 of the pair that it began as, all settings, and the promise."""
    settings = [plain_settings(config), plain_settings(online), promised(config, online, parts.found, objective)]
    total = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for agent in (parts.lower, parts.upper):
        for name, array in sorted(agent.arrays.items()):
            total.update(name.encode())
            total.update(array.tobytes())
    return total.hexdigest()
