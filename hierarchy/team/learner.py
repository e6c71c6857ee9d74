"""What learners of teams share: the way through the envs, scales, the optimiser, and a state that they go on from."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import torch as th
from torch import nn

from envs.core.arrays import Array
from envs.core.state import Tree, generator_state, restore, set_generator_state, state_of
from envs.core.team import TeamEnv
from hierarchy.nets.optimisers import like, plain
from hierarchy.nets.saving import Tensors, arrays_of, fill, take_over
from hierarchy.protocols import Observer, SavedAgent
from hierarchy.team.acting import TeamActor, TeamModule, acting_tensors, learned_in
from hierarchy.team.config import TeamConfig
from hierarchy.team.nets import Standard
from hierarchy.team.stepping import Moments, Stepper, Transition

DERIVED = "_value_estimator"
"""Of a loss: settings, not what is learned."""


class LearnerBase:
    """A team in training: uniform actions first, which scale what is observed and paid, then rollouts with gradient steps.

    A subclass makes ``loss`` and ``optimiser`` in :meth:`_make`, and learns in :meth:`_rollout`.

    Attributes
    ----------
    module
        What acts.
    n_steps
        Trained so far, over all envs together.
    """

    config: TeamConfig
    loss: nn.Module
    optimiser: th.optim.Optimizer

    def __init__(self, env: TeamEnv, config: TeamConfig, seed: int) -> None:
        self.config, self.n_steps = config, 0
        self._spec, form = env.spec, config.form(env.spec)
        (self._n_state,) = env.spec.state_space.shape
        of_env, of_networks, own = np.random.SeedSequence(seed).generate_state(3)
        self._rng = np.random.default_rng(own)
        self._stepper = Stepper(env, form, int(of_env))
        self._moments = {"observation": Moments(form.n_features), "state": Moments(self._n_state), "reward": Moments(1)}
        with th.random.fork_rng(devices=[]):
            th.manual_seed(int(of_networks))
            self.module = TeamModule(form)
            self._state_standard, self._reward_scale = Standard(self._n_state), Standard(1)
            self._make()

    def _make(self) -> None:
        """Make loss and optimiser."""
        raise NotImplementedError

    def _rollout(self) -> dict[str, float]:
        """Step the envs and learn; figures to record, if there are any."""
        raise NotImplementedError

    def _keep(self, steps: Transition) -> None:
        """Take in a step of the warm-up."""

    @property
    def actor(self) -> TeamActor:
        """What acts as the team has learned to by now."""
        return TeamActor(self.module)

    @property
    def progress(self) -> float:
        """From 0 to 1 as training goes on."""
        return min(self.n_steps / self.config.timesteps, 1.0)

    def learn(self, n_steps: int, *observers: Observer) -> None:
        """Train for ``n_steps`` more, or until the rollout that they end in is over."""
        end = self.n_steps + n_steps
        while self.n_steps < end:
            for observer in observers:
                observer.on_rollout(self.n_steps)
            self._observers = observers
            figures = self._rollout() if self.n_steps >= self.config.warm_up else self._warm_up()
            for observer in observers if figures else ():
                observer.on_metrics(figures, self.n_steps)

    _observers: tuple[Observer, ...] = ()
    _taken_scales: Collection[str] = ()  # those of a saved team

    def _warm_up(self) -> dict[str, float]:
        """A step of uniform actions; the last one settles the scales."""
        form = self.module.form
        steps = self._step(form.action.uniform(self._rng, (self._stepper.n_envs, form.n_agents)))
        self._keep(steps)
        self._moments["observation"].add(steps.window[:, :, -1, :-1])
        self._moments["state"].add(steps.state)
        self._moments["reward"].add(self._rewards(steps)[..., None])
        if self.n_steps >= self.config.warm_up:
            self._settle()
        return {}

    def _settle(self) -> None:
        """Scale by what was measured, but for scales that were taken over; rewards keep their zero."""
        scales = {"observation": self.module.standard, "state": self._state_standard, "reward": self._reward_scale}
        for name, standard in scales.items():
            if name in self._taken_scales:
                continue
            moments = self._moments[name]
            if name != "reward":
                standard.mean.copy_(th.from_numpy(moments.mean))
            standard.std.copy_(th.from_numpy(moments.std))

    def _step(self, action: Array) -> Transition:
        """A step of all envs."""
        steps = self._stepper.step(action)
        self.n_steps += self._stepper.n_envs
        for observer in self._observers:
            observer.on_step(self.n_steps)
        return steps

    def _rewards(self, steps: Transition) -> Array:
        """What each agent learns from ``(..., n_agents)``: its own reward, or that of the team."""
        if self.config.reward == "own":
            return steps.reward
        return np.broadcast_to(steps.reward.sum(-1, keepdims=True), steps.reward.shape)

    def _scaled_rewards(self, steps: Transition) -> th.Tensor:
        """The same by their scale, ``(..., n_agents, 1)``."""
        return th.from_numpy(self._rewards(steps).copy())[..., None] / self._reward_scale.std

    def _windows(self, window: Array) -> th.Tensor:
        """Windows, standardised."""
        return self.module.standard.windows(th.from_numpy(window))

    def _states(self, state: Array) -> th.Tensor:
        """States, standardised."""
        return self._state_standard(th.from_numpy(state))  # type: ignore[no-any-return]  # a module's

    def _descend(self, loss: th.Tensor) -> None:
        """A gradient step."""
        share = 1.0 - (1.0 - self.config.final_share) * self.progress
        for group in self.optimiser.param_groups:
            group["lr"] = group["initial_lr"] * share
        self.optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        for group in self.optimiser.param_groups:
            nn.utils.clip_grad_norm_(group["params"], self.config.max_grad_norm)
        self.optimiser.step()

    def tensors(self) -> Tensors:
        """Everything that is learned, by name: what acts, and the rest that training goes on with."""
        acting = acting_tensors(self.module)
        known = {tensor.data_ptr() for tensor in acting.values()}
        rest = {
            **{f"loss.{name}": one for name, one in learned_in(self.loss).items() if not name.startswith(DERIVED)},
            **{f"state.{name}": one for name, one in learned_in(self._state_standard).items()},
            "reward.std": self._reward_scale.std,
        }
        return acting | {name: tensor for name, tensor in rest.items() if tensor.data_ptr() not in known}

    def saved(self, name: str) -> SavedAgent:
        """The team as it is now."""
        return SavedAgent(name, self._description, arrays_of(self.tensors()))

    def begin_from(self, saved: SavedAgent) -> None:
        """Take over what a saved team has learned."""
        if take_over(self.tensors(), saved, self._description):
            self._taken_scales = tuple(self._moments)
        else:
            self._taken_scales = ("observation",)
            self._begin_rest()

    def _begin_rest(self) -> None:
        """Have what was not taken over follow what acts."""

    @property
    def _description(self) -> Mapping[str, Any]:
        return {**self.actor.described(self.config.algorithm), "agents": list(self._spec.agents)}

    def get_state(self) -> Tree:
        """All that moves, before a rollout begins."""
        return {
            "n_steps": self.n_steps,
            "taken_scales": {name: name in self._taken_scales for name in self._moments},
            "generator": generator_state(self._rng),
            "learned": arrays_of(self.tensors()),
            "optimiser": plain(self.optimiser.state_dict()),
            "stepper": self._stepper.get_state(),
            "moments": {name: state_of(one) for name, one in self._moments.items()},
        }

    def set_state(self, state: Tree) -> None:
        """Go on from a state of :meth:`get_state` of a learner that was built with the same settings, to the last bit."""
        self.n_steps = int(state["n_steps"])
        self._taken_scales = [name for name, is_taken in state["taken_scales"].items() if is_taken]
        set_generator_state(self._rng, state["generator"])
        fill(self.tensors(), state["learned"], "state")
        self.optimiser.load_state_dict(like(self.optimiser.state_dict(), state["optimiser"]))
        self._stepper.set_state(state["stepper"])
        for name, one in self._moments.items():
            restore(one, state["moments"][name])


def adam(*groups: tuple[Any, float]) -> th.optim.Optimizer:
    """Adam over groups of parameters, each with its learning rate."""
    return th.optim.Adam([{"params": list(params), "lr": rate, "initial_lr": rate} for params, rate in groups])
