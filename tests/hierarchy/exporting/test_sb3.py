"""What is written for Stable-Baselines3 is loaded by it and decides alike."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from stable_baselines3 import TD3

import envs
from envs.core.simplex import to_simplex
from hierarchy.exporting.formats import export
from hierarchy.lower.contextual_ppo import ContextualPPO
from hierarchy.storage import trained as pairs
from hierarchy.storage.saved import read_saved


def test_both_agents_decide_alike(trained: Any, tmp_path: Path) -> None:
    export(trained.out, trained.config, tmp_path / "sb3", "sb3")
    pair = pairs.load(trained.out)
    lower = ContextualPPO.load(tmp_path / "sb3" / "lower.zip", device="cpu")
    batch, state, starts = envs.make(trained.config.env, 3, 1), None, np.ones(3, bool)
    acting, observation = pair.lower.start(3), batch.reset()
    for _ in range(20):
        wanted = acting.act(observation)
        found, state = lower.predict(observation, state, starts, deterministic=True)
        np.testing.assert_array_equal(found, wanted)
        starts, (observation, *_) = np.zeros(3, bool), batch.step(wanted)
    upper = TD3.load(tmp_path / "sb3" / "upper.zip", device="cpu")
    rows = np.random.default_rng(0).normal(size=(50, *upper.observation_space.shape)).astype(np.float32)
    context = to_simplex(upper.predict(rows, deterministic=True)[0])
    np.testing.assert_allclose(context, pair.upper.start(50).act(rows), atol=1e-6)


def test_critics_are_those_that_were_trained(trained: Any, tmp_path: Path) -> None:
    export(trained.out, trained.config, tmp_path / "sb3", "sb3")
    kept = read_saved(trained.out / "lower.safetensors").arrays
    policy = ContextualPPO.load(tmp_path / "sb3" / "lower.zip", device="cpu").policy.state_dict()
    same = [name for name in policy if name in kept]
    assert any(name.startswith("value_net") for name in same)
    for name in same:
        np.testing.assert_array_equal(policy[name].numpy(), kept[name], err_msg=name)
