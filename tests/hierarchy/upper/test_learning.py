"""Upper agents learn what no constant context can do."""

from __future__ import annotations

import numpy as np
import pytest

from hierarchy.upper.td3 import TD3Config
from tests.hierarchy.upper.bits import RIGHT, Bits

OBSERVED = np.array([[-1.0, 1.0], [1.0, 1.0]], np.float32)
BEST_CONSTANT = 0.5


@pytest.mark.parametrize("seed", [0, 1])
def test_the_default_agent_finds_the_corner_that_each_observation_asks_for(seed: int) -> None:
    learner = TD3Config(learning_starts=640).build(Bits(), seed)
    learner.learn(2000)
    contexts = learner.actor.start(2).act(OBSERVED)
    assert contexts[[0, 1], RIGHT].mean() > 0.9 > BEST_CONSTANT
