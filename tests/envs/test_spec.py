"""A world is what `describe` says of it before it is built."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import envs
from envs.core.objectives import name_of, unit_of
from envs.core.spec import LOWER_FIELDS, PART_FIELDS, UPPER_FIELDS, WorldSpec, described
from envs.core.world import specified
from envs.load_balancing.config import CLASSES, Actions, LoadBalancingConfig, Telemetry, Trace, Workload
from tests.envs.worlds import EXAMPLES, batch_of, every_world


@every_world
def test_a_specification_agrees_with_the_world_that_is_built(name: str) -> None:
    spec, batch = envs.describe(EXAMPLES[name]), batch_of(name)
    world = batch.world
    assert (spec.family, spec.dt_s) == (EXAMPLES[name].family, EXAMPLES[name].dt_s)
    assert spec.terms == batch.term_names == world.term_names
    assert spec.n_terms == batch.n_terms
    n_shown = len(spec.features) * max(spec.n_parts, 1) + len(spec.shared)
    assert n_shown == world.observation_function.space.shape[0]
    assert spec.shows_action_set == world.shows_action_set == bool(batch.layout.n_masked)
    assert spec.action_space == described(batch.action_space)
    assert spec.observed == world.statistics.observed_names
    assert spec.metrics == world.statistics.metric_names
    assert spec.timeline == world.statistics.timeline_names
    batch.reset()
    assert set(spec.observed) | set(spec.timeline) | set(spec.metrics) <= set(batch.simulation.statistics())
    assert len(set(spec.regimes)) == len(spec.regimes) == world.oracle.n_regimes
    assert spec.misfit(specified(world, spec.family, spec.dt_s), (*LOWER_FIELDS, *UPPER_FIELDS)) is None
    assert spec.setting
    assert len(set(spec.setting_names)) == len(spec.setting_names) == batch.setting.shape[1]
    assert (spec.objective, spec.objective_unit) == (name_of(world.objective), unit_of(world.objective))


@every_world
def test_a_specification_goes_through_json(name: str) -> None:
    spec = envs.describe(EXAMPLES[name])
    again = WorldSpec.from_json(json.loads(json.dumps(spec.to_json())))
    assert again == spec
    assert spec.misfit(again, (*LOWER_FIELDS, *PART_FIELDS, *UPPER_FIELDS)) is None


SPEC = envs.describe(LoadBalancingConfig())


@pytest.mark.parametrize(
    ("fields", "name", "other", "message"),
    [
        (LOWER_FIELDS, "terms", ("a", "b", "c"), "terms fairness, latency, cost, got a, b, c"),
        (LOWER_FIELDS, "n_parts", 5, "n_parts 4, got 5"),
        (LOWER_FIELDS, "features", tuple(map(str, range(len(SPEC.features)))), "features n_flow_on, "),
        (LOWER_FIELDS, "shared", tuple(map(str, range(len(SPEC.shared)))), "shared arrived_interactive_1s, "),
        (LOWER_FIELDS, "levels", (0.0, 1.0, 1.5, 3.0), "levels 0.0, "),
        (LOWER_FIELDS, "shows_action_set", True, "shows_action_set False, got True"),
        (LOWER_FIELDS, "action_space", {"kind": "discrete", "n": 3}, "action_space {'kind': 'multi_discrete', "),
        (PART_FIELDS, "features", tuple(map(str, range(len(SPEC.features)))), "features n_flow_on, "),
        (PART_FIELDS, "shared", SPEC.shared[::-1], "shared arrived_interactive_1s, "),
        (UPPER_FIELDS, "observed", tuple(map(str, range(len(SPEC.observed)))), "observed arrival_rate_hz, "),
        (
            UPPER_FIELDS,
            "terms",
            ("fairness", "cost", "latency"),
            "terms fairness, latency, cost, got fairness, cost, latency",
        ),
    ],
)
def test_a_world_with_other_names_of_equal_length_does_not_fit(
    fields: tuple[str, ...], name: str, other: Any, message: str
) -> None:
    misfit = SPEC.misfit(replace(SPEC, **{name: other}), fields)
    assert misfit is not None
    assert misfit.startswith(message)


def test_what_an_agent_does_not_depend_on_may_differ() -> None:
    assert SPEC.misfit(replace(SPEC, family="else", dt_s=9.0, objective="else", regimes=()), LOWER_FIELDS) is None
    assert SPEC.misfit(replace(SPEC, n_parts=9), PART_FIELDS) is None
    assert SPEC.misfit(replace(SPEC, features=("a",), shared=("b",)), UPPER_FIELDS) is None


@pytest.mark.parametrize(
    ("config", "field"),
    [
        (LoadBalancingConfig(actions=Actions(levels=[0.0, 0.5, 1.0, 2.0, 3.0])), "levels"),
        (LoadBalancingConfig(actions=Actions(mode="weights")), "action_space"),
        (LoadBalancingConfig(telemetry=Telemetry(ground_truth=True)), "features"),
        (LoadBalancingConfig(backends="joint"), "features"),
    ],
)
def test_settings_that_an_agent_depends_on_are_in_the_specification(config: LoadBalancingConfig, field: str) -> None:
    misfit = SPEC.misfit(envs.describe(config), LOWER_FIELDS)
    assert misfit is not None
    assert misfit.startswith(f"{field} ")


def test_to_describe_a_world_is_not_to_build_it() -> None:
    """A recording that is not there yet is no obstacle; only a composed world has to be made."""
    workload = Workload(arrivals=Trace(path="/nowhere"))
    assert len(envs.describe(LoadBalancingConfig(workload=workload)).regimes) == 9


def test_settings_are_named_as_they_are_recorded() -> None:
    batch = batch_of("levels")
    nominal, names = batch.world.nominal_action, envs.describe(EXAMPLES["levels"]).setting_names
    batch.reset()
    for choice, name in enumerate(f"{name} on server {server}" for server in range(4) for name in CLASSES):
        action = np.tile(nominal, (batch.n_envs, 1))
        action[:, choice] = 0
        batch.step(action)
        assert [names[setting] for setting in batch.setting.argmin(1)] == [name] * batch.n_envs


def test_a_joint_backend_has_no_name() -> None:
    assert envs.describe(EXAMPLES["joint"]).setting_names == tuple(f"server {server}" for server in range(4))
