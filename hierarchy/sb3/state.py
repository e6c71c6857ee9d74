"""All that moves in an agent of Stable-Baselines3 that is between two rollouts, as a state tree.

Saved by SB3 itself an agent loses its replay buffer, its exploration, the state of its env and of the random generators
(Stable-Baselines3 issue 1916): what is loaded goes on otherwise than what was saved.
"""

from __future__ import annotations

import random

import numpy as np
import torch as th
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.save_util import recursive_getattr

from envs.core.state import Tree, restore, state_of
from hierarchy.nets.optimisers import like, plain

COUNTS = ("num_timesteps", "_n_updates", "_episode_num", "_current_progress_remaining")
TRANSITIONS = ("observations", "next_observations", "actions", "rewards", "dones", "timeouts")


def agent_state(agent: BaseAlgorithm) -> Tree:
    """Counts, networks, optimisers, observations, the env, a replay buffer if there is one, the libraries' generators."""
    assert agent.env is not None
    state: Tree = {
        "counts": {name: getattr(agent, name) for name in COUNTS},
        "parameters": {name: plain(values) for name, values in agent.get_parameters().items()},
        "variables": {name: plain(recursive_getattr(agent, name)) for name in variables(agent)},
        "observation": np.array(agent._last_obs),
        "starts": np.array(agent._last_episode_starts),
        "env": state_of(agent.env),
        "generators": generators_state(),
    }
    if isinstance(agent, OffPolicyAlgorithm) and agent.replay_buffer is not None:
        state["buffer"] = buffer_state(agent.replay_buffer)
    return state


def set_agent_state(agent: BaseAlgorithm, state: Tree) -> None:
    """Go on from a state of :func:`agent_state`: of an agent of the same settings, over an env of the same settings."""
    assert agent.env is not None
    for name in COUNTS:
        setattr(agent, name, state["counts"][name])
    now = agent.get_parameters()
    agent.set_parameters({name: like(now[name], values) for name, values in state["parameters"].items()}, device="cpu")
    for name in variables(agent):
        variable = recursive_getattr(agent, name)
        variable.data.copy_(th.as_tensor(np.asarray(state["variables"][name])))
    agent._last_obs, agent._last_episode_starts = np.array(state["observation"]), np.array(state["starts"])
    restore(agent.env, state["env"])
    if isinstance(agent, OffPolicyAlgorithm) and agent.replay_buffer is not None:
        set_buffer_state(agent.replay_buffer, state["buffer"])
    set_generators_state(state["generators"])


def variables(agent: BaseAlgorithm) -> list[str]:
    """Names of trained tensors that belong to no network."""
    _, variables = agent._get_torch_save_params()
    return variables


def buffer_state(buffer: ReplayBuffer) -> Tree:
    """The transitions that a replay buffer holds ``(n, n_envs, ...)``, and where the next one goes."""
    n = buffer.buffer_size if buffer.full else buffer.pos
    kept = {name: getattr(buffer, name)[:n].copy() for name in TRANSITIONS}
    return {**kept, "position": buffer.pos, "is_full": buffer.full}


def set_buffer_state(buffer: ReplayBuffer, state: Tree) -> None:
    """Go on from a state of :func:`buffer_state`."""
    for name in TRANSITIONS:
        getattr(buffer, name)[: len(state[name])] = state[name]
    buffer.pos, buffer.full = state["position"], state["is_full"]


def generators_state() -> Tree:
    """Of the global generators of Python, numpy and torch, which SB3 seeds and draws from."""
    version, inner, gauss = random.getstate()
    _, keys, position, has_gauss, cached = np.random.get_state()  # noqa: NPY002  # the one that SB3 seeds
    return {
        "python": {"version": version, "inner": np.array(inner, np.uint64), "gauss": np.nan if gauss is None else gauss},
        "numpy": {"keys": np.array(keys), "position": position, "has_gauss": has_gauss, "cached": cached},
        "torch": th.get_rng_state().numpy().copy(),
    }


def set_generators_state(state: Tree) -> None:
    """Go on from a state of :func:`generators_state`."""
    python, of_numpy = state["python"], state["numpy"]
    gauss = None if np.isnan(python["gauss"]) else python["gauss"]
    random.setstate((python["version"], tuple(python["inner"].tolist()), gauss))
    kept = of_numpy["keys"], of_numpy["position"], of_numpy["has_gauss"], of_numpy["cached"]
    np.random.set_state(("MT19937", *kept))  # noqa: NPY002  # see above
    th.set_rng_state(th.from_numpy(np.array(state["torch"])))
