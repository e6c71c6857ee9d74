"""A trained lower policy, deterministic, acting for a batch of any width in one call per step."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

import numpy as np
import torch as th
from gymnasium import spaces

from envs.core.arrays import Array, BoolArray, FloatArray32
from envs.core.state import Tree
from hierarchy.nets.actor import ActorForm, RecurrentActor, build
from hierarchy.nets.joint_actor import JointActor, JointForm
from hierarchy.nets.joint_actor import build as build_joint
from hierarchy.nets.memory import memory_of, state_of
from hierarchy.nets.models import JointModel, LowerModel
from hierarchy.nets.saving import check_algorithm, filled, form_in, kept, unfilled
from hierarchy.protocols import SavedAgent

Module = TypeVar("Module", RecurrentActor, JointActor)


class ActingPolicy:
    """The policy in the middle of the episodes of a batch.

    Observations are preprocessed as the policy learned to take them, with the moments that its last rollout ended with. What
    moves is its memory, the stack of observations, and where an episode starts.
    """

    def __init__(self, actor: RecurrentActor | JointActor, n_envs: int) -> None:
        self._actor = actor
        self._preprocessor = actor.preprocessor(n_envs)
        self._memory = actor.initial_memory(n_envs)
        self._starts = np.ones(n_envs, np.bool_)
        self._keep = th.zeros(n_envs, 1)  # of the memory: 0 where an episode starts

    def reset(self, mask: BoolArray | None = None) -> None:
        """Forget what came before in all envs, or where ``mask (n_envs,)`` is set."""
        self._starts |= True if mask is None else mask
        self._keep[:, 0] = th.from_numpy(~self._starts)

    def act(self, observation: FloatArray32) -> Array:
        """Actions ``(n_envs, ...)`` for observations of the world ``(n_envs, n_features)``."""
        return self.mode(self.parameters(observation))

    @th.inference_mode()
    def parameters(self, observation: FloatArray32) -> FloatArray32:
        """One step: parameters of the action distribution ``(n_envs, n_parameters)``."""
        observed = th.from_numpy(self._preprocessor.observe(observation, self._starts))
        parameters, self._memory = self._actor.step(observed, self._memory, self._keep)
        self._starts[:] = False
        self._keep.fill_(1.0)
        found: FloatArray32 = parameters.numpy()
        return found

    @th.inference_mode()
    def mode(self, parameters: FloatArray32) -> Array:
        """The likeliest actions ``(n_envs, ...)`` of such a distribution."""
        action: Array = self._actor.head.mode(th.from_numpy(parameters)).numpy()
        return action

    def get_state(self) -> Tree:
        """Memory, stack, and where an episode starts."""
        return {
            "memory": state_of(self._memory),
            "preprocessing": self._preprocessor.get_state(),
            "starts": self._starts.copy(),
        }

    def set_state(self, state: Tree) -> None:
        """Go on from a state."""
        memory, preprocessing = state["memory"], state["preprocessing"]
        assert isinstance(memory, dict)
        assert isinstance(preprocessing, dict)
        self._memory = memory_of(memory)
        self._preprocessor.set_state(preprocessing)
        self._starts = np.array(state["starts"], np.bool_)
        self._keep[:, 0] = th.from_numpy(~self._starts)


class ModuleActor(Generic[Module]):
    """Networks as an actor.

    Attributes
    ----------
    module
        The networks.
    """

    def __init__(self, module: Module) -> None:
        self.module: Module = module

    def start(self, n_envs: int) -> ActingPolicy:
        """Begin episodes in ``n_envs`` envs side by side."""
        return ActingPolicy(self.module, n_envs)

    def saved(self, name: str, algorithm: str) -> SavedAgent:
        """What acts, to be kept by that name."""
        return kept(name, algorithm, self.module.form, self.module)


class PolicyActor(ModuleActor[RecurrentActor]):
    """A trained policy that remembers."""

    @property
    def model(self) -> LowerModel:
        """What it does, as a function of tensors."""
        return LowerModel(self.module)

    def fitted(
        self, observation_space: spaces.Space[Any], action_space: spaces.Space[Any], n_agents: int = 1
    ) -> PolicyActor:
        """The policy for a world with these spaces; an equivariant one takes any number of parts, and each acts for any
        number of agents.

        Raises
        ------
        ValueError
            It was trained for other observations or actions.
        """
        return PolicyActor(self.module.fitted(observation_space, action_space))


class JointPolicyActor(ModuleActor[JointActor]):
    """A trained policy that makes one choice of all and remembers nothing."""

    @property
    def model(self) -> JointModel:
        """What it does, as a function of tensors."""
        return JointModel(self.module)

    def fitted(
        self, observation_space: spaces.Space[Any], action_space: spaces.Space[Any], n_agents: int = 1
    ) -> JointPolicyActor:
        """The policy for a world with these spaces; each acts for any number of agents.

        Raises
        ------
        ValueError
            It was trained for other observations or actions.
        """
        return JointPolicyActor(self.module.fitted(observation_space, action_space))


def actor_of(saved: SavedAgent, algorithm: str) -> PolicyActor:
    """A policy that was saved.

    Raises
    ------
    SettingError
        It was trained by another algorithm, or its networks are not those that it says.
    """
    check_algorithm(saved, algorithm)
    module = unfilled(lambda: build(form_in(saved, ActorForm)))
    return PolicyActor(filled(module, saved))


def joint_actor_of(saved: SavedAgent, algorithm: str) -> JointPolicyActor:
    """The same of a policy that makes one choice of all.

    Raises
    ------
    SettingError
        As there.
    """
    check_algorithm(saved, algorithm)
    module = unfilled(lambda: build_joint(form_in(saved, JointForm)))
    return JointPolicyActor(filled(module, saved))
