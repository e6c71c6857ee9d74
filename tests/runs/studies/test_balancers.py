"""A learned team and rules meet the same requests; what a rule does with one number is found on other seeds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from envs import LoadBalancingConfig
from runs.settings.experiment import preset_config
from runs.studies import balancers
from runs.studies.running import run_study
from runs.studies.study import StudyOptions

SMALL = [
    *("--lower.timesteps", "512", "--lower.n_envs", "2", "--lower.team.warm_up", "16"),
    *("--lower.team.rollout_steps", "8", "--lower.team.batch_size", "16", "--lower.team.hidden_size", "8"),
    *(
        "--upper.meta_period",
        "5",
    ),
    *("--ablation.n_seeds", "2", "--ablation.episode_windows", "8"),
    *("--ablation.n_trial_seeds", "2", "--ablation.select_windows", "8"),
]


def test_with_one_balancer_nothing_is_hidden_from_it() -> None:
    config = balancers.at_load(preset_config("balancers", SMALL), 0.85)
    assert isinstance(config.env, LoadBalancingConfig)
    one = replace(config, env=balancers.alone(config.env))
    rules = balancers.rules_at(one)
    assert rules[balancers.LOCAL] == rules[balancers.GLOBAL]
    assert balancers.latency_ms(balancers.flatter(one, 1.0, "evaluate")) == rules[balancers.LOCAL]
    assert rules[balancers.FLATTER] == rules[balancers.FLATTER_GLOBAL]


def test_the_power_is_the_one_that_does_best_on_selection_seeds() -> None:
    config = balancers.at_load(preset_config("balancers", SMALL), 0.85)
    of_powers = {power: balancers.latency_ms(balancers.flatter(config, power, "select")) for power in balancers.POWERS}
    assert of_powers[balancers.best_power(config)] == min(of_powers.values())
    assert len(set(of_powers.values())) == len(balancers.POWERS)


@pytest.mark.slow
def test_learned_and_rules_are_compared_at_each_load(tmp_path: Path) -> None:
    config = preset_config("balancers", SMALL)
    found = run_study("balancers", config, tmp_path, StudyOptions(seeds=2))
    agents = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*.safetensors")}
    assert len(agents) == 2
    assert list(found) == ["0.7", "0.85"]
    for table in found.values():
        latencies = {name: np.array(values) for name, values in table[balancers.METRIC].items()}
        assert set(latencies) == {balancers.OURS, balancers.FLATTER, *balancers.RIVALS, *balancers.RULES}
        for rival in balancers.RIVALS:
            ratio = latencies[balancers.OURS] / latencies[rival]
            np.testing.assert_allclose(table["ratios"][rival]["per_seed"], ratio)
    assert run_study("balancers", config, tmp_path, StudyOptions(seeds=2)) == found
    assert {path: path.stat().st_mtime_ns for path in tmp_path.glob("*.safetensors")} == agents, "agents that are there stay"
