"""A trained team, deterministic, acting for a batch of any width in one call per step."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch as th
from torch import nn

from envs.core.arrays import Array, BoolArray, FloatArray32
from envs.core.state import Tree
from envs.core.team import TeamSpec
from hierarchy.nets.models import N_ENVS
from hierarchy.nets.saving import ACTING, arrays_of, check_algorithm, check_arrays, described, fill, form_in, unfilled
from hierarchy.protocols import SavedAgent
from hierarchy.team.forms import TeamForm
from hierarchy.team.nets import AgentNetwork, JointNetwork, Standard
from hierarchy.team.windows import moved_on


class TeamModule(nn.Module):
    """What acts of a team: observations are standardised, and the network's outputs say what is done."""

    def __init__(self, form: TeamForm) -> None:
        super().__init__()
        self.form = form
        self.standard = Standard(form.n_features)
        self.network = JointNetwork(form) if form.is_joint else AgentNetwork(form, form.action.n_outputs)

    def forward(self, window: th.Tensor) -> th.Tensor:
        """Actions ``(n_envs, n_agents, n_branches)``, see :class:`hierarchy.team.forms.ActionForm`, of windows."""
        return self.decided(self.network(self.standard.windows(window)))

    def decided(self, outputs: th.Tensor) -> th.Tensor:
        """Actions by outputs: the choice with the greatest in every branch, or tanh of them."""
        form = self.form
        if form.action.is_box:
            return th.tanh(outputs)
        if not form.is_joint:
            return th.stack([branch.argmax(-1) for branch in th.split(outputs, form.action.sizes, -1)], dim=-1)
        chosen = th.unravel_index(outputs.argmax(-1), form.action.sizes * form.n_agents)
        return th.stack(chosen, dim=-1).reshape(*outputs.shape[:-1], form.n_agents, form.action.n_branches)


def learned_in(module: nn.Module) -> dict[str, th.Tensor]:
    """Parameters and buffers by name; the state dictionary of TorchRL's networks may hold other things, too."""
    return dict(module.named_parameters()) | dict(module.named_buffers())


def acting_tensors(module: TeamModule) -> dict[str, th.Tensor]:
    """The tensors of what acts, by the names under which they are saved."""
    return {ACTING + name: tensor for name, tensor in learned_in(module).items()}


class TeamModel(nn.Module):
    """A team as a function of tensors: from windows, see :mod:`hierarchy.team.windows`, to what the env takes."""

    outputs = ("action",)

    def __init__(self, module: TeamModule) -> None:
        super().__init__()
        self._module = module

    def forward(self, window: th.Tensor) -> th.Tensor:
        """Actions ``(n_envs, n_agents)`` or ``(n_envs, n_agents, n_choices)``."""
        form = self._module.form.action
        action: th.Tensor = self._module(window)
        if form.is_box:
            low, high = th.tensor(form.low), th.tensor(form.high)
            return th.add(low, (action + 1.0) / 2.0 * (high - low))
        return action[..., 0] if form.kind == "discrete" else action

    @property
    def examples(self) -> dict[str, th.Tensor]:
        """The input by its name."""
        return {"window": th.zeros(N_ENVS, *self._module.form.window_shape)}


class TeamActing:
    """A team in the middle of the episodes of a batch; what moves is its windows, and where an episode starts."""

    def __init__(self, module: TeamModule, n_envs: int) -> None:
        self._module = module
        self._window: FloatArray32 = np.zeros((n_envs, *module.form.window_shape), np.float32)
        self._starts = np.ones(n_envs, np.bool_)

    def reset(self, mask: BoolArray | None = None) -> None:
        """Forget what came before in all envs, or where ``mask (n_envs,)`` is set."""
        self._starts = self._starts | (True if mask is None else mask)

    @th.inference_mode()
    def act(self, observation: FloatArray32) -> Array:
        """Actions as the env takes them for observations ``(n_envs, n_agents, n_features)``."""
        self._window = moved_on(self._window, observation, self._starts)
        self._starts = np.zeros_like(self._starts)
        return self._module.form.action.for_env(self._module(th.from_numpy(self._window)).numpy())

    def get_state(self) -> Tree:
        """Windows, and where an episode starts."""
        return {"window": self._window.copy(), "starts": self._starts.copy()}

    def set_state(self, state: Tree) -> None:
        """Go on from a state."""
        self._window, self._starts = np.array(state["window"], np.float32), np.array(state["starts"], np.bool_)


class TeamActor:
    """What a team has learned by now.

    Attributes
    ----------
    module
        Its networks.
    """

    def __init__(self, module: TeamModule) -> None:
        self.module = module

    def start(self, n_envs: int) -> TeamActing:
        """Begin episodes in ``n_envs`` envs side by side."""
        return TeamActing(self.module, n_envs)

    @property
    def model(self) -> TeamModel:
        """What it does, as a function of tensors."""
        return TeamModel(self.module)

    def saved(self, name: str, algorithm: str) -> SavedAgent:
        """What acts, to be kept by that name."""
        return SavedAgent(name, self.described(algorithm), arrays_of(acting_tensors(self.module)))

    def described(self, algorithm: str) -> dict[str, Any]:
        """What it is, as plain values."""
        return described(algorithm, self.module.form)

    def fitted(self, spec: TeamSpec) -> TeamActor:
        """The team itself, if one of that specification observes and acts alike.

        Raises
        ------
        ValueError
            It doesn't.
        """
        self.module.form.check_spec(spec)
        return self


def actor_of(saved: SavedAgent, algorithm: str) -> TeamActor:
    """A team that was saved.

    Raises
    ------
    SettingError
        It was trained by another algorithm, or its networks are not those that it says.
    """
    check_algorithm(saved, algorithm)
    form = form_in(saved, TeamForm)
    acting = {name: array for name, array in saved.arrays.items() if name.startswith(ACTING)}
    check_arrays(acting_tensors(unfilled(lambda: TeamModule(form))), acting, saved.name)  # before a form takes memory
    with th.random.fork_rng(devices=[]):
        module = TeamModule(form)
    fill(acting_tensors(module), acting, saved.name)
    return TeamActor(module.requires_grad_(False))
