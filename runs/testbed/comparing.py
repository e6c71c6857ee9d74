"""Arms on real servers, all over the same requests: one table, as that of the ablation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import envs
from envs.core.arrays import FloatArray
from envs.core.validation import SettingError
from envs.load_balancing.config import LoadBalancingConfig
from hierarchy.arms import ablation
from hierarchy.arms.arm import Arm
from hierarchy.arms.start import Agents
from hierarchy.config import ExperimentConfig
from hierarchy.evidence import results
from hierarchy.evidence.arms import Facts
from hierarchy.evidence.episodes import Episodes, joined
from hierarchy.evidence.results import Results
from hierarchy.live.running import LiveConfig
from hierarchy.storage.agents import lower_of, upper_of
from hierarchy.storage.bundle import parts_of
from runs.testbed.arms import chosen
from runs.testbed.episode import Made, Player
from runs.testbed.faults import Fault
from runs.testbed.requests import ScheduleConfig
from runs.testbed.sending import Sender

Told = Callable[[str], object]


@dataclass(frozen=True)
class Plan:
    """What is compared.

    Attributes
    ----------
    names
        Of the arms.
    seconds
        Length of an episode.
    env_ids
        Which episodes of the simulator have the requests; every arm meets all of them.
    faults
        What happens in every episode.
    """

    names: tuple[str, ...]
    seconds: float
    env_ids: tuple[int, ...]
    faults: tuple[Fault, ...] = ()


class Compared(NamedTuple):
    """What came of it: episodes by arm, and one table."""

    episodes: dict[str, Episodes]
    results: Results


def world_of(config: ExperimentConfig) -> LoadBalancingConfig:
    """The world of an experiment, if it is one of balancers.

    Raises
    ------
    SettingError
        It is none.
    """
    if not isinstance(config.env, LoadBalancingConfig):
        raise SettingError("bundle", "one of the family load_balancing", config.env.family)
    return config.env


def compare(config: ExperimentConfig, folder: Path, live: LiveConfig, plan: Plan, told: Told) -> Compared:
    """Play all arms in turn, episode by episode, so that a machine that is slow for a while is so for all of them; each
    episode begins with another arm.

    Parameters
    ----------
    folder
        Of an experiment or a bundle: agents, and what was found for arms.
    told
        Is told of every episode in a line.

    Raises
    ------
    SettingError
        An arm is none, can't be run by HAProxy, or what it needs was not found.
    """
    env = world_of(config)
    arms = chosen(env, plan.names)
    agents, found = _trained(config, folder, arms)
    made: dict[str, list[Made]] = {name: [] for name in arms}
    with Sender() as sender:
        player = Player(config, agents, found, live, sender)
        for env_id in plan.env_ids:
            for name, arm in turned(list(arms.items()), env_id):
                wanted = ScheduleConfig(seconds=plan.seconds, seed=config.seed, env_id=env_id)
                made[name].append(player.play(name, arm, wanted, plan.faults))
                told(f"{name}, episode {env_id}: {line_of(made[name][-1])}")
    episodes = {name: joined([one.episodes for one in of_arm]) for name, of_arm in made.items()}
    facts = {name: Facts(arm.kind, arm.algorithm(config), arm.knows) for name, arm in arms.items()}
    table = results.of_arms(episodes, facts, envs.describe(env), "testbed", config.seed)
    table["ablation"] = {**asdict(plan), "live": asdict(live)}
    table["found"] = ablation.of_results(found)
    table["notes"] = [f"{name}: {note(of_arm)}" for name, of_arm in made.items()]
    return Compared(episodes, table)


def _trained(config: ExperimentConfig, folder: Path, arms: Mapping[str, Arm]) -> tuple[Agents, dict[str, Any]]:
    """Agents, and what was found for arms.

    Raises
    ------
    SettingError
        Something that an arm needs was not found.
    """
    parts = parts_of(folder)
    found = ablation.from_json(config, parts.found, parts.found_in)
    for name, arm in arms.items():
        missing = [need.name for need in arm.needs if need.name not in found]
        if missing:
            raise SettingError("compare", f"arms for which {folder} holds what they need (made by ablate)", name)
    return Agents(lower_of(parts.lower, config), upper_of(parts.upper, config)), found


def turned(arms: list[tuple[str, Arm]], by: int) -> list[tuple[str, Arm]]:
    """The arms from another one on."""
    first = by % len(arms)
    return arms[first:] + arms[:first]


def line_of(made: Made) -> str:
    """An episode in a line."""
    statistics, late_ms = made.episodes.statistics, 1e3 * made.answers.lateness.p99_s
    figures = f"objective {made.episodes.objective[0]:.3f}, mean {statistics['latency_mean_ms'][0]:.1f} ms"
    return f"{figures}, {len(made.answers.status)} requests sent at most {late_ms:.1f} ms late at p99"


def note(made: Sequence[Made]) -> str:
    """What one should know of the episodes of an arm: how late requests were sent, what became of them, what was held."""
    latency_s: FloatArray = np.concatenate([one.answers.latency_s for one in made])
    n, ok = len(latency_s), np.isfinite(latency_s)
    late_ms = [1e3 * one.answers.lateness.p99_s for one in made]
    mean, p99 = (1e3 * latency_s[ok].mean(), 1e3 * np.quantile(latency_s[ok], 0.99)) if ok.any() else (np.nan, np.nan)
    n_held = sum(one.n_held for one in made)
    return (
        f"{n} requests, {n - int(ok.sum())} without an answer, sent at most {max(late_ms):.1f} ms late at p99; "
        f"who sent them saw a mean of {mean:.1f} ms and {p99:.1f} ms at p99; {n_held} decisions held"
    )
