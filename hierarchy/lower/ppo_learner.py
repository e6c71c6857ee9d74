"""Recurrent PPO over a batch of a world: built, and kept as what it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch as th
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import VecEnv

from envs.core.state import Tree
from hierarchy.lower.acting import PolicyActor
from hierarchy.lower.config import LowerConfig
from hierarchy.lower.contextual_ppo import ContextualPPO
from hierarchy.lower.figures import RolloutFigures
from hierarchy.lower.fused_ppo import FusedRecurrentPPO
from hierarchy.lower.ppo_config import PPOConfig
from hierarchy.nets.context_gate import ContextGate
from hierarchy.nets.equivariant import EquivariantLstmPolicy
from hierarchy.nets.memory import memory_of, state_of
from hierarchy.nets.part_networks import PartEncoder
from hierarchy.nets.preprocessed_env import CLIP_SCALED_REWARD, PreprocessedVecEnv, RewardScale
from hierarchy.nets.preprocessing import Preprocessing
from hierarchy.nets.recurrent import FusedLstmPolicy
from hierarchy.nets.saving import Tensors, described
from hierarchy.protocols import Observer, SavedAgent
from hierarchy.sb3.learner import SB3Learner, falling
from hierarchy.vec_env import BatchVecEnv


class PPOLearner(SB3Learner):
    """Recurrent PPO in training: weights are of use only with the moments that they were learned by."""

    agent: FusedRecurrentPPO

    def tensors(self) -> Tensors:
        """Weights, moments of observations and returns, scales of contexts."""
        found, env = super().tensors(), self.agent.get_env()
        if isinstance(env, PreprocessedVecEnv) and env.reward_scale is not None:
            found |= {f"returns.{name}": th.from_numpy(array) for name, array in env.reward_scale.moments.items()}
        return found | self.agent.learned

    def begin_from(self, saved: SavedAgent) -> None:
        """Take over what a saved agent has learned; the env's moments of observations are those of the policy."""
        super().begin_from(saved)
        normaliser, env = self.agent.policy.normaliser, self.agent.get_env()
        if normaliser is not None and isinstance(env, PreprocessedVecEnv) and env.normaliser is not None:
            env.normaliser.set_state(normaliser.get_state())

    def get_state(self) -> Tree:
        """All that moves, before a rollout begins: the policy's memory of every env and the scales of contexts as well."""
        moving = {name: part.get_state() for name, part in self.agent.moving.items()}
        return {**super().get_state(), "memory": state_of(self.agent.memory), **moving}

    def set_state(self, state: Tree) -> None:
        """Go on from a state."""
        super().set_state(state)
        self.agent.memory = memory_of(state["memory"])
        for name, part in self.agent.moving.items():
            part.set_state(state[name])
        self.agent.keep_moments()


MakeAgent = Callable[[BatchVecEnv, bool, dict[str, Any]], FusedRecurrentPPO]
"""From an env, whether the agent follows contexts, and settings of SB3's recurrent PPO, to an agent."""


def unbounded(env: BatchVecEnv, contextual: bool, arguments: dict[str, Any]) -> FusedRecurrentPPO:
    """An agent that aims at rewards alone."""
    return ContextualPPO(n_terms=env.batch.n_terms, **arguments) if contextual else FusedRecurrentPPO(**arguments)


def build(config: PPOConfig, env: BatchVecEnv, seed: int, contextual: bool, make: MakeAgent = unbounded) -> PPOLearner:
    """See :meth:`hierarchy.lower.recurrent_ppo.RecurrentPPOConfig.build`."""
    batch = env.batch
    observed = batch.world.observation_function
    n_parts, n_shared = getattr(observed, "n_parts", 0), len(getattr(observed, "shared_names", ()))
    config.check_world(n_parts, batch.action_space, batch.simulation.costs.names)
    arguments = networks(config, batch.n_terms, n_parts, n_shared) | ppo_settings(config, seed)
    wrapped = preprocessed(config, config.gamma, env, contextual)
    agent = make(env, contextual, {"env": wrapped, **arguments})
    if config.explore_together:
        agent.policy.head.n_together = batch.n_agents
    if batch.world.nominal_action is not None:
        agent.policy.begin_near(batch.world.nominal_action, config.nominal_logit)
    return _learner(config, agent, contextual)


def _learner(config: PPOConfig, agent: FusedRecurrentPPO, contextual: bool) -> PPOLearner:
    module = agent.policy.acting
    description = described(config.algorithm, module.form)

    def callbacks(observers: Sequence[Observer]) -> list[BaseCallback]:
        return [RolloutFigures(observers, contextual)]

    return PPOLearner(agent, module, PolicyActor(module), description, callbacks)


def networks(config: PPOConfig, n_terms: int, n_parts: int, n_shared: int) -> dict[str, Any]:
    """The networks of the agent over contexts of ``n_terms`` weights, for SB3.

    An equivariant one observes ``n_parts`` equal parts, and ``n_shared`` features that belong to none.
    """
    equivariant = config.policy == "equivariant"
    kwargs = policy_kwargs(n_terms, config.hidden_size)
    kwargs["preprocessing"] = preprocessing(config, n_terms)
    if equivariant:
        kwargs["features_extractor_class"] = PartEncoder
        kwargs["features_extractor_kwargs"] |= {"n_parts": n_parts, "n_shared": n_shared}
    return {"policy": EquivariantLstmPolicy if equivariant else FusedLstmPolicy, "policy_kwargs": kwargs}


def policy_kwargs(n_terms: int, hidden_size: int) -> dict[str, Any]:
    """Sizes and layers of the networks, for SB3."""
    return {
        "lstm_hidden_size": hidden_size,
        "net_arch": [hidden_size],
        "features_extractor_class": ContextGate,
        "features_extractor_kwargs": {"n_terms": n_terms, "features_dim": hidden_size},
        "optimizer_kwargs": {"fused": True, "eps": 1e-5},
    }


def ppo_settings(config: PPOConfig, seed: int) -> dict[str, Any]:
    """The settings of PPO, for SB3; the learning rate falls in a line."""
    names = ("n_steps", "batch_size", "n_epochs", "gamma", "gae_lambda", "clip_range", "ent_coef")
    return {name: getattr(config, name) for name in names} | {
        "learning_rate": falling(config.learning_rate, config.final_share),
        "seed": seed,
        "device": "cpu",
    }


def preprocessing(config: LowerConfig, n_terms: int) -> Preprocessing:
    """What is done to observations."""
    return Preprocessing(n_terms, config.history, config.normalise_observations)


def preprocessed(config: LowerConfig, gamma: float, env: BatchVecEnv, contextual: bool) -> VecEnv:
    """The env as an agent of that discount learns in it: ``env`` itself where nothing is done to observations or rewards."""
    scales = not contextual or config.clip_reward is not None
    if not (scales or config.normalise_observations or config.history > 1):
        return env
    bound = config.clip_reward or CLIP_SCALED_REWARD
    scale = RewardScale(env.num_envs, gamma, bound, env.batch.n_terms if contextual else 0) if scales else None
    return PreprocessedVecEnv(env, preprocessing(config, env.batch.n_terms), scale)
