"""Agents of either size meet in the same worlds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from envs import LoadBalancingConfig
from runs.settings.experiment import preset_config
from runs.studies import transfer
from runs.studies.running import run_study
from runs.studies.study import StudyOptions
from tests.runs.studies.test_recorded import drawn


def test_pools_of_other_sizes_take_the_servers_in_turn() -> None:
    env = preset_config("transfer").env
    assert isinstance(env, LoadBalancingConfig)
    six = transfer.of_size(env, 6).pool
    assert (six.n_servers, six.speed) == (6, [*env.pool.speed, *env.pool.speed[:2]])
    assert transfer.with_absent(env, 12).randomise.n_servers == [4, 12]
    assert transfer.of_size(env, 4) == env


@pytest.mark.slow
def test_agents_of_either_size_meet_in_the_same_worlds(tmp_path: Path) -> None:
    options = ["--lower.timesteps", "512", "--lower.n_envs", "4", "--lower.batch_size", "64", "--lower.hidden_size", "8"]
    small = ["--upper.meta_period", "5", "--ablation.n_seeds", "2", "--ablation.episode_windows", "4"]
    config = preset_config("transfer", [*options, *small])
    found = run_study("transfer", config, tmp_path, StudyOptions(seeds=1))
    agents = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*.safetensors")}
    assert list(found) == ["6 servers", "4 to 12 of 12 servers"]
    for table in found.values():
        latencies = table["latency_mean_ms"]
        assert table["trained_on_4_to_6"]["mean"] == latencies["trained_on_4"][0] / latencies["trained_on_6"][0]
        assert table["trained_on_4_to_sed"]["mean"] == latencies["trained_on_4"][0] / latencies["sed"][0]
        assert table["deployed_to_sed"]["mean"] == latencies["deployed"][0] / latencies["sed"][0]
    assert run_study("transfer", config, tmp_path, StudyOptions(seeds=1)) == found
    assert {path: path.stat().st_mtime_ns for path in tmp_path.glob("*.safetensors")} == agents, "agents that are there stay"


def test_ratios_on_a_recording_vary_with_its_blocks_though_training_seeds_do_alike() -> None:
    config = preset_config("transfer")
    rng = np.random.default_rng(0)
    of_agents = {who: transfer.Met(10.0, drawn(rng, 30.0)) for who in ("trained_on_4", "trained_on_6", "sed", "deployed")}
    for apart in (False, True):
        met = {who: one._replace(latencies=None) if apart else one for who, one in of_agents.items()}
        results = {who: [{who: dict.fromkeys(transfer.worlds(config.env), one)}] * 3 for who, one in met.items()}
        for table in transfer.STUDY.combine(results, config).values():
            for ratio in transfer.RATIOS:
                low, high = table[ratio]["ci95"]
                assert table[ratio]["mean"] == 1.0
                assert (low < 0.99 and high > 1.01) != apart


def test_what_is_deployed_was_trained_only_where_that_is_better_on_selection_seeds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever evaluation seeds say."""
    options = ["--lower.timesteps", "512", "--lower.n_envs", "4", "--lower.batch_size", "64", "--lower.hidden_size", "8"]
    config = preset_config("transfer", options)
    asked: list[tuple[int, str, float]] = []  # servers, role, latency

    def met(config: Any, lower: Any, role: str = "evaluate") -> transfer.Met:
        n_servers = config.env.pool.n_servers
        is_first = (n_servers, role) not in {one[:2] for one in asked}  # the trained one is met first
        better = is_first == ((n_servers == 6) == (role == "select"))
        asked.append((n_servers, role, 1.0 if better else 2.0))
        return transfer.Met(asked[-1][2], None)

    monkeypatch.setattr(transfer, "agent_latency", met)
    trained, deployed = transfer.trained_on(config, 4, tmp_path)
    assert {name: one.mean_ms for name, one in trained.items()} == {"6 servers": 2.0, "4 to 12 of 12 servers": 1.0}
    assert {name: one.mean_ms for name, one in deployed.items()} == {"6 servers": 2.0, "4 to 12 of 12 servers": 2.0}
