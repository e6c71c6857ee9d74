"""Reptile (Nichol, Achiam and Schulman, "On First-Order Meta-Learning Algorithms", arXiv:1803.02999, 2018).

In every round a learner begins as the agent that there is, learns in one world as any learner does, and the agent moves
some of the way to where that got. It takes no second derivatives, and nothing of a learner but what it has learned: any
algorithm of the registry will do. Moments of optimisers begin anew in every round, as they will when the agent is tuned to
a world later on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from envs.core.arrays import Array
from envs.core.state import Tree
from envs.core.validation import SettingError
from hierarchy.protocols import Learner, Observer, SavedAgent, TrainedActor

MakeLearner = Callable[[int], Learner]
"""Makes a fresh learner in the world of a round, given its number."""


def moved(agent: Mapping[str, Array], learned: Mapping[str, Array], share: float) -> dict[str, Array]:
    """What an agent is after a share of the way to what was learned; counts are those that were learned."""
    return {
        name: (array + share * (learned[name] - array)).astype(array.dtype) if array.dtype.kind == "f" else learned[name]
        for name, array in agent.items()
    }


class Reptile:
    """A learner of learners.

    Parameters
    ----------
    make
        See :data:`MakeLearner`.
    steps
        Env steps of a round; a learner may take more, to the end of a rollout.
    rate
        Share of the way that is taken in the first round.
    n_steps
        Of all rounds, after which the share is 0.
    """

    def __init__(self, make: MakeLearner, steps: int, rate: float, n_steps: int) -> None:
        self._make, self._steps, self._rate, self._total = make, steps, rate, n_steps
        self._face = make(0)  # acts as the agent, and never learns
        self._saved = self._face.saved("the agent")
        self._round, self.n_steps = 0, 0

    @property
    def actor(self) -> TrainedActor:
        """What acts as the agent that others begin from."""
        self._face.begin_from(self._saved)
        return self._face.actor

    def begin_from(self, saved: SavedAgent) -> None:
        """Take over what a saved agent has learned."""
        self._face.begin_from(saved)
        self._saved = self._face.saved("the agent")

    def saved(self, name: str) -> SavedAgent:
        """The agent that others begin from."""
        return self._saved._replace(name=name)

    def learn(self, n_steps: int, *observers: Observer) -> None:
        """Learn in rounds for ``n_steps`` more, or until the round that they end in is over.

        Raises
        ------
        SettingError
            A round is so short that nothing is learned in it.
        """
        end = self.n_steps + n_steps
        while self.n_steps < end:
            for observer in observers:
                observer.on_rollout(self.n_steps)
            self._learn_round(min(self._steps, end - self.n_steps), observers)

    def _learn_round(self, n_steps: int, observers: tuple[Observer, ...]) -> None:
        learner = self._make(self._round)
        learner.begin_from(self._saved)
        learner.learn(n_steps, *(_Later(observer, self.n_steps) for observer in observers))
        share = self._rate * max(1.0 - self.n_steps / self._total, 0.0)
        learned = learner.saved("the agent")
        if all(np.array_equal(array, self._saved.arrays[name]) for name, array in learned.arrays.items()):
            raise SettingError("meta.steps", "more, for this algorithm learns nothing in so few", self._steps)
        self._saved = learned._replace(arrays=moved(self._saved.arrays, learned.arrays, share))
        self.n_steps += learner.n_steps
        self._round += 1

    def get_state(self) -> Tree:
        """The agent and the rounds that are over: what is learned in one depends on its number, and on nothing before it
        but the agent.
        """
        return {"arrays": dict(self._saved.arrays), "round": self._round, "n_steps": self.n_steps}

    def set_state(self, state: Tree) -> None:
        """Go on from a state of one that was made alike, to the last bit."""
        self._saved = self._saved._replace(arrays={name: np.array(array) for name, array in state["arrays"].items()})
        self._round, self.n_steps = state["round"], state["n_steps"]


class _Later(Observer):
    """Tells an observer of a learner whose first step is not the first; rollouts within a round are nobody's business."""

    def __init__(self, observer: Observer, before: int) -> None:
        self._observer, self._before = observer, before

    def on_step(self, n_steps: int) -> None:
        self._observer.on_step(self._before + n_steps)

    def on_metrics(self, values: Mapping[str, float], n_steps: int) -> None:
        self._observer.on_metrics(values, self._before + n_steps)
