"""A recurrent policy that begins with what is known of actions: its network is added to logits, and starts near zero."""

from __future__ import annotations

from typing import Any

import torch as th

from hierarchy.nets.advantages import Advantages
from hierarchy.nets.recurrent import FusedLstmPolicy


class StartedLstmPolicy(FusedLstmPolicy):
    """A :class:`FusedLstmPolicy` over the logits of :class:`hierarchy.nets.advantages.Advantages`, which stay as they are.

    Parameters
    ----------
    advantages
        Arguments of the advantages but the length of an observation.
    """

    def __init__(self, *args: Any, advantages: dict[str, Any], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        assert self.observation_space.shape is not None
        self._arguments = advantages
        self.advantages = Advantages(self.observation_space.shape[0], **advantages).requires_grad_(False)

    def _get_constructor_parameters(self) -> dict[str, Any]:
        return {**super()._get_constructor_parameters(), "advantages": self._arguments}

    def encoded(self, observations: th.Tensor) -> tuple[th.Tensor, th.Tensor]:
        """Features, and the logits that the network is added to."""
        return self.features_extractor(observations), self.advantages.logits(observations)

    def action_parameters(self, hidden: th.Tensor, parts: th.Tensor | None, place: th.Tensor | None = None) -> th.Tensor:
        assert parts is not None
        start = parts if place is None else parts.index_select(0, place)
        return super().action_parameters(hidden, None) + start
