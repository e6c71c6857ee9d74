"""What the worlds of all rules have in common: no samples of requests, and nothing else that differs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import envs
from envs.core.rng import RESERVOIR
from envs.core.state import Tree
from envs.core.validation import SettingError
from envs.load_balancing.config import LoadBalancingConfig, Reward, Telemetry
from envs.load_balancing.objectives import Budget
from envs.load_balancing.rules import RULES
from envs.load_balancing.world import LoadBalancing
from tests.envs.load_balancing.numbers import numbers_of

SAMPLED = Telemetry(samples=True)
OF_SAMPLES = ("reservoir", "features")


def played(name: str, config: LoadBalancingConfig) -> Tree:
    """The kernel's state after 50 s of a rule with the numbers that a search would try first."""
    rule = RULES[name]
    simulation = envs.simulate(config, 3, 5, "evaluate")
    simulation.reset()
    controller = rule.start(config, 3, [numbers_of(rule, config)] if rule.has_numbers else ())
    for _ in range(200):
        simulation.advance(controller.decide(simulation.measurements))
    assert isinstance(simulation.dynamics, LoadBalancing)
    return simulation.dynamics.state._asdict()


def leaves(value: object) -> list[np.ndarray]:
    return [value] if isinstance(value, np.ndarray) else [leaf for part in value for leaf in leaves(part)]  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", RULES)
def test_without_samples_a_rule_meets_and_does_the_same_to_the_bit(name: str) -> None:
    config = RULES[name].configured(LoadBalancingConfig(objective=Budget()))
    bare, sampled = played(name, config), played(name, replace(config, telemetry=SAMPLED))
    assert not config.telemetry.samples
    for field in set(bare) - {*OF_SAMPLES, "streams"}:
        for one, other in zip(leaves(bare[field]), leaves(sampled[field]), strict=True):
            assert one.tobytes() == other.tobytes(), field
    assert (bare["features"][..., 0] == sampled["features"][..., 0]).all()
    assert (bare["features"][..., 1:] == 0).all()
    assert (sampled["features"][..., 1:] > 0).any()


def test_other_streams_stand_where_they_would_with_samples() -> None:
    config = RULES["prequal"].configured(LoadBalancingConfig())
    bare, sampled = (played("prequal", one)["streams"] for one in (config, replace(config, telemetry=SAMPLED)))
    moved = (bare != sampled).any(-1).any(0)
    assert np.flatnonzero(moved).tolist() == [RESERVOIR]


@pytest.mark.parametrize("field", ["fct_mean", "fct_p90", "flow_duration_avg_decay"])
def test_samples_stay_where_fairness_is_measured_by_them(field: str) -> None:
    config = LoadBalancingConfig(reward=Reward(fairness_field=field))  # type: ignore[arg-type]
    assert RULES["sed"].configured(config).telemetry.samples
    assert RULES["autoscale"].configured(config).telemetry.samples
    with pytest.raises(SettingError, match=r"reward\.fairness_field.*n_flow_on, utilisation"):
        replace(config, telemetry=Telemetry(samples=False))
