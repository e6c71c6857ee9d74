"""Do learners of teams find what is known to be right in games that have an answer, and miss what they must?

Each trial is a game, an algorithm and a figure that is held against a bound, over the settings' seed and the next ones.
Beside it stands the gap to a Nash equilibrium: the most that one agent could gain a step, in own reward, by acting otherwise
alone. Where agents are paid together that is no part of what was asked.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from envs.core.arrays import Array, FloatArray32
from envs.games import Climbing, Fulfilment, Game, Inventory, Monotone, Policy, Pricing, make
from envs.games.fulfilment import shipping_cost
from envs.games.inventory import observed
from hierarchy.config import ExperimentConfig
from hierarchy.team import TEAM_ALGORITHMS
from hierarchy.team.protocols import TrainedTeam
from runs.report.section import Caption, Section
from runs.studies.study import Job, Outcome, StudyOptions

N_SEEDS = 5
N_ENVS = 32
N_ORDERS = 4096
"""Orders on which fulfilment is judged, of evaluation seeds."""
WITHIN = 0.05
"""Share of a price that it may be off by."""
SIGNS: dict[str, Callable[[float, float], bool]] = {"<=": operator.le, ">=": operator.ge, "<": operator.lt}
SCALED = {"warm_up": 1_024, "gamma": 0.0}
"""An action of these games moves nothing that an agent is paid for later; of inventory that is so under the best one."""
UNIFORM = {**SCALED, "timesteps": 16_000, "epsilon": 1.0, "final_epsilon": 1.0}
"""Every joint action is tried as often as another, to the end."""
PRICES = {
    **SCALED,
    "timesteps": 32_000,
    "buffer_size": 4_000,
    "batch_size": 256,
    "learning_rate": 1e-2,
    "actor_learning_rate": 3e-3,
    "final_share": 0.1,
    "action_noise": 0.2,
    "final_noise": 0.2,
}
LEVELS = {**SCALED, "timesteps": 64_000, "final_share": 0.05, "learning_rate": 3e-3}
ADDED_UP = {"timesteps": 128_000, "batch_size": 1_024, "final_epsilon": 0.6}
"""Beside what is asked for by one store stands what all others sell: more samples, and of every level to the end."""
VALUED = {"buffer_size": 64_000, "batch_size": 512, "epsilon": 1.0, "final_epsilon": 0.3, "exploration_share": 1.0}
CLIPPED = {"rollout_steps": 20, "batch_size": 320, "reward": "own"}
ORDERS = {**VALUED, **SCALED, "timesteps": 32_000, "final_share": 0.05, "learning_rate": 2e-3, "final_epsilon": 0.05}
TEXT = (
    "Trained teams against what is known of each game, seed by seed. The worst figure is the one furthest from what was "
    "asked; the gap to Nash is the largest over seeds of the most that one agent gains a step by acting otherwise alone."
)


class Asked(NamedTuple):
    """What a figure must be."""

    figure: str
    sign: str
    bound: float

    def holds(self, value: float) -> bool:
        """Whether a figure is."""
        return SIGNS[self.sign](value, self.bound)

    def worst(self, values: Sequence[float]) -> float:
        """The figure that is furthest from it."""
        return min(values) if self.sign == ">=" else max(values)


Measure = Callable[[Policy], float]


class Trial(NamedTuple):
    """An algorithm in a game, and what is asked of it."""

    game: Game
    algorithm: str
    settings: Mapping[str, Any]
    measure: Measure
    asked: Asked

    @property
    def reward(self) -> str:
        """Whose reward an agent learns from."""
        return str(getattr(TEAM_ALGORITHMS[self.algorithm](**self.settings), "reward", "team"))


def price_error(game: Pricing, price: float) -> Measure:
    """The largest distance of a price from ``price``, as its share."""
    return lambda policy: float(np.abs(game.joint_action(policy) / price - 1.0).max())


def level_error(game: Inventory) -> Measure:
    """The largest distance, in units, of what a store has from the best level, over all stocks that that one leads to."""
    stock = np.arange(game.best_level + 1)
    seen = np.repeat(observed(game, stock)[:, None, None], game.n_stores, axis=1)
    return lambda policy: float(np.abs(np.maximum(policy(seen), stock[:, None]) - game.best_level).max())


def best_shipped(game: Fulfilment) -> Measure:
    """The share of orders that go out at the smallest cost."""

    def share(policy: Policy) -> float:
        orders = make(game, N_ORDERS, role="evaluate")
        seen = orders.reset()
        bids, cost = policy(seen), game.cost(seen[..., 1].astype(float), seen[..., 2].astype(float))
        return float((shipping_cost(np.asarray(bids), cost) == cost.min(-1)).mean())

    return share


def missed(game: Climbing | Monotone) -> Measure:
    """What the team could get more, as entries of the table."""
    return lambda policy: game.optimum().team_reward - float(game.payoff(game.joint_action(policy)[None]).sum())


def _pricing() -> dict[str, Trial]:
    game, found = Pricing(), dict[str, Trial]()
    for algorithm in ("iddpg", "maddpg"):
        for reward, price in (("own", game.nash_price), ("team", game.joint_price)):
            asked = Asked(f"distance from {price:.1f}, share", "<=", WITHIN)
            settings = {**PRICES, "reward": reward}
            found[f"pricing-{algorithm}-{reward}"] = Trial(game, algorithm, settings, price_error(game, price), asked)
    return found


def _inventory() -> dict[str, Trial]:
    game = Inventory()
    asked = Asked(f"distance from level {game.best_level}, units", "<=", 1.0)
    given: dict[str, dict[str, Any]] = {"vdn": {**LEVELS, **VALUED, **ADDED_UP}, "ippo": {**LEVELS, **CLIPPED}}
    return {f"inventory-{name}": Trial(game, name, settings, level_error(game), asked) for name, settings in given.items()}


def _fulfilment() -> dict[str, Trial]:
    game = Fulfilment()
    asked = Asked("orders shipped at the smallest cost, share", ">=", 0.98)
    return {"fulfilment-qmix": Trial(game, "qmix", ORDERS, best_shipped(game), asked)}


def _tables() -> dict[str, Trial]:
    climbing, monotone = Climbing(), Monotone()
    reached, short = Asked("short of the optimum", "<=", 0.0), Asked("short of the optimum", ">=", 1.0)
    found = {
        "climbing-joint_q": Trial(climbing, "joint_q", UNIFORM, missed(climbing), reached),
        "climbing-qmix": Trial(climbing, "qmix", UNIFORM, missed(climbing), short),
    }
    for name in ("qmix", "vdn", "joint_q"):
        found[f"monotone-{name}"] = Trial(monotone, name, UNIFORM, missed(monotone), reached)
    return found


def trials() -> dict[str, Trial]:
    """All of them by name."""
    return {**_pricing(), **_inventory(), **_fulfilment(), **_tables()}


def as_policy(team: TrainedTeam) -> Policy:
    """What a trained team does in the first step of an episode, row by row."""

    def act(observation: FloatArray32) -> Array:
        return team.start(len(observation)).act(observation)

    return act


def tried(trial: Trial, seed: int) -> dict[str, float]:
    """A team trained under a seed: its figure, and the gap to a Nash equilibrium."""
    config = TEAM_ALGORITHMS[trial.algorithm](**trial.settings)
    learner = config.build(make(trial.game, N_ENVS, seed), seed)
    learner.learn(config.timesteps)
    policy = as_policy(learner.actor)
    return {"figure": trial.measure(policy), "nash_gap": trial.game.nash_gap(policy)}


def outcome_of(trial: Trial, of_seeds: Sequence[Mapping[str, float]]) -> dict[str, Any]:
    """All seeds of a trial."""
    figures = [one["figure"] for one in of_seeds]
    return {
        "game": trial.game.game,
        "algorithm": trial.algorithm,
        "reward": trial.reward,
        "settings": dict(trial.settings),
        "asked": trial.asked._asdict(),
        "figures": figures,
        "worst": trial.asked.worst(figures),
        "n_reached": sum(map(trial.asked.holds, figures)),
        "nash_gaps": [one["nash_gap"] for one in of_seeds],
    }


class Games:
    """A job is a training seed of a trial."""

    captions: tuple[Caption, ...] = ()

    def jobs(self, config: ExperimentConfig, folder: Path, options: StudyOptions) -> list[Job]:
        seeds = [replace(config, seed=config.seed + i) for i in range(options.seeds or N_SEEDS)]
        return [Job(name, one, folder) for one in seeds for name in trials()]

    def run_job(self, job: Job) -> dict[str, float]:
        return tried(trials()[job.variant], job.config.seed)

    def combine(self, results: Mapping[str, Sequence[dict[str, float]]], config: ExperimentConfig) -> Outcome:
        of_names = trials()
        return {name: outcome_of(of_names[name], of_seeds) for name, of_seeds in results.items()}

    def sections(self, results: Outcome) -> list[Section]:
        rows = [["game", "algorithm", "paid", "figure", "asked", "worst", "reached", "gap to Nash"]]
        for one in results.values():
            asked, n = one["asked"], len(one["figures"])
            cells = [one["game"], one["algorithm"], one["reward"], asked["figure"], f"{asked['sign']} {asked['bound']:g}"]
            rows.append([*cells, f"{one['worst']:.3f}", f"{one['n_reached']} of {n}", f"{max(one['nash_gaps']):.3f}"])
        return [Section("Games with known answers", TEXT, rows)]

    def draw(self, results: Outcome, folder: Path) -> None:
        """It leaves no pictures."""


STUDY = Games()
