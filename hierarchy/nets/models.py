"""What acts of a pair as functions of tensors alone: what is remembered goes in and comes out. Plain torch, no learner.

A :class:`LowerModel` takes what :class:`hierarchy.pair.Pair` gives a lower agent, before anything is done to it:

=============  =================================  =====================================================================
input          shape                              what
=============  =================================  =====================================================================
observation    ``(n, n_observed)``                of the world, valid actions where they are shown, context; float32
keep           ``(n, 1)``                         0 where an episode begins, else 1; float32
hidden         ``(n, hidden_size)``               zeros at first, then what came out as ``next_hidden``; where it remembers
carried        ``(n, hidden_size)``               likewise ``next_carried``; only where an LSTM remembers
stack          ``(n, (history - 1) n_observed)``  likewise ``next_stack``; only where observations are stacked
=============  =================================  =====================================================================

and gives ``action``, in the action space of the world, and the next of each. An :class:`UpperModel` takes an ``observation``
of a window ``(n, n_features)`` and gives the ``context (n, n_terms)``, or ``(n, n_agents, n_terms)`` where every agent has
its own. A :class:`RememberingUpperModel` also takes ``keep`` as above and ``windows (n, r)``, what is remembered of windows
before: zeros at first, then what came out as ``next_windows``.

A :class:`PairModel` is both, step by step: its ``observation`` lacks the context, which is an input and an output
of its own, and beside the others it takes what follows. Of a team every agent has a row, those of an env one after another
and with the same ``window``; the upper agent observes the mean of their contexts.

=============  =================================  =====================================================================
window         ``(n, n_features - n_terms)``      statistics of the window that ends here, zeros before the first; float32
begins         ``(n, 1)``                         1 where a window begins, else 0 and the context stands; float32
context        ``(n, n_terms)``                   the one in force, equal weights at first, then what came out; float32
=============  =================================  =====================================================================
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch as th
from torch import nn

from envs.core.simplex import SCALE
from hierarchy.nets.actor import ActorForm, RecurrentActor, action_parameters
from hierarchy.nets.joint_actor import JointActor, JointForm
from hierarchy.nets.memory import Memory
from hierarchy.nets.preprocessing import CLIP_NORMALISED, EPSILON, Normaliser
from hierarchy.nets.window_memory import WindowMemory

N_ENVS = 2
"""Of the examples of inputs, each with a row for every agent if the model tells them apart; a model takes any number."""


def _seen(
    normaliser: Normaliser | None, observation: th.Tensor, keep: th.Tensor, stack: th.Tensor | None
) -> tuple[th.Tensor, tuple[th.Tensor, ...]]:
    """What a policy observes ``(n, history * n_observed)``, and the next stack if there is one."""
    seen = observation
    if normaliser is not None:
        scaled = (observation.double() - normaliser.mean) / (normaliser.var + EPSILON).sqrt()
        seen = scaled.clamp(-CLIP_NORMALISED, CLIP_NORMALISED).float()
    if stack is None:
        return seen, ()
    seen = th.cat([stack * keep, seen], dim=1)
    return seen, (seen[:, observation.shape[1] :],)


def _examples(form: ActorForm | JointForm, memory: Mapping[str, th.Tensor]) -> dict[str, th.Tensor]:
    """Inputs by name, at the beginning of episodes."""
    inputs = {"observation": th.zeros(N_ENVS, form.n_observed), "keep": th.zeros(N_ENVS, 1), **memory}
    return inputs | ({"stack": th.zeros(N_ENVS, (form.history - 1) * form.n_observed)} if form.history > 1 else {})


class JointModel(nn.Module):
    """A lower agent that remembers nothing, from observations to actions, preprocessing included."""

    def __init__(self, actor: JointActor) -> None:
        super().__init__()
        self._actor = actor

    def forward(self, observation: th.Tensor, keep: th.Tensor, stack: th.Tensor | None = None) -> tuple[th.Tensor, ...]:
        """One step, see the module."""
        seen, following = _seen(self._actor.normaliser, observation, keep, stack)
        return self._actor.head.mode(self._actor.parameters_of(seen)), *following

    @property
    def examples(self) -> dict[str, th.Tensor]:
        """Inputs by name, at the beginning of episodes."""
        return _examples(self._actor.form, {})

    @property
    def outputs(self) -> list[str]:
        """Names of what comes out."""
        return ["action", *(f"next_{name}" for name in list(self.examples)[2:])]


class LowerModel(nn.Module):
    """A lower agent from observations to actions, preprocessing included."""

    def __init__(self, actor: RecurrentActor) -> None:
        super().__init__()
        self._actor, self._form = actor, actor.form

    def forward(
        self,
        observation: th.Tensor,
        keep: th.Tensor,
        hidden: th.Tensor,
        carried: th.Tensor | None = None,
        stack: th.Tensor | None = None,
    ) -> tuple[th.Tensor, ...]:
        """One step, see the module."""
        seen, following = _seen(self._actor.normaliser, observation, keep, stack)
        features, parts = self._actor.encoder.encode(seen)
        recurrent = self._actor.recurrent
        memory: Memory
        if isinstance(recurrent, nn.GRU):
            memory = (_gru_cell(recurrent, features, hidden * keep),)
        else:
            assert carried is not None
            memory = _cell(recurrent, features, hidden * keep, carried * keep)
        parameters = action_parameters(self._actor.action_net, self._actor.latent(memory[0]), parts)
        return self._actor.head.mode(parameters), *memory, *following

    @property
    def examples(self) -> dict[str, th.Tensor]:
        """Inputs by name, at the beginning of episodes."""
        form = self._form
        names = ("hidden", "carried") if form.memory == "lstm" else ("hidden",)
        return _examples(form, {name: th.zeros(N_ENVS, form.hidden_size) for name in names})

    @property
    def outputs(self) -> list[str]:
        """Names of what comes out."""
        return ["action", *(f"next_{name}" for name in list(self.examples)[2:])]


def _cell(lstm: nn.LSTM, features: th.Tensor, hidden: th.Tensor, carried: th.Tensor) -> tuple[th.Tensor, th.Tensor]:
    """:func:`hierarchy.nets.actor.cell` written out, which ONNX has no word for."""
    into, back, bias_into, bias_back = lstm.all_weights[0]
    gates = nn.functional.linear(features, into, bias_into) + nn.functional.linear(hidden, back, bias_back)
    taken, kept, proposed, shown = gates.chunk(4, dim=1)
    carried = kept.sigmoid() * carried + taken.sigmoid() * proposed.tanh()
    return shown.sigmoid() * carried.tanh(), carried


def _gru_cell(gru: nn.GRU, features: th.Tensor, hidden: th.Tensor) -> th.Tensor:
    """:func:`hierarchy.nets.actor.gru_cell` written out likewise."""
    into, back, bias_into, bias_back = gru.all_weights[0]
    given = nn.functional.linear(features, into, bias_into).chunk(3, dim=1)
    remembered = nn.functional.linear(hidden, back, bias_back).chunk(3, dim=1)
    reset, update = ((one + other).sigmoid() for one, other in zip(given[:2], remembered[:2], strict=True))
    proposed = (given[2] + reset * remembered[2]).tanh()
    return (1.0 - update) * proposed + update * hidden


class UpperModel(nn.Module):
    """An upper agent from statistics of a window to a context."""

    outputs = ("context",)

    def __init__(self, network: nn.Sequential, n_contexts: int = 1) -> None:
        super().__init__()
        self._network, self._n_contexts = network, n_contexts

    def forward(self, observation: th.Tensor) -> th.Tensor:
        """:func:`envs.core.simplex.to_contexts` of the network's outputs."""
        point = SCALE * self._network(observation).double()
        if self._n_contexts > 1:
            point = point.unflatten(-1, (self._n_contexts, -1))
        ordered = point.sort(dim=-1, descending=True).values
        n_terms = point.shape[-1]
        levels = (ordered.cumsum(-1) - 1.0) / th.arange(1, n_terms + 1, dtype=th.float64)
        last = (ordered > levels).sum(-1, keepdim=True) - 1
        weights: th.Tensor = (point - levels.gather(-1, last)).clamp(min=0.0)
        return weights

    @property
    def examples(self) -> dict[str, th.Tensor]:
        """The input by its name."""
        first = self._network[0]
        assert isinstance(first, nn.Linear)
        return {"observation": th.zeros(N_ENVS, first.in_features)}


class RememberingUpperModel(nn.Module):
    """An upper agent from statistics of a window, and what is remembered of those before, to a context."""

    outputs = ("context", "next_windows")

    def __init__(self, context: UpperModel, memory: WindowMemory) -> None:
        super().__init__()
        self._context, self._memory = context, memory

    def forward(self, observation: th.Tensor, keep: th.Tensor, windows: th.Tensor) -> tuple[th.Tensor, th.Tensor]:
        """One window, see the module."""
        observed, following = self._memory(observation, windows * keep)
        return self._context(observed), following

    @property
    def examples(self) -> dict[str, th.Tensor]:
        """Inputs by name, at the beginning of episodes."""
        windows = th.zeros(N_ENVS, self._memory.form.n_features)
        return {"observation": windows, "keep": th.zeros(N_ENVS, 1), "windows": self._memory.start(N_ENVS)}


class PairModel(nn.Module):
    """Both agents, as :class:`hierarchy.pair.Pair` lets them decide."""

    def __init__(self, lower: Any, upper: UpperModel | RememberingUpperModel, n_terms: int, n_agents: int = 1) -> None:
        super().__init__()
        self._lower, self._upper, self._n_terms, self._n_agents = lower, upper, n_terms, n_agents
        self._remembers = isinstance(upper, RememberingUpperModel)

    def forward(
        self, observation: th.Tensor, window: th.Tensor, begins: th.Tensor, context: th.Tensor, *remembered: th.Tensor
    ) -> tuple[th.Tensor, ...]:
        """One step, see the module; ``remembered`` are the other inputs of the lower agent, then that of the upper one."""
        of_envs, of_upper = th.cat([window[:: self._n_agents], self._of_envs(context)], dim=1), remembered[:0]
        if self._remembers:
            keep, *remembered_below, windows = remembered
            remembered = (keep, *remembered_below)
            set_now, following_windows = self._upper(of_envs, keep[:: self._n_agents], windows[:: self._n_agents])
            following_windows = following_windows.repeat_interleave(self._n_agents, dim=0)
            of_upper = (th.where(begins > 0, following_windows, windows * keep),)
        else:
            set_now = self._upper(of_envs)
        context = th.where(begins > 0, self._of_rows(set_now.float()), context)
        action, *following = self._lower(th.cat([observation, context], dim=1), *remembered)
        return action, context, *following, *of_upper

    def _of_envs(self, context: th.Tensor) -> th.Tensor:
        """The mean of the contexts of an env's agents."""
        mean: th.Tensor = context.reshape(-1, self._n_agents, self._n_terms).mean(1)
        return mean

    def _of_rows(self, proposed: th.Tensor) -> th.Tensor:
        """One context for all agents of an env, or one each, row by row."""
        return proposed.flatten(0, 1) if proposed.ndim == 3 else proposed.repeat_interleave(self._n_agents, dim=0)

    @property
    def examples(self) -> dict[str, th.Tensor]:
        """Inputs by name, at the beginning of episodes."""
        n_rows = N_ENVS * self._n_agents
        lower = {name: one.repeat(n_rows // len(one), 1) for name, one in self._lower.examples.items()}
        return {
            "observation": lower.pop("observation")[:, self._n_terms :],
            "window": self._upper.examples["observation"][:, self._n_terms :].repeat_interleave(self._n_agents, dim=0),
            "begins": th.ones(n_rows, 1),
            "context": th.full((n_rows, self._n_terms), 1.0 / self._n_terms),
            **lower,
            **self._windows(n_rows),
        }

    def _windows(self, n_rows: int) -> dict[str, th.Tensor]:
        """What an upper agent that remembers windows takes beside."""
        if not self._remembers:
            return {}
        windows = self._upper.examples["windows"]
        return {"windows": windows.repeat(n_rows // len(windows), 1)}

    @property
    def outputs(self) -> list[str]:
        """Names of what comes out."""
        action, *following = self._lower.outputs
        return [action, "context", *following, *(["next_windows"] if self._remembers else [])]
