"""What one action leads to is one step, where envs listen and end at different times."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from hierarchy.collecting.behaviour import Done
from hierarchy.collecting.episodes import collect

DUE = np.array([[1, 1], [1, 0], [0, 1], [1, 1]], bool)  # (steps, envs)
TERMINATED = np.array([[0, 0], [0, 0], [1, 0], [1, 0]], bool)
TRUNCATED = np.array([[0, 0], [0, 0], [0, 0], [0, 1]], bool)


class Counting:
    """Two envs of one agent; observations, actions and rewards are the number of the step."""

    n_rows, n_agents, term_names = 2, 1, ("one",)

    def __init__(self) -> None:
        self.at, self.simulation = 0, SimpleNamespace(costs=SimpleNamespace(names=()))

    @property
    def world(self) -> Any:
        return SimpleNamespace(actuator=SimpleNamespace(due=DUE[self.at]))

    def of_rows(self, of_envs: np.ndarray) -> np.ndarray:
        return of_envs

    def reset(self) -> np.ndarray:
        return np.zeros((2, 1), np.float32)

    def decide(self, action: np.ndarray) -> Any:
        assert (action == self.at).all()
        self.at += 1
        reward = np.full(2, float(self.at))
        info = {"costs": {}, "reward_vector": -reward[:, None]}
        return np.full((2, 1), self.at, np.float32), reward, TERMINATED[self.at - 1], TRUNCATED[self.at - 1], info


class Counts:
    """Does the number of the step."""

    def act(self, observation: np.ndarray) -> Done:
        return Done(observation.astype(int), np.ones(2), np.zeros(2, bool))


def test_what_an_action_leads_to_adds_up_until_the_next_is_listened_to() -> None:
    first, second = collect(Counting(), Counts(), 0, [5, 6])  # type: ignore[arg-type]
    assert first.actions.ravel().tolist() == [0, 1]
    assert first.rewards.tolist() == [1.0, 2.0 + 3.0]
    assert first.observations.ravel().tolist() == [0.0, 1.0, 3.0], "the last is where it ended"
    assert (first.terminations.tolist(), first.truncations.tolist()) == ([False, True], [False, False])
    assert second.actions.ravel().tolist() == [0, 2, 3]
    assert second.rewards.tolist() == [1.0 + 2.0, 3.0, 4.0]
    assert second.observations.ravel().tolist() == [0.0, 2.0, 3.0, 4.0]
    assert (second.terminations.any(), second.truncations.tolist()) == (False, [False, False, True])
    assert second.terms["one"].tolist() == [3.0, 3.0, 4.0]
    assert (first.env_id, second.env_id) == (5, 6)
