"""A decision process of few states whose values are known, and records of behaviours in it."""

from __future__ import annotations

import numpy as np

from envs.core.arrays import FloatArray
from hierarchy.datasets.dataset import Episode
from hierarchy.nets.action_form import ActionForm
from hierarchy.nets.joint_choices import JointChoices
from hierarchy.off_policy.record import Record, record_of

N_STATES, N_ACTIONS, HORIZON, DISCOUNT = 4, 3, 5, 0.9
CHOICES = JointChoices(ActionForm("multi_discrete", [N_ACTIONS]))
_RNG = np.random.default_rng(3)
LEADS = _RNG.dirichlet(np.full(N_STATES, 0.7), (N_STATES, N_ACTIONS))
"""Chances of the next state, ``(n_states, n_actions, n_states)``."""
PAYS = _RNG.normal(size=(N_STATES, N_ACTIONS))
"""Mean rewards, ``(n_states, n_actions)``."""
BEGINS = _RNG.dirichlet(np.full(N_STATES, 2.0))
BEHAVIOUR = _RNG.dirichlet(np.full(N_ACTIONS, 3.0), N_STATES)
OTHER = 0.6 * BEHAVIOUR + 0.4 * _RNG.dirichlet(np.full(N_ACTIONS, 1.0), N_STATES)
"""A policy ``(n_states, n_actions)`` not far from the behaviour."""


def values(policy: FloatArray, horizon: int = HORIZON) -> tuple[FloatArray, FloatArray]:
    """Values of states and of actions for ``1`` to ``horizon`` actions, ``(horizon, n_states[, n_actions])``."""
    of_states, of_actions = [np.zeros(N_STATES)], []
    for _ in range(horizon):
        of_actions.append(PAYS + DISCOUNT * LEADS @ of_states[-1])
        of_states.append((policy * of_actions[-1]).sum(-1))
    return np.stack(of_states[1:]), np.stack(of_actions)


def value(policy: FloatArray) -> float:
    """Of a piece from the beginning of an episode."""
    return float(BEGINS @ values(policy)[0][-1])


def episode(states: np.ndarray, actions: np.ndarray, rewards: np.ndarray, propensity: np.ndarray, ends: bool) -> Episode:
    """What was met: the state as one entry of several, and a mix of one term."""
    n = len(actions)
    last = np.arange(n) == n - 1
    return Episode(
        seed=0,
        env_id=0,
        agent=0,
        observations=np.concatenate([np.eye(N_STATES)[states], np.ones((n + 1, 1))], axis=1).astype(np.float32),
        actions=actions[:, None],
        rewards=rewards,
        terminations=last & ends,
        truncations=last & (not ends),
        propensity=propensity,
        random=np.zeros(n, np.bool_),
        terms={"cost": -rewards},
        costs={},
    )


def episodes(policy: FloatArray, n: int, seed: int = 0, noise: float = 0.5, length: int = HORIZON) -> list[Episode]:
    """Episodes of a policy; rewards vary by ``noise`` around their means."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(n):
        states, actions = [int(rng.choice(N_STATES, p=BEGINS))], []
        for _ in range(length):
            actions.append(int(rng.choice(N_ACTIONS, p=policy[states[-1]])))
            states.append(int(rng.choice(N_STATES, p=LEADS[states[-1], actions[-1]])))
        at, did = np.array(states), np.array(actions)
        rewards = PAYS[at[:-1], did] + noise * rng.normal(size=length)
        found.append(episode(at, did, rewards, policy[at[:-1], did], False))
    return found


def record(policy: FloatArray, n: int, seed: int = 0, noise: float = 0.5, length: int = HORIZON) -> Record:
    """The same as a record of pieces from the beginning of episodes."""
    return record_of(episodes(policy, n, seed, noise, length), CHOICES, 1, HORIZON)


def states_of(found: Record) -> np.ndarray:
    """The state of every observation."""
    return found.observed[:, :N_STATES].argmax(1)


def target(policy: FloatArray, found: Record) -> FloatArray:
    """Probabilities of a policy at every observation, ``(n_observations, n_actions)``."""
    return policy[states_of(found)]
