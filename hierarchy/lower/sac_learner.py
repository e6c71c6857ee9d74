"""Soft actor-critic over a GRU, in training: sequences are replayed, and losses learn from what is remembered of them.

One encoder with a GRU makes what is remembered of observations. It is trained by the loss of the values alone, and the
policy takes what it makes as it is (Yarats et al., AAAI 2021); values of what comes next are of the same memory.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch as th
from stable_baselines3.common.utils import set_random_seed
from stable_baselines3.common.vec_env import VecEnv
from tensordict import TensorDict
from torch import nn
from torchrl.objectives import SoftUpdate, ValueEstimators

from envs.core.arrays import Array, FloatArray32
from envs.core.finite import NonFiniteError
from envs.core.state import Tree, generator_state, restore, set_generator_state, state_of
from hierarchy.lower.acting import PolicyActor
from hierarchy.lower.figures import ContextFigures, Figures, figures_of
from hierarchy.lower.ppo_learner import preprocessed
from hierarchy.lower.sac_gru import SACGRUConfig
from hierarchy.lower.sac_losses import losses_of_choices, losses_of_numbers
from hierarchy.nets.action_form import form_of
from hierarchy.nets.actor import ActorForm, RecurrentActor, Squashed, gru_cell
from hierarchy.nets.actor import build as build_actor
from hierarchy.nets.optimisers import like, plain
from hierarchy.nets.preprocessed_env import PreprocessedVecEnv
from hierarchy.nets.saving import Tensors, acting_tensors, arrays_of, described, fill, take_over
from hierarchy.nets.sequence_replay import SequenceReplay, Steps
from hierarchy.protocols import Observer, SavedAgent
from hierarchy.sb3.state import generators_state, set_generators_state
from hierarchy.vec_env import BatchVecEnv

RECORDED = 32
"""Actions of all envs in a rollout, between two of which training may be cut short."""
MOST_GRADIENT = 10.0
SETTINGS = ("alpha_init", "target_entropy", "gamma")
"""In the state of a loss, and not learned."""
LITTLE = 0.01
"""What is left of the weights of the last layer, so that it begins at the nominal action whatever is observed."""


class SACGRULearner:
    """An agent in training; steps are those of the world, over all envs."""

    def __init__(self, config: SACGRUConfig, env: VecEnv, seed: int, n_terms: int, figures: Figures) -> None:
        self.config, self.n_steps, self._venv, self._figures = config, 0, env, figures
        self._steps_per_action = int(getattr(env.unwrapped, "steps_per_action", 1))
        self._rng = np.random.default_rng(np.random.SeedSequence(seed).spawn(1)[0])
        set_random_seed(seed)
        env.seed(seed)
        self.module = build_actor(_form(config, env, n_terms))
        self._make()
        self._replay = SequenceReplay(config.buffer_size, env.num_envs)
        self._observed: FloatArray32 | None = None
        self._starts = np.ones(env.num_envs, np.bool_)
        self._memory = self.module.initial_memory(env.num_envs)[0]
        self._losses: dict[str, float] = {}

    def _make(self) -> None:
        """The losses, and what descends them."""
        config, action = self.config, self.module.form.action
        self._sizes = action.sizes
        self._policy, self.loss = (losses_of_choices if self._sizes else losses_of_numbers)(
            self.module, config.entropy_share
        )
        self.loss.make_value_estimator(ValueEstimators.TD0, gamma=config.gamma)
        self._targets = SoftUpdate(self.loss, tau=config.tau)
        learned = [*self.loss.parameters(), *self.module.encoder.parameters(), *self.module.recurrent.parameters()]
        self._optimiser = th.optim.Adam(learned, config.learning_rate)

    @property
    def actor(self) -> PolicyActor:
        """What acts as the agent has learned to by now."""
        return PolicyActor(self.module)

    def learn(self, n_steps: int, *observers: Observer) -> None:
        """Train for ``n_steps`` more, or until the rollout that they end in is over."""
        end = self.n_steps + n_steps
        if self._observed is None:
            self._observed = np.array(self._venv.reset())
        while self.n_steps < end:
            for observer in observers:
                observer.on_rollout(self.n_steps)
            for _ in range(RECORDED):
                self._step()
                for observer in observers:
                    observer.on_step(self.n_steps)
            values = self._figures.taken()
            if isinstance(self._figures, ContextFigures):
                values |= {f"lower/{name}": one for name, one in self._losses.items()}
            for observer in observers:
                observer.on_metrics(values, self.n_steps)

    def _step(self) -> None:
        """An action of all envs, and what is learned after it."""
        assert self._observed is not None
        before = self._memory
        action = self._act()
        following, reward, done, infos = self._venv.step(action)
        truncated = np.array([bool(info.get("TimeLimit.truncated")) for info in infos])
        chosen = action.reshape(len(reward), -1)
        self._replay.add(Steps(self._observed, self._starts, before.numpy(), chosen, reward, done & ~truncated, truncated))
        self._observed, self._starts = np.array(following), np.array(done)
        self._figures.take_in(self._venv.unwrapped)  # type: ignore[arg-type]  # that of a batch
        self.n_steps += self._venv.num_envs * self._steps_per_action
        if len(self._replay) > self.config.length and self.n_steps // self._steps_per_action >= self.config.learning_starts:
            for _ in range(self.config.updates):
                self._update()

    @th.no_grad()
    def _act(self) -> Array:
        """Actions drawn from the policy, in the space of the world."""
        keep = th.from_numpy(1.0 - self._starts[:, None].astype(np.float32))
        features, _ = self.module.encoder.encode(th.from_numpy(self._observed))
        assert isinstance(self.module.recurrent, nn.GRU)
        (self._memory,) = gru_cell(self.module.recurrent, features, (self._memory,), keep)
        drawn = self._policy.get_dist(TensorDict({"hidden": self._memory}, [len(keep)])).sample()
        action: Array = drawn.numpy()
        return action[:, 0] if self.module.form.action.kind == "discrete" else action

    def _update(self) -> None:
        """A gradient step on drawn sequences."""
        config = self.config
        steps = self._replay.draw(config.batch_size, config.length + 1, self._rng)
        hidden = self._remembered(steps)
        learned = {name: part[config.burn_in : -1] for name, part in steps._asdict().items()}
        batch = self._batch(Steps(**learned), hidden)
        values = self.loss(batch)["loss_qvalue"]
        policy = self.loss(batch.detach())
        total = values + policy["loss_actor"] + policy["loss_alpha"]
        share = 1.0 - (1.0 - config.final_share) * min(self.n_steps / config.timesteps, 1.0)
        for group in self._optimiser.param_groups:
            group["lr"] = config.learning_rate * share
        self._optimiser.zero_grad()
        total.backward()
        norm = float(nn.utils.clip_grad_norm_(self._optimiser.param_groups[0]["params"], MOST_GRADIENT))
        if not math.isfinite(norm):
            raise NonFiniteError(
                f"gradient of SAC must be finite, got {norm} after {self.n_steps} steps: parameters are kept"
            )
        self._optimiser.step()
        self._targets.step()
        found = {"value_loss": values, "policy_loss": policy["loss_actor"], "entropy": policy["entropy"]}
        self._losses = {**{name: float(one.detach()) for name, one in found.items()}, "alpha": float(policy["alpha"])}

    def _remembered(self, steps: Steps) -> th.Tensor:
        """What is remembered after each step of sequences but those of the burn-in ``(length - burn_in, n, hidden)``."""
        first, rest = (
            Steps(**{name: part[where] for name, part in steps._asdict().items()})
            for where in (slice(self.config.burn_in), slice(self.config.burn_in, None))
        )
        hidden = th.from_numpy(steps.memory[0])
        if self.config.burn_in:
            with th.no_grad():
                hidden = self._through(first, hidden)[-1]
        return self._through(rest, hidden)

    def _through(self, steps: Steps, hidden: th.Tensor) -> th.Tensor:
        """What is remembered after each step ``(length, n, hidden)``, from ``hidden (n, hidden)`` on, and cleared where an
        episode begins.
        """
        observed = th.from_numpy(steps.observation)
        features, _ = self.module.encoder.encode(observed.flatten(0, 1))
        features, keep = features.view(*observed.shape[:2], -1), th.from_numpy(~steps.start)[..., None].float()
        found, gru = [], self.module.recurrent
        assert isinstance(gru, nn.GRU)
        if not steps.start[1:].any():
            return gru(features, (keep[0] * hidden)[None])[0]  # type: ignore[no-any-return]
        for step, kept in zip(features, keep, strict=True):
            (hidden,) = gru_cell(gru, step, (hidden,), kept)
            found.append(hidden)
        return th.stack(found)

    def _batch(self, steps: Steps, hidden: th.Tensor) -> TensorDict:
        """Steps ``(length, n)`` and what is remembered after them and after the next, as TorchRL has them, in one row.

        After a step that a time limit cut off nothing is known of what comes next: it is left out.
        """
        known = th.from_numpy(~steps.truncated).flatten()
        now, then = hidden[:-1].flatten(0, 1)[known], hidden[1:].detach().flatten(0, 1)[known]
        action = th.from_numpy(steps.action).flatten(0, 1)[known]
        shape = (len(now), len(self._sizes), 1) if self._sizes else (len(now), 1)

        def shared(part: Array) -> th.Tensor:
            of_steps = th.from_numpy(part).flatten()[known]
            return of_steps.view(-1, *[1] * (len(shape) - 1)).expand(shape)

        over = shared(steps.terminated)
        following = {"hidden": then, "reward": shared(steps.reward), "done": over, "terminated": over}
        return TensorDict({"hidden": now, "action": action, "next": TensorDict(following, [len(now)])}, [len(now)])

    def tensors(self) -> Tensors:
        """Everything that is learned, by name: what acts, and the rest that training goes on with."""
        acting = acting_tensors(self.module)
        known = {tensor.data_ptr() for tensor in acting.values()}
        rest = {f"loss.{name}": one for name, one in self.loss.state_dict().items() if not name.endswith(SETTINGS)}
        if isinstance(self._venv, PreprocessedVecEnv) and self._venv.reward_scale is not None:
            moments = self._venv.reward_scale.moments
            rest |= {f"returns.{name}": th.from_numpy(array) for name, array in moments.items()}
        return acting | {name: tensor for name, tensor in rest.items() if tensor.data_ptr() not in known}

    def begin_from(self, saved: SavedAgent) -> None:
        """Take over what a saved agent has learned.

        Raises
        ------
        SettingError
            It is of another kind.
        """
        take_over(self.tensors(), saved, self._description)

    @property
    def _description(self) -> Mapping[str, Any]:
        return described(self.config.algorithm, self.module.form)

    def saved(self, name: str) -> SavedAgent:
        """The agent as it is now."""
        return SavedAgent(name, self._description, arrays_of(self.tensors()))

    def get_state(self) -> Tree:
        """All that moves, before a rollout begins, the libraries' generators among it."""
        observed = {} if self._observed is None else {"observed": self._observed.copy()}
        return {
            **observed,
            "n_steps": self.n_steps,
            "starts": self._starts.copy(),
            "memory": self._memory.numpy().copy(),
            "learned": arrays_of(self.tensors()),
            "optimiser": plain(self._optimiser.state_dict()),
            "replay": self._replay.get_state(),
            "env": state_of(self._venv),
            "figures": self._figures.get_state(),
            "losses": dict(self._losses),
            "generator": generator_state(self._rng),
            "generators": generators_state(),
        }

    def set_state(self, state: Tree) -> None:
        """Go on from a state of a learner that was built with the same settings, to the last bit."""
        self._observed = np.array(state["observed"]) if "observed" in state else None
        self.n_steps, self._losses = int(state["n_steps"]), dict(state.get("losses", {}))
        self._starts, self._memory = np.array(state["starts"]), th.from_numpy(np.array(state["memory"]))
        fill(self.tensors(), state["learned"], "state")
        self._optimiser.load_state_dict(like(self._optimiser.state_dict(), state["optimiser"]))
        self._replay.set_state(state["replay"])
        restore(self._venv, state["env"])
        self._figures.set_state(state["figures"])
        set_generator_state(self._rng, state["generator"])
        set_generators_state(state["generators"])


def _form(config: SACGRUConfig, env: VecEnv, n_terms: int) -> ActorForm:
    (n_observed,) = env.observation_space.shape  # type: ignore[misc]  # that of a batch has a shape
    return ActorForm(
        policy="joint",
        normalise=False,
        action=form_of(env.action_space),
        hidden_size=config.hidden_size,
        n_observed=n_observed,
        n_terms=n_terms,
        n_parts=0,
        n_shared=0,
        history=1,
        memory="gru",
    )


def build(config: SACGRUConfig, env: BatchVecEnv, seed: int, contextual: bool) -> SACGRULearner:
    """See :meth:`hierarchy.lower.sac_gru.SACGRUConfig.build`."""
    batch = env.batch
    config.check_world(0, batch.action_space)
    learned_in = preprocessed(config, config.gamma, env, contextual)
    learner = SACGRULearner(config, learned_in, seed, batch.n_terms, figures_of(contextual))
    if batch.world.nominal_action is not None:
        _begin_near(learner.module, batch.world.nominal_action, config.nominal_logit)
    return learner


@th.no_grad()
def _begin_near(module: RecurrentActor, action: Array, logit: float) -> None:
    """Prefer an action ``(n_choices,)`` in every state, before anything is learned; by ``logit`` where there are logits."""
    net, preferred = module.action_net, module.head.preferring(action, logit)
    if isinstance(net, Squashed):
        net.begin_at(preferred)
        net = net.linear
    else:
        assert isinstance(net, nn.Linear)
        net.bias.copy_(preferred)
    net.weight.mul_(LITTLE)
