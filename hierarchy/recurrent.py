"""The recurrent policy of the lower agent, with its LSTM calls kept fused.

Stock sb3-contrib steps an LSTM through time in Python as soon as an episode starts anywhere in a batch. Its state only has
to be cleared at those starts, so it is enough to cut the batch in time there and run each piece in one call.
"""

from __future__ import annotations

import itertools

import torch as th
from gymnasium import spaces
from sb3_contrib.common.recurrent.policies import RecurrentActorCriticPolicy
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from torch import nn

LstmState = tuple[th.Tensor, th.Tensor]


class FusedLstmPolicy(RecurrentActorCriticPolicy):
    """`MlpLstmPolicy` of sb3-contrib with the same parameters, outputs and gradients, and no loop over time steps."""

    @staticmethod
    def _process_sequence(  # type: ignore[override]  # sb3-contrib's own annotation leaves out the state
        features: th.Tensor, lstm_states: LstmState, episode_starts: th.Tensor, lstm: nn.LSTM
    ) -> tuple[th.Tensor, LstmState]:
        """Run the LSTM over padded sequences.

        Parameters
        ----------
        features
            ``(n_sequences * length, n_features)``, sequence by sequence.
        lstm_states
            Hidden and cell state before the first step, ``(n_layers, n_sequences, hidden)`` each.
        episode_starts
            ``(n_sequences * length,)``, 1 where an episode begins and the state is cleared.
        lstm
            The network.

        Returns
        -------
        Output ``(n_sequences * length, hidden)`` in the order of ``features``, and the last state.
        """
        n_sequences = lstm_states[0].shape[1]
        steps = features.reshape(n_sequences, -1, lstm.input_size).swapaxes(0, 1)
        starts = episode_starts.reshape(n_sequences, -1).swapaxes(0, 1)
        length = steps.shape[0]
        cuts = [0, *(th.nonzero(starts[1:].any(dim=1)).flatten() + 1).tolist(), length]
        hidden, cell = lstm_states
        outputs = []
        for begin, end in itertools.pairwise(cuts):
            keep = (1.0 - starts[begin]).view(1, n_sequences, 1)
            output, (hidden, cell) = lstm(steps[begin:end], (keep * hidden, keep * cell))
            outputs.append(output)
        joined = outputs[0] if len(outputs) == 1 else th.cat(outputs)
        return joined.transpose(0, 1).flatten(end_dim=1), (hidden, cell)


class ContextGate(BaseFeaturesExtractor):
    """Features of an observation whose last entries are the context, which gates what is made of the rest.

    ``tanh(W x) * (1 + V c)``: what a measurement means depends on what matters now, and a product says so directly where
    layers of sums have to learn it.

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
        self._features = nn.Linear(observation_space.shape[0], features_dim)
        self._gate = nn.Linear(n_terms, features_dim)

    def forward(self, observations: th.Tensor) -> th.Tensor:
        """``(n, n_features)`` to ``(n, features_dim)``."""
        gate: th.Tensor = 1.0 + self._gate(observations[:, -self._n_terms :])
        return th.tanh(self._features(observations)) * gate
