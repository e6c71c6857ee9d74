"""Equivariant policies, observations of parts some of which are there, and what is done to them step by step."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch as th
from gymnasium import spaces

from hierarchy.nets.actor import RecurrentActor
from hierarchy.nets.equivariant import EquivariantLstmPolicy
from hierarchy.nets.memory import Memory
from hierarchy.nets.part_networks import PartEncoder
from hierarchy.nets.recurrent import N_ACTOR
from hierarchy.nets.sequences import Minibatch
from tests.hierarchy.nets.policies import assert_close

N_PARTS, N_FEATURES, N_SHARED, N_TERMS, N_CHOICES, N_LEVELS, HIDDEN = 4, 6, 2, 3, 2, 5, 8
N_REST = N_SHARED + N_TERMS
N_ENVS, N_STEPS = 7, 6
MARGIN = 1e-5
LENGTHS = [[6, 2, 4, 1], [5, 5, 5], [1]]
KWARGS: dict[str, Any] = {
    "net_arch": [HIDDEN],
    "lstm_hidden_size": HIDDEN,
    "features_extractor_class": PartEncoder,
}


def encoder_kwargs(n_parts: int = N_PARTS, n_shared: int = N_SHARED, width: int = HIDDEN) -> dict[str, Any]:
    return {"n_terms": N_TERMS, "features_dim": width, "n_parts": n_parts, "n_shared": n_shared}


def seen_space(n_parts: int = N_PARTS, n_features: int = N_FEATURES, n_rest: int = N_REST) -> spaces.Box:
    return spaces.Box(-5.0, 20.0, (n_parts * n_features + n_rest,), np.float32)


def done_space(n_parts: int = N_PARTS, n_levels: int = N_LEVELS, n_choices: int = N_CHOICES) -> spaces.MultiDiscrete:
    return spaces.MultiDiscrete([n_levels] * n_choices * n_parts)


def fresh(n_parts: int = N_PARTS, n_shared: int = N_SHARED, n_choices: int = N_CHOICES) -> EquivariantLstmPolicy:
    seen, done = seen_space(n_parts, n_rest=n_shared + N_TERMS), done_space(n_parts, n_choices=n_choices)
    encoder = encoder_kwargs(n_parts, n_shared)
    return EquivariantLstmPolicy(seen, done, lambda _: 1e-3, features_extractor_kwargs=encoder, **KWARGS)


def large(**settings: int) -> EquivariantLstmPolicy:
    """With parameters that are large enough for everything to matter."""
    found, generator = fresh(**settings), th.Generator().manual_seed(0)
    with th.no_grad():
        for parameter in found.parameters():
            parameter.copy_(0.5 * th.randn(parameter.shape, generator=generator))
    return found


def observed(rng: np.random.Generator, n: int = N_ENVS, n_parts: int = N_PARTS, share: float = 0.7) -> th.Tensor:
    """Observations ``(n, n_features)`` where that share of the parts is there, the first one always."""
    parts = rng.exponential(2.0, (n, n_parts, N_FEATURES))
    parts[..., 0] = 0.5  # the same for all
    parts[..., -1] = rng.random((n, n_parts)) < share
    parts[:, 0, -1] = 1.0
    return joined(parts, np.concatenate([rng.exponential(1.0, (n, N_SHARED)), rng.dirichlet(np.ones(N_TERMS), n)], axis=1))


def joined(parts: np.ndarray, rest: np.ndarray) -> th.Tensor:
    """Parts ``(n, n_parts, n_features)``, then what belongs to none ``(n, n_rest)``."""
    return th.from_numpy(np.concatenate([parts.reshape(len(parts), -1), rest], axis=1).astype(np.float32))


def parts_of(observations: th.Tensor) -> np.ndarray:
    """``(n, n_parts, n_features)``, a copy."""
    return observations[:, :-N_REST].reshape(len(observations), -1, N_FEATURES).numpy().copy()


def renamed(observations: th.Tensor, order: np.ndarray) -> th.Tensor:
    return joined(parts_of(observations)[:, order], observations[:, -N_REST:].numpy())


def logits_of(parameters: th.Tensor) -> th.Tensor:
    """``(n, n_parts, n_choices, n_levels)``."""
    return parameters.view(len(parameters), -1, N_CHOICES, N_LEVELS)


@th.no_grad()
def played(
    policy: EquivariantLstmPolicy, steps: list[th.Tensor], starts: np.ndarray | None = None
) -> tuple[th.Tensor, th.Tensor, list[Memory]]:
    """Logits ``(n_steps, n, n_parts, n_choices, n_levels)``, values ``(n_steps, n)``, and the memory before every step."""
    memory = policy.initial_memory(len(steps[0]))
    logits, values, before = [], [], []
    for n, observations in enumerate(steps):
        start = th.zeros(len(observations)) if starts is None else th.from_numpy(starts[n])
        before.append(memory)
        parameters, actor = policy.acting.step(observations, memory[:N_ACTOR], 1.0 - start[:, None])
        logits.append(logits_of(parameters))
        values.append(policy.values(observations, memory, start))
        _, _, told, memory = policy.step(observations, memory, start)
        assert_close(told, values[-1])
        assert_close(memory[0], actor[0])
    return th.stack(logits), th.stack(values), before


@th.no_grad()
def acted(actor: RecurrentActor, steps: list[th.Tensor]) -> th.Tensor:
    """Logits ``(n_steps, n, n_parts, n_choices, n_levels)`` of what acts alone."""
    memory, logits = actor.initial_memory(len(steps[0])), []
    for observations in steps:
        parameters, memory = actor.step(observations, memory, th.ones(len(observations), 1))
        logits.append(logits_of(parameters))
    return th.stack(logits)


def steps_of(seed: int, n_steps: int = N_STEPS, **settings: Any) -> list[th.Tensor]:
    rng = np.random.default_rng(seed)
    return [observed(rng, **settings) for _ in range(n_steps)]


def minibatch_of(steps: list[th.Tensor], memory: Memory, actions: th.Tensor, lengths: list[int]) -> Minibatch:
    """Sequences of those lengths, side by side; padding repeats the first sample."""
    n_sequences = len(lengths)
    kept = th.tensor([[n < length for length in lengths] for n in range(max(lengths))])
    shown = th.stack(steps)[: max(lengths), :n_sequences].clone()
    shown[~kept] = shown[0, 0].clone()
    none = np.zeros(int(kept.sum()), np.float32)
    return Minibatch(
        observations=shown.flatten(end_dim=1),
        place=None if bool(kept.all()) else kept.flatten().nonzero()[:, 0],
        n_sequences=n_sequences,
        memory=memory,
        actions=actions[: max(lengths), :n_sequences][kept],
        old_log_prob=none,
        advantages=none,
        returns=none,
    )


def begun(policy: EquivariantLstmPolicy, n: int) -> Memory:
    """A memory in the middle of an episode."""
    _, _, before = played(policy, steps_of(9, 3, n=n))
    return before[-1]


def drawn(seed: int = 5) -> th.Tensor:
    """Actions ``(n_steps, n_envs, n_parts * n_choices)``."""
    return th.from_numpy(np.random.default_rng(seed).integers(0, N_LEVELS, (N_STEPS, N_ENVS, N_PARTS * N_CHOICES)))
