"""How likely every action is to the policy that is to be evaluated, at every observation on record."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import torch as th

from envs.core.arrays import FloatArray, FloatArray32
from envs.core.validation import SettingError
from hierarchy.datasets.dataset import Episode
from hierarchy.lower.acting import PolicyActor
from hierarchy.nets.action_form import ActionForm
from hierarchy.nets.joint_choices import JointChoices
from hierarchy.off_policy.settings import OffPolicy
from hierarchy.protocols import Acting, TrainedActor


def target_of(
    actor: TrainedActor, algorithm: str, episodes: Sequence[Episode], action: ActionForm, settings: OffPolicy
) -> FloatArray:
    """Probabilities ``(n_observations, n_choices)`` of an agent that observes what the behaviour met, and remembers that.

    Raises
    ------
    SettingError
        It is to draw actions, and has no probabilities to draw by.
    """
    if settings.draws and not isinstance(actor, PolicyActor):
        raise SettingError("draws", f"false for {algorithm}", True)
    choices, acting = JointChoices(action), actor.start(len(episodes))
    lengths = [len(episode.observations) for episode in episodes]
    steps = [_step(acting, actor, observed, action, choices, settings.draws) for observed in _side_by_side(episodes)]
    found = np.concatenate([np.stack(steps[:n])[:, at] for at, n in enumerate(lengths)])
    explored: FloatArray = (1.0 - settings.random_share) * found + settings.random_share / choices.n
    return explored


def _side_by_side(episodes: Sequence[Episode]) -> list[FloatArray32]:
    """Observations of all episodes, step by step, ``(n_episodes, n_observed)`` each; one that is over shows its last."""
    most = max(len(episode.observations) for episode in episodes)
    return [np.stack([one.observations[min(at, len(one.observations) - 1)] for one in episodes]) for at in range(most)]


def _step(
    acting: Acting, actor: TrainedActor, observed: FloatArray32, action: ActionForm, choices: JointChoices, draws: bool
) -> FloatArray:
    """Probabilities ``(n_episodes, n_choices)`` of one step; those of who draws nothing are 1 and 0."""
    if not draws:
        certain: FloatArray = np.eye(choices.n)[choices.encode(acting.act(observed))]
        return certain
    assert isinstance(actor, PolicyActor)
    parameters = th.from_numpy(acting.parameters(observed))  # type: ignore[attr-defined]  # an ActingPolicy
    every = th.tensor(list(itertools.product(*map(range, action.sizes))))
    n = len(parameters)
    log_p, _ = actor.module.head.evaluate(parameters.repeat_interleave(len(every), dim=0), every.repeat(n, 1))
    odds = log_p.view(n, -1).exp().double()
    probability: FloatArray = (odds / odds.sum(1, keepdim=True)).numpy()
    return probability
