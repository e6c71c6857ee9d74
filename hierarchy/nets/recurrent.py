"""The recurrent policy of the lower agent: sb3-contrib's parameters, evaluated over whole sequences in one LSTM call.

Stock sb3-contrib steps its LSTMs through time in Python as soon as an episode starts anywhere in a batch. Here a rollout is
cut into sequences at those starts beforehand (:mod:`hierarchy.nets.sequences`), so an update is one call per LSTM, and a
single step in a rollout is one LSTM cell.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import torch as th
from gymnasium import spaces
from numpy.typing import NDArray
from sb3_contrib.common.recurrent.policies import RecurrentActorCriticPolicy
from stable_baselines3.common.running_mean_std import RunningMeanStd
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from stable_baselines3.common.vec_env import VecNormalize
from torch import nn

from hierarchy.nets.heads import Head, head_of
from hierarchy.nets.sequences import Minibatch

SMALLEST_WEIGHT = 0.01
"""Weights of a context are told apart down to about this one."""
LOG_SMALLEST = math.log(SMALLEST_WEIGHT)

CLIP_NORMALISED = 10.0
"""Normalised observations are held within this bound: SB3's default."""

Memory = tuple[th.Tensor, th.Tensor]
"""Hidden and cell state of an LSTM, ``(n_envs, hidden)`` each."""


class Memories(NamedTuple):
    """What both LSTMs remember."""

    actor: Memory
    critic: Memory


class Evaluation(NamedTuple):
    """What the policy says of the samples of a minibatch, ``(n_samples,)`` each."""

    values: th.Tensor
    log_prob: th.Tensor
    entropy: th.Tensor


def cell(lstm: nn.LSTM, features: th.Tensor, memory: Memory, keep: th.Tensor) -> Memory:
    """One step of an LSTM: the next memory, whose hidden state is also the output.

    Parameters
    ----------
    features
        ``(n_envs, n_features)``.
    memory
        Of the last step.
    keep
        ``(n_envs, 1)``, 0 where an episode begins and the memory is cleared.
    """
    hidden, carried = memory
    return th.lstm_cell(features, (keep * hidden, keep * carried), *lstm.all_weights[0])


class FusedLstmPolicy(RecurrentActorCriticPolicy):
    """`MlpLstmPolicy` of sb3-contrib with the same parameters and the same mathematics.

    One layer and a critic LSTM of its own, with features that actor and critic share.

    Parameters
    ----------
    history
        Observations that are stacked before the policy sees them, see :mod:`hierarchy.nets.preprocessing`.
    normalised
        Whether they are normalised before. The moments of the last rollout, `seen_mean` and `seen_std` ``(n_features,)``,
        are then saved with the parameters.

    Raises
    ------
    ValueError
        Another arrangement of LSTMs is asked for.
    """

    lstm_critic: nn.LSTM

    seen_mean: th.Tensor
    seen_std: th.Tensor

    def __init__(self, *args: Any, history: int = 1, normalised: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.history, self.normalised = history, normalised
        if normalised:
            assert self.observation_space.shape is not None
            n_features = self.observation_space.shape[0] // history
            self.register_buffer("seen_mean", th.zeros(n_features, dtype=th.float64))
            self.register_buffer("seen_std", th.ones(n_features, dtype=th.float64))
        fits = self.lstm_critic is not None and self.lstm_actor.num_layers == 1 and self.share_features_extractor
        if not fits or self.use_sde:
            raise ValueError("policy must have one layer, a critic LSTM of its own, shared features and no gSDE")
        self.head: Head = head_of(self.action_space, getattr(self, "log_std", None))

    @th.no_grad()
    def remember(self, normaliser: VecNormalize) -> None:
        """Keep the moments that observations are normalised with."""
        moments = normaliser.obs_rms
        assert isinstance(moments, RunningMeanStd)
        self.seen_mean.copy_(th.as_tensor(moments.mean))
        self.seen_std.copy_(th.as_tensor(np.sqrt(moments.var + normaliser.epsilon)))

    def as_seen(self, observations: th.Tensor) -> th.Tensor:
        """Observations of the world ``(n_envs, n_features)`` as the policy saw them when it last learned, unstacked."""
        if not self.normalised:
            return observations
        scaled = (observations.double() - self.seen_mean) / self.seen_std
        return scaled.clamp(-CLIP_NORMALISED, CLIP_NORMALISED).float()

    def unstacked_space(self) -> spaces.Box:
        """Of the observations that are stacked."""
        space = self.observation_space
        assert isinstance(space, spaces.Box)
        n_features = space.shape[0] // self.history
        return spaces.Box(space.low[:n_features], space.high[:n_features], dtype=np.float32)

    @th.no_grad()
    def begin_near(self, action: NDArray[Any], logit: float) -> None:
        """Prefer an action ``(n_choices,)`` in every state, before anything is learned: see :meth:`Head.preferring`."""
        assert isinstance(self.action_net, nn.Linear)
        self.action_net.bias.copy_(self.head.preferring(action, logit))

    def no_memories(self, n_envs: int) -> Memories:
        """Memories before the first step."""
        zero = th.zeros(n_envs, self.lstm_actor.hidden_size)
        return Memories((zero, zero), (zero, zero))

    def encoded(self, observations: th.Tensor) -> tuple[th.Tensor, th.Tensor | None]:
        """What the LSTMs see of observations, ``(n, features_dim)``, and what :meth:`action_parameters` sees beside them."""
        return self.features_extractor(observations), None

    def action_parameters(self, hidden: th.Tensor, parts: th.Tensor | None, place: th.Tensor | None = None) -> th.Tensor:
        """Parameters of the action distribution ``(n, n_parameters)``.

        Parameters
        ----------
        hidden
            Output of the actor's LSTM ``(n, hidden)``.
        parts
            From :meth:`encoded`.
        place
            ``(n,)`` the observations that ``hidden`` belongs to; None when those are all.
        """
        parameters: th.Tensor = self.action_net(self.mlp_extractor.forward_actor(hidden))
        return parameters

    def step(
        self, observations: th.Tensor, memories: Memories, starts: th.Tensor
    ) -> tuple[th.Tensor, th.Tensor, th.Tensor, Memories]:
        """One step of a rollout in every env.

        Parameters
        ----------
        observations
            ``(n_envs, n_features)``.
        memories
            Of the last step.
        starts
            ``(n_envs,)``, 1 where an episode begins.

        Returns
        -------
        Actions ``(n_envs, n_choices)`` drawn from the policy, their log probabilities ``(n_envs,)``, values ``(n_envs,)``
        and the next memories.
        """
        keep = (1.0 - starts)[:, None]
        features, parts = self.encoded(observations)
        actor = cell(self.lstm_actor, features, memories.actor, keep)
        critic = cell(self.lstm_critic, features, memories.critic, keep)
        actions, log_prob = self.head.sample(self.action_parameters(actor[0], parts))
        values = self.value_net(self.mlp_extractor.forward_critic(critic[0]))
        return actions, log_prob, values[:, 0], Memories(actor, critic)

    def step_actor(self, observations: th.Tensor, memory: Memory, keep: th.Tensor) -> tuple[th.Tensor, Memory]:
        """The actor alone: parameters of the action distribution ``(n_envs, n_parameters)``, and its next memory."""
        features, parts = self.encoded(observations)
        memory = cell(self.lstm_actor, features, memory, keep)
        return self.action_parameters(memory[0], parts), memory

    def values(self, observations: th.Tensor, memory: Memory, starts: th.Tensor) -> th.Tensor:
        """Values ``(n_envs,)`` of observations, given the critic's memory."""
        hidden, _ = cell(self.lstm_critic, self.encoded(observations)[0], memory, (1.0 - starts)[:, None])
        values: th.Tensor = self.value_net(self.mlp_extractor.forward_critic(hidden))[:, 0]
        return values

    def evaluate(self, minibatch: Minibatch) -> Evaluation:
        """Values, log probabilities and entropies of whole sequences, with gradients."""
        features, parts = self.encoded(minibatch.observations)
        steps = features.view(-1, minibatch.n_sequences, features.shape[1])
        latents = []
        for lstm, (hidden, carried) in ((self.lstm_actor, minibatch.actor), (self.lstm_critic, minibatch.critic)):
            output, _ = lstm(steps, (hidden[None], carried[None]))
            every = output.flatten(end_dim=1)
            latents.append(every if minibatch.place is None else every.index_select(0, minibatch.place))
        parameters = self.action_parameters(latents[0], parts, minibatch.place)
        values = self.value_net(self.mlp_extractor.forward_critic(latents[1]))
        return Evaluation(values[:, 0], *self.head.evaluate(parameters, minibatch.actions))


def logarithms(context: th.Tensor) -> th.Tensor:
    """Logarithms of contexts ``(n, n_terms)``, 0 for weight 0 and about 1 for weight 1."""
    return 1.0 - th.log(context + SMALLEST_WEIGHT) / LOG_SMALLEST


class ContextGate(BaseFeaturesExtractor):
    """Features of an observation whose last entries are the context, which gates what is made of the rest.

    ``tanh(W [x, c, log c]) * (1 + V [c, log c])``: what a measurement means depends on what matters now, and a product says
    so directly where layers of sums have to learn it. What trades one term for another is the ratio of their weights, so
    the context is also shown as logarithms, which tell a corner from its neighbourhood.

    Parameters
    ----------
    observation_space
        A box ``(n_features,)``.
    n_terms
        Length of the context.
    features_dim
        Width of the output.
    """

    def __init__(self, observation_space: spaces.Box, n_terms: int, features_dim: int) -> None:
        super().__init__(observation_space, features_dim)
        self._n_terms = n_terms
        self._features = nn.Linear(observation_space.shape[0] + n_terms, features_dim)
        self._gate = nn.Linear(2 * n_terms, features_dim)

    def forward(self, observations: th.Tensor) -> th.Tensor:
        """``(n, n_features)`` to ``(n, features_dim)``."""
        context = observations[:, -self._n_terms :]
        logs = logarithms(context)
        gate: th.Tensor = 1.0 + self._gate(th.cat([context, logs], dim=1))
        return th.tanh(self._features(th.cat([observations, logs], dim=1))) * gate
