"""Episodes of a behaviour in a batch, agent by agent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from envs.core.arrays import Array, BoolArray, FloatArray, FloatArray32
from envs.core.batch import BatchEnv
from hierarchy.collecting.behaviour import Done
from hierarchy.datasets.dataset import Episode


class Acts(Protocol):
    """Who acts, and says how likely that was."""

    def act(self, observation: FloatArray32) -> Done:
        """What is done in every row for observations ``(n_rows, n_observed)``."""


class Row:
    """What one agent meets: a step for every action of its that the world listened to, whatever that took."""

    def __init__(self) -> None:
        self._steps: list[dict[str, Any]] = []
        self._last: tuple[FloatArray32, bool, bool] | None = None

    def begin(self, observation: FloatArray32, action: Array, propensity: float, random: bool) -> None:
        """An action is listened to."""
        of_action = {"observation": observation, "action": action, "propensity": propensity, "random": random}
        self._steps.append({**of_action, "reward": 0.0, "terms": 0.0, "costs": 0.0})

    def go_on(self, observation: FloatArray32, reward: float, terms: FloatArray, costs: FloatArray) -> None:
        """Where that has led so far."""
        step = self._steps[-1]
        for name, value in (("reward", reward), ("terms", terms), ("costs", costs)):
            step[name] = step[name] + value
        self._last = observation, False, False

    def end(self, observation: FloatArray32, terminated: bool, truncated: bool) -> None:
        """The episode is over."""
        self._last = observation, terminated, truncated

    def episode(self, seed: int, env_id: int, agent: int, terms: Sequence[str], costs: Sequence[str]) -> Episode:
        """All of it; ``terms`` and ``costs`` are names."""
        assert self._last is not None
        observation, terminated, truncated = self._last
        columns = {name: np.array([step[name] for step in self._steps]) for name in self._steps[0]}
        last = np.arange(len(self._steps)) == len(self._steps) - 1
        return Episode(
            seed=seed,
            env_id=env_id,
            agent=agent,
            observations=np.concatenate([columns["observation"], observation[None]]),
            actions=columns["action"],
            rewards=columns["reward"],
            terminations=last & terminated,
            truncations=last & truncated,
            propensity=columns["propensity"],
            random=columns["random"],
            terms=dict(zip(terms, columns["terms"].T, strict=True)),
            costs=dict(zip(costs, columns["costs"].T, strict=True)) if costs else {},
        )


def collect(batch: BatchEnv, acts: Acts, seed: int, env_ids: Sequence[int]) -> list[Episode]:
    """One episode of every env of a fresh batch, those of an env's agents one after another.

    Parameters
    ----------
    seed, env_ids
        That the batch was made with.
    """
    observation = batch.reset()
    rows = [Row() for _ in range(batch.n_rows)]
    over: BoolArray = np.zeros(batch.n_rows, np.bool_)
    while not over.all():
        due = batch.of_rows(batch.world.actuator.due) & ~over
        done = acts.act(observation)
        for at in np.flatnonzero(due):
            rows[at].begin(observation[at], done.action[at], float(done.propensity[at]), bool(done.random[at]))
        observation, reward, terminated, truncated, info = batch.decide(done.action)
        costs = np.stack([*info["costs"].values(), np.zeros(batch.n_rows)], axis=-1)[:, :-1]
        for at in np.flatnonzero(~over):
            rows[at].go_on(observation[at], float(reward[at]), -info["reward_vector"][at], costs[at])
        for at in np.flatnonzero((terminated | truncated) & ~over):
            rows[at].end(observation[at], bool(terminated[at]), bool(truncated[at]))
        over = over | terminated | truncated
    names = batch.term_names, batch.simulation.costs.names
    n = batch.n_agents
    return [row.episode(seed, env_ids[at // n], at % n, *names) for at, row in enumerate(rows)]
