"""What an agent promised is what it had on selection seeds."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from envs.core.validation import SettingError
from envs.load_balancing.objectives.profit import Profit
from envs.load_balancing.objectives.slo import Slo
from hierarchy.config import ExperimentConfig
from hierarchy.evidence.gate import GATE
from hierarchy.online.config import OnlineConfig
from hierarchy.online.promised import N_ERRORS, promised

FOUND: dict[str, Any] = {GATE: {"means": {"learned": 0.7, "sed": 0.9}, "standard_errors": {"learned": 0.1}, "n_seeds": 16}}


def of(config: ExperimentConfig, n_windows: int) -> ExperimentConfig:
    return replace(config, ablation=replace(config.ablation, select_windows=n_windows))


def test_it_is_what_the_pair_had_and_not_what_the_gate_took(untracked_config: ExperimentConfig) -> None:
    assert promised(of(untracked_config, 50), OnlineConfig(), FOUND, Profit()).promise == 0.7


def test_the_margin_is_some_errors_of_a_mean_over_as_many_windows(untracked_config: ExperimentConfig) -> None:
    """Sixteen episodes of fifty windows had an error of 0.1; of as many windows as those it would be the same."""
    as_many = OnlineConfig(windows=16 * 50)
    fewer = OnlineConfig(windows=50)
    assert promised(of(untracked_config, 50), as_many, FOUND, Profit()).margin == pytest.approx(N_ERRORS * 0.1)
    assert promised(of(untracked_config, 50), fewer, FOUND, Profit()) == pytest.approx((0.7, N_ERRORS * 0.4, 16 * 50))


def test_settings_come_first(untracked_config: ExperimentConfig) -> None:
    assert promised(untracked_config, OnlineConfig(promise=0.0, margin=0.0), FOUND, Profit()) == (0.0, 0.0, 0)


@pytest.mark.parametrize(("given", "missing"), [({}, "online.promise"), ({"promise": 1.0}, "online.margin")])
def test_where_nobody_says_it_the_setting_is_named(
    untracked_config: ExperimentConfig, given: dict[str, float], missing: str
) -> None:
    with pytest.raises(SettingError, match=f"{missing} must be given"):
        promised(untracked_config, OnlineConfig(**given), {}, Profit())


def test_what_an_episode_had_says_nothing_of_a_window_where_the_objective_is_no_mean(
    untracked_config: ExperimentConfig,
) -> None:
    with pytest.raises(SettingError, match=r"online.promise must be given .* or the objective is no mean of its windows"):
        promised(untracked_config, OnlineConfig(), FOUND, Slo())
