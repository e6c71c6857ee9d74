"""Networks learn what actions gained."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch as th

from hierarchy.nets.advantages import N_MEMBERS, SMALLEST_SPREAD, Advantages
from hierarchy.warm_start.branching import Tried

BATCH_SIZE = 256
LEARNING_RATE = 2e-3
WEIGHT_DECAY = 0.01
SMALLEST = 1e-12
CLIP = 4.0
"""Gains are held within so many of their spreads: a surge in a single future says little."""


def fit(advantages: Advantages, tries: Tried, n_epochs: int, seed: int | Sequence[int]) -> float:
    """Begin anew and learn from tries by least squares; every member meets them in an order of its own.

    Returns
    -------
    Mean squared error in the last epoch, in units of the variance of gains.
    """
    generator = th.Generator().manual_seed(int(np.random.SeedSequence(seed).generate_state(1, np.uint64)[0] >> np.uint64(1)))
    observations = th.from_numpy(tries.observations)
    spread = np.maximum(tries.gains.std((0, 1)), 1e-9)
    gains = th.from_numpy(np.clip(tries.gains / spread, -CLIP, CLIP))
    advantages.mean.copy_(observations.mean(0))
    advantages.spread.copy_(observations.std(0) + SMALLEST_SPREAD)
    advantages.begin(generator)
    advantages.requires_grad_(True)
    n, n_batches = len(observations), -(-len(observations) // BATCH_SIZE)
    optimiser = th.optim.AdamW(advantages.parameters(), LEARNING_RATE, weight_decay=WEIGHT_DECAY, fused=True)
    schedule = th.optim.lr_scheduler.OneCycleLR(optimiser, LEARNING_RATE, total_steps=n_epochs * n_batches)
    of_each = th.arange(N_MEMBERS)[:, None, None]
    actions = th.from_numpy(tries.actions)
    for _ in range(n_epochs):
        error = 0.0
        order = th.stack([th.randperm(n, generator=generator) for _ in range(N_MEMBERS)])
        for at in th.split(order, BATCH_SIZE, dim=1):
            estimates = advantages(observations[at])[of_each, th.arange(at.shape[1])[None, :, None], actions[at]]
            loss = (estimates - gains[at]).square().mean((1, 2, 3)).sum()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            error += float(loss.detach()) / N_MEMBERS / n_batches
    advantages.requires_grad_(False)
    _unscale(advantages, th.from_numpy(spread))
    return error / max(float(gains.square().mean()), SMALLEST)


@th.no_grad()
def _unscale(advantages: Advantages, spread: th.Tensor) -> None:
    """Gains in units of their spread ``(n_measured,)`` become gains."""
    *_, (weight, bias) = advantages.layers()
    of_outputs = spread.repeat(advantages.n_actions)
    weight.mul_(of_outputs)
    bias.mul_(of_outputs)
