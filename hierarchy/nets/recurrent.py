"""The recurrent policy of the lower agent: sb3-contrib's parameters, evaluated over whole sequences in one LSTM call.

Stock sb3-contrib steps its LSTMs through time in Python as soon as an episode starts anywhere in a batch. Here a rollout is
cut into sequences at those starts beforehand (:mod:`hierarchy.nets.sequences`), so an update is one call per LSTM, and a
single step in a rollout is one LSTM cell.

Its memory is four tensors ``(n_envs, hidden)``: hidden and cell state of the actor's LSTM, then of the critic's.
"""

from __future__ import annotations

from typing import Any

import torch as th
from sb3_contrib.common.recurrent.policies import RecurrentActorCriticPolicy
from torch import nn

from envs.core.arrays import Array
from hierarchy.nets.action_form import form_of
from hierarchy.nets.actor import ActorForm, RecurrentActor, action_parameters, cell
from hierarchy.nets.context_gate import ContextGate
from hierarchy.nets.heads import Head, head_of
from hierarchy.nets.memory import Memory
from hierarchy.nets.part_networks import PartEncoder
from hierarchy.nets.preprocessing import Normaliser, Preprocessing
from hierarchy.nets.sequences import Evaluation, Minibatch

N_ACTOR = 2
"""Parts of a memory that are the actor's."""


class FusedLstmPolicy(RecurrentActorCriticPolicy):
    """`MlpLstmPolicy` of sb3-contrib with the same parameters and the same mathematics.

    One layer and a critic LSTM of its own, with features that actor and critic share.

    Parameters
    ----------
    preprocessing
        What is done to observations before the policy observes them. The moments of the last rollout are saved with the
        parameters.

    Raises
    ------
    ValueError
        Another arrangement of LSTMs is asked for.
    """

    lstm_critic: nn.LSTM
    features_extractor: ContextGate | PartEncoder  # type: ignore[assignment]  # SB3 asks for a class of its own

    def __init__(self, *args: Any, preprocessing: Preprocessing | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.preprocessing = preprocessing or Preprocessing()
        self.normaliser: Normaliser | None = None
        if self.preprocessing.normalise:
            self.normaliser = Normaliser(self.n_observed, self.preprocessing.n_terms)
        fits = self.lstm_critic is not None and self.lstm_actor.num_layers == 1 and self.share_features_extractor
        if not fits or self.use_sde:
            raise ValueError("policy must have one layer, a critic LSTM of its own, shared features and no gSDE")
        self.head: Head = head_of(self.action_space, getattr(self, "log_std", None))

    @property
    def n_observed(self) -> int:
        """Length of an observation of the world."""
        assert self.observation_space.shape is not None
        return self.preprocessing.n_unstacked(self.observation_space.shape[0])

    @property
    def acting(self) -> RecurrentActor:
        """The half of it that acts, which goes on sharing its networks."""
        latent = self.mlp_extractor.policy_net
        return RecurrentActor(self.form, self.features_extractor, self.lstm_actor, latent, self.action_net, self.normaliser)

    @property
    def form(self) -> ActorForm:
        """What the networks of that half are."""
        return ActorForm(
            policy="joint",
            n_parts=0,
            n_shared=0,
            hidden_size=self.lstm_actor.hidden_size,
            n_observed=self.n_observed,
            n_terms=self.features_extractor.n_terms,
            history=self.preprocessing.history,
            normalise=self.preprocessing.normalise,
            action=form_of(self.action_space),
        )

    @th.no_grad()
    def begin_near(self, action: Array, logit: float) -> None:
        """Prefer an action ``(n_choices,)`` in every state, before anything is learned: see :meth:`Head.preferring`."""
        assert isinstance(self.action_net, nn.Linear)
        self.action_net.bias.copy_(self.head.preferring(action, logit))

    def initial_memory(self, n_envs: int) -> Memory:
        """The memory before the first step."""
        return (th.zeros(n_envs, self.lstm_actor.hidden_size),) * 4

    def encoded(self, observations: th.Tensor) -> tuple[th.Tensor, th.Tensor | None]:
        """What the LSTMs take of observations, ``(n, features_dim)``, and what :meth:`action_parameters` takes beside it."""
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
        own = parts if parts is None or place is None else parts.index_select(1, place)
        return action_parameters(self.action_net, self.mlp_extractor.forward_actor(hidden), own)

    def step(
        self, observations: th.Tensor, memory: Memory, starts: th.Tensor
    ) -> tuple[th.Tensor, th.Tensor, th.Tensor, Memory]:
        """One step of a rollout in every env.

        Parameters
        ----------
        observations
            ``(n_envs, n_features)``.
        memory
            Of the last step.
        starts
            ``(n_envs,)``, 1 where an episode begins.

        Returns
        -------
        Actions ``(n_envs, n_choices)`` drawn from the policy, their log probabilities ``(n_envs,)``, values ``(n_envs,)``
        and the next memory.
        """
        keep = (1.0 - starts)[:, None]
        features, parts = self.encoded(observations)
        actor = cell(self.lstm_actor, features, memory[:N_ACTOR], keep)
        critic = cell(self.lstm_critic, features, memory[N_ACTOR:], keep)
        actions, log_prob = self.head.sample(self.action_parameters(actor[0], parts))
        values = self.value_net(self.mlp_extractor.forward_critic(critic[0]))
        return actions, log_prob, values[:, 0], (*actor, *critic)

    def values(self, observations: th.Tensor, memory: Memory, starts: th.Tensor) -> th.Tensor:
        """Values ``(n_envs,)`` of observations, given the memory before them."""
        hidden, _ = cell(self.lstm_critic, self.encoded(observations)[0], memory[N_ACTOR:], (1.0 - starts)[:, None])
        values: th.Tensor = self.value_net(self.mlp_extractor.forward_critic(hidden))[:, 0]
        return values

    def evaluate(self, minibatch: Minibatch) -> Evaluation:
        """Values, log probabilities and entropies of whole sequences, with gradients."""
        features, parts = self.encoded(minibatch.observations)
        steps = features.view(-1, minibatch.n_sequences, features.shape[1])
        latents = []
        actor, critic = minibatch.memory[:N_ACTOR], minibatch.memory[N_ACTOR:]
        for lstm, (hidden, carried) in ((self.lstm_actor, actor), (self.lstm_critic, critic)):
            output, _ = lstm(steps, (hidden[None], carried[None]))
            every = output.flatten(end_dim=1)
            latents.append(every if minibatch.place is None else every.index_select(0, minibatch.place))
        parameters = self.action_parameters(latents[0], parts, minibatch.place)
        values = self.value_net(self.mlp_extractor.forward_critic(latents[1]))
        return Evaluation(values[:, 0], *self.head.evaluate(parameters, minibatch.actions))
