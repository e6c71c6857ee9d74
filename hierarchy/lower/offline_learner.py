"""Learning from a dataset by d3rlpy's losses, whose networks are those of the actor; it never acts."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch as th
from d3rlpy.models.encoders import EncoderFactory
from d3rlpy.torch_utility import TorchMiniBatch, hard_sync
from stable_baselines3.common.utils import set_random_seed

from envs.core.arrays import Array
from envs.core.finite import NonFiniteError
from envs.core.state import Tree, generator_state, set_generator_state
from envs.core.validation import SettingError
from envs.core.world import specified
from hierarchy.datasets.dataset import Dataset
from hierarchy.datasets.reading import check_fits, read_dataset
from hierarchy.lower.acting import JointPolicyActor
from hierarchy.lower.offline import DATA, OfflineConfig
from hierarchy.lower.transitions import transitions_of
from hierarchy.nets.action_form import form_of
from hierarchy.nets.joint_actor import JointActor, JointEncoder, JointForm
from hierarchy.nets.joint_choices import JointChoices
from hierarchy.nets.optimisers import like, plain
from hierarchy.nets.preprocessed_env import RewardScale
from hierarchy.nets.preprocessing import Normaliser
from hierarchy.nets.saving import Tensors, acting_tensors, arrays_of, described, fill, take_over
from hierarchy.protocols import Observer, SavedAgent
from hierarchy.sb3.state import generators_state, set_generators_state
from hierarchy.vec_env import BatchVecEnv

RECORDED = 32
"""Gradient steps between two of which training may be cut short."""
DIGEST = "dataset"
"""What an agent says of the dataset that it learned from: SHA-256 of all of it."""


class Encoders(EncoderFactory):  # type: ignore[misc]  # of no types
    """Makes encoders that an actor has, too."""

    def __init__(self, form: JointForm) -> None:
        self._form = form

    def create(self, observation_shape: Any) -> JointEncoder:
        return JointEncoder(self._form)


class OfflineLearner:
    """An agent in training; its steps are gradient steps."""

    def __init__(self, config: OfflineConfig, form: JointForm, dataset: Dataset, seed: int) -> None:
        self.config, self.n_steps, self._digest = config, 0, dataset.digest
        self._rng = np.random.default_rng(np.random.SeedSequence(seed).spawn(1)[0])
        set_random_seed(seed)
        normaliser = Normaliser(form.n_observed, form.n_terms) if form.normalise else None
        self.module, self._learner = _networks(config, form, normaliser)
        bound = config.reward_bound
        scale = None if bound is None else RewardScale(1, config.discount, bound, form.n_terms)
        self.data = transitions_of(dataset.episodes, self.module.head, form.preprocessing, normaliser, scale)
        self._losses: dict[str, float] = {}

    @property
    def actor(self) -> JointPolicyActor:
        """What acts as the agent has learned to by now."""
        return JointPolicyActor(self.module)

    def learn(self, n_steps: int, *observers: Observer) -> None:
        """Train for ``n_steps`` more, or until the stretch that they end in is over."""
        end = self.n_steps + n_steps
        while self.n_steps < end:
            for observer in observers:
                observer.on_rollout(self.n_steps)
            for _ in range(RECORDED):
                self._update()
                for observer in observers:
                    observer.on_step(self.n_steps)
            for observer in observers:
                observer.on_metrics({f"lower/{name}": one for name, one in self._losses.items()}, self.n_steps)

    def _update(self) -> None:
        """A gradient step on actions that are drawn."""
        share = 1.0 - (1.0 - self.config.final_share) * min(self.n_steps / self.config.updates, 1.0)
        for group in self._optimiser.param_groups:
            group["lr"] = self.config.learning_rate * share
        self.n_steps += 1
        self._losses = dict(self._learner.update(self._batch(), self.n_steps))
        for name, loss in self._losses.items():
            if not math.isfinite(loss):
                raise NonFiniteError(
                    f"{name} of {self.config.algorithm} must be finite, got {loss} after {self.n_steps} steps"
                )

    def _batch(self) -> TorchMiniBatch:
        """Actions drawn, as d3rlpy has them."""
        drawn, data = self.data.draw(self.config.batch_size, self._rng), self.data
        row = data.row[drawn]

        def column(part: Array) -> th.Tensor:
            return th.from_numpy(part[drawn].astype(np.float32))[:, None]

        ones = th.ones(len(drawn), 1)
        return TorchMiniBatch(
            observations=th.from_numpy(data.observed[row]),
            actions=column(data.action),
            rewards=column(data.reward),
            next_observations=th.from_numpy(data.observed[row + 1]),
            next_actions=column(data.action),  # which none of the learners asks for
            returns_to_go=0.0 * ones,  # likewise
            terminals=column(data.terminated),
            intervals=ones,
            device="cpu:0",
        )

    @property
    def _optimiser(self) -> th.optim.Optimizer:
        found: th.optim.Optimizer = self._learner.modules.optim.optim
        return found

    def tensors(self) -> Tensors:
        """Everything that is learned, by name: what acts, and target networks."""
        targets = getattr(self._learner.modules, "targ_q_funcs", None)
        rest = {} if targets is None else {f"target.{name}": one for name, one in targets.state_dict().items()}
        return acting_tensors(self.module) | rest

    def begin_from(self, saved: SavedAgent) -> None:
        """Take over what a saved agent has learned.

        Raises
        ------
        SettingError
            It is of another kind.
        """
        modules = self._learner.modules
        if not take_over(self.tensors(), saved, self._description) and hasattr(modules, "targ_q_funcs"):
            hard_sync(modules.targ_q_funcs, modules.q_funcs)

    @property
    def _description(self) -> Mapping[str, Any]:
        return described(self.config.algorithm, self.module.form)

    def saved(self, name: str) -> SavedAgent:
        """The agent as it is now, and what it learned from."""
        return SavedAgent(name, {**self._description, DIGEST: self._digest}, arrays_of(self.tensors()))

    def get_state(self) -> Tree:
        """All that moves, the libraries' generators among it, and the sum of the dataset."""
        return {
            "n_steps": self.n_steps,
            "learned": arrays_of(self.tensors()),
            "optimiser": plain(self._optimiser.state_dict()),
            "losses": dict(self._losses),
            "generator": generator_state(self._rng),
            "generators": generators_state(),
            DIGEST: np.frombuffer(bytes.fromhex(self._digest), np.uint8).copy(),
        }

    def set_state(self, state: Tree) -> None:
        """Go on from a state of a learner that was built with the same settings, to the last bit.

        Raises
        ------
        SettingError
            The dataset is another one by now.
        """
        before = np.asarray(state[DIGEST], np.uint8).tobytes().hex()
        if before != self._digest:
            raise SettingError(f"lower.{DATA}", f"the dataset that training began with ({before[:12]})", self._digest[:12])
        self.n_steps, self._losses = int(state["n_steps"]), dict(state["losses"])
        fill(self.tensors(), state["learned"], "state")
        self._optimiser.load_state_dict(like(self._optimiser.state_dict(), state["optimiser"]))
        set_generator_state(self._rng, state["generator"])
        set_generators_state(state["generators"])


def _networks(config: OfflineConfig, form: JointForm, normaliser: Normaliser | None) -> tuple[JointActor, Any]:
    """An actor, and the implementation of d3rlpy that trains its networks."""
    shared = {"batch_size": config.batch_size, "learning_rate": config.learning_rate, "encoder_factory": Encoders(form)}
    algorithm = config.of_d3rlpy(**shared).create(device="cpu:0")
    algorithm.create_impl((form.history * form.n_observed,), JointChoices(form.action).n)
    learner = algorithm.impl
    modules = learner.modules
    if not hasattr(modules, "q_funcs"):
        return JointActor(form, modules.imitator._encoder, modules.imitator._fc, None, normaliser), learner
    [values] = modules.q_funcs
    likely = modules.imitator._fc if hasattr(modules, "imitator") else None
    return JointActor(form, values.encoder, values._fc, likely, normaliser), learner


def build(config: OfflineConfig, env: BatchVecEnv, seed: int, folder: Path) -> OfflineLearner:
    """See :meth:`hierarchy.lower.offline.OfflineConfig.build`."""
    batch = env.batch
    config.check_world(0, batch.action_space)
    dataset = read_dataset(folder, DATA)
    check_fits(dataset.said, specified(batch.world, dataset.said.spec.family, dataset.said.spec.dt_s), DATA)
    assert batch.observation_space.shape is not None
    form = JointForm(
        normalise=config.normalise_observations,
        action=form_of(batch.action_space),
        hidden_size=config.hidden_size,
        n_observed=batch.observation_space.shape[0],
        n_terms=batch.n_terms,
        history=config.history,
        least_share=config.least_share,
    )
    return OfflineLearner(config, form, dataset, seed)
