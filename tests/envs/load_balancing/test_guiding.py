"""An agent that guides a rule: what the rule would do, or a plan in place of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import envs
from envs.core.batch import BatchEnv
from envs.core.state import flatten
from envs.core.validation import SettingError
from envs.load_balancing.actions import FOLLOW
from envs.load_balancing.config import Actions, LoadBalancingConfig, Randomisation, Trace, Workload
from envs.load_balancing.guiding import TRUST, Guiding
from envs.load_balancing.observation import RATE_SCALE_HZ, expected_names, reading_names, shared_names
from envs.load_balancing.plans import plans
from envs.load_balancing.rules.autoscale import by_price
from envs.load_balancing.rules.base import base_rule, candidates, numbers_of
from envs.load_balancing.rules.shifts import RegimeFilter

ALL_ON = 16
"""The plan that has every server on in both backends."""
N_ENVS, N_STEPS = 3, 240
OF_CLASSES = list(candidates(LoadBalancingConfig()))
JOINT = LoadBalancingConfig(backends="joint")
RULES = [(LoadBalancingConfig(), name) for name in OF_CLASSES] + [(JOINT, name) for name in candidates(JOINT)]


def config_of(
    rule: str = "autoscale_shifts", world: LoadBalancingConfig | None = None, **actions: Any
) -> LoadBalancingConfig:
    settings = Actions(**{"mode": "guided", "rule": rule, **actions})
    return replace(world or LoadBalancingConfig(), actions=settings, dt_s=1.0, episode_steps=N_STEPS)


def batch_of(config: LoadBalancingConfig) -> tuple[BatchEnv, Guiding]:
    batch = envs.make(config, N_ENVS, 7)
    batch.reset()
    weighting = batch.world.actuator
    assert isinstance(weighting, Guiding)
    return batch, weighting


def action(batch: BatchEnv, number: int = FOLLOW) -> np.ndarray:
    """The same in all envs."""
    return np.full((batch.n_envs, 1), number)


@pytest.mark.parametrize(("world", "rule"), RULES)
def test_who_guides_nothing_does_what_the_rule_does(world: LoadBalancingConfig, rule: str) -> None:
    """In every step of an episode."""
    config = config_of(rule, world)
    batch, weighting = batch_of(config)
    alone = envs.simulate(replace(config, actions=Actions()), N_ENVS, 7)
    alone.reset()
    controller = base_rule(config).start(config, N_ENVS, [numbers_of(config)])
    for step in range(N_STEPS):
        weights = controller.decide(alone.measurements)
        alone.advance(weights)
        batch.step(action(batch))
        assert_array_equal(weighting.relative > 0, weights > 0, err_msg=f"step {step}")
    assert_array_equal(batch.simulation.statistics()["server_cost_usd"], alone.statistics()["server_cost_usd"])


def test_a_reset_of_some_envs_leaves_the_rule_of_the_others_alone() -> None:
    batch, _ = batch_of(config_of())
    free, _ = batch_of(config_of())
    for _ in range(30):
        batch.step(action(batch))
        free.step(action(free))
    batch.reset(mask=np.array([True, False, False]))
    for _ in range(60):
        observation, *_ = batch.step(action(batch))
        expected, *_ = free.step(action(free))
        assert_array_equal(observation[1:], expected[1:])


@pytest.mark.parametrize("others", [False, True])
@pytest.mark.parametrize("rule", OF_CLASSES)
def test_an_env_that_begins_anew_has_a_fresh_rule(rule: str, others: bool) -> None:
    """All that it remembers is as at the beginning of the first episode, whether or not the others begin with it."""
    batch, weighting = batch_of(config_of(rule, every_steps=7))
    first = flatten(weighting.get_state())
    for _ in range(50):
        batch.step(action(batch, ALL_ON))
    before = flatten(weighting.get_state())
    batch.reset(mask=np.array([True, others, others]))
    again = flatten(weighting.get_state())
    moving = {name for name in first.keys() & before.keys() if name.startswith(("rule", "timetable", "held"))}
    for name in moving - {"rule/order"}:
        assert_array_equal(again[name][0], first[name][0], err_msg=name)
        assert_array_equal(again[name][1], (first if others else before)[name][1], err_msg=name)
    assert any((before[name][0] != first[name][0]).any() for name in moving)


def test_a_plan_is_held_in_place_of_what_the_rule_does() -> None:
    """Every plan, by the servers that it has on: those of the default stand in order of price, the dearest first."""
    batch, weighting = batch_of(config_of())
    made = plans(4, 2)
    for number, plan in enumerate(made, start=1):
        batch.step(action(batch, number))
        assert_array_equal(weighting.relative > 0, np.broadcast_to(plan[:, ::-1], (N_ENVS, 2, 4)), err_msg=str(number))


def test_the_rule_goes_on_deciding_while_a_plan_is_held() -> None:
    """When it is followed again it does what it would have done under the requests that came."""
    config = config_of("autoscale_pools")
    batch, weighting = batch_of(config)
    beside = base_rule(config).start(config, N_ENVS, [numbers_of(config)])
    for step in range(N_STEPS):
        decided = beside.decide(batch.simulation.measurements) > 0
        held = step % 20 < 15
        batch.step(action(batch, ALL_ON if held else FOLLOW))
        assert_array_equal(weighting.relative > 0, np.ones_like(decided) if held else decided, err_msg=f"step {step}")


def test_plans_go_by_the_prices_of_every_env() -> None:
    """Which are drawn anew for every episode; of servers that are absent none is on."""
    drawn = Randomisation(price_per_capacity=[0.05, 0.4], n_servers=[2, 4])
    batch, weighting = batch_of(replace(config_of("autoscale_pools"), randomise=drawn))
    cheapest = 1 + next(number for number, plan in enumerate(plans(4, 2)) if plan.sum(-1).tolist() == [1, 1] and plan[0, 0])
    orders = set()
    for _ in range(8):
        batch.step(action(batch, cheapest))
        measured = batch.simulation.measurements
        order = by_price(measured.price_usd_per_h, measured.capacity, measured.present)
        on = weighting.relative > 0
        assert_array_equal(on.argmax(-1), np.repeat(order[:, :1], 2, axis=1))
        assert (on.sum(-1) == 1).all()
        batch.step(action(batch, ALL_ON))
        assert_array_equal(weighting.relative > 0, np.broadcast_to(measured.present[:, None], (N_ENVS, 2, 4)))
        orders |= set(map(tuple, order.tolist()))
        batch.reset()
    assert len(orders) > 3


def test_what_is_expected_is_what_the_timetable_says_after_all_that_came() -> None:
    config = config_of("autoscale_pools")
    batch, _ = batch_of(config)
    alone = RegimeFilter(config, np.full(N_ENVS, TRUST))
    for _ in range(60):
        alone.observe(batch.simulation.measurements)
        observation, *_ = batch.step(action(batch))
    shared = shared_names(config)
    of_all = dict(zip(shared, observation[:, -len(shared) - 3 : -3].T, strict=True))
    rates = alone.ahead(np.full(N_ENVS, 30.0), batch.simulation.measurements.time_of_day)
    for name, rate_hz in zip(("interactive", "batch"), rates.T, strict=True):
        assert_allclose(of_all[f"expected_{name}_30s"], np.log1p(rate_hz / RATE_SCALE_HZ), rtol=1e-5)


def test_an_action_is_listened_to_once_in_so_many_steps() -> None:
    batch, weighting = batch_of(config_of(every_steps=5))
    for step in range(11):
        batch.step(action(batch, ALL_ON if step % 5 == 0 else 1))
        assert (weighting.relative > 0).all()


def test_what_is_shown_is_what_the_rule_goes_by_and_what_is_expected() -> None:
    config = config_of()
    batch, weighting = batch_of(config)
    for _ in range(40):
        observation, *_ = batch.step(action(batch))
    shared = shared_names(config)
    of_all = dict(zip(shared, observation[:, -len(shared) - 3 : -3].T, strict=True))
    readings = weighting.get_state()["rule"]["readings"]
    names = reading_names(config)
    assert names[0] == "demand_to_upper_interactive"
    assert names[-1] == "rested_batch"
    assert_allclose(np.stack([of_all[name] for name in names], axis=-1), readings.reshape(N_ENVS, -1), rtol=1e-6)
    assert (readings >= 0).all()
    assert (readings <= 1).all()
    assert (of_all["expected_interactive_0s"] > 0).all()
    assert (of_all["expected_interactive_0s"] != of_all["expected_interactive_60s"]).all()


def test_a_timetable_is_shown_where_there_is_one() -> None:
    recorded = replace(config_of("autoscale_pools"), workload=Workload(arrivals=Trace(path="any.csv")))
    for rule in OF_CLASSES:
        assert len(expected_names(config_of(rule))) == 8
    assert expected_names(recorded) == ()
    assert len(reading_names(recorded)) == 8
    assert reading_names(LoadBalancingConfig()) == expected_names(LoadBalancingConfig()) == ()
    told = [envs.base_rule(config).knows for config in (config_of("autoscale_pools"), recorded)]  # type: ignore[union-attr]
    assert told == ["timetable", "measurements"]


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (config_of("sed"), "actions.rule must be one of best, autoscale_pools, .*got sed"),
        (config_of("autoscale"), "actions.rule must be one of best, autoscale_pools, .*got autoscale"),
        (config_of("autoscale_pools", JOINT), "actions.rule must be one of best, autoscale, autoscale_class with these"),
        (
            replace(config_of(), workload=Workload(arrivals=Trace(path="any.csv"))),
            "actions.rule must be one of best, autoscale_pools, autoscale_forecast with these backends and arrivals",
        ),
        (config_of(numbers={"up_0": 1.0}), r"actions.numbers must be \{\} or the numbers of autoscale_shifts \(.*got up_0"),
        (config_of("best", numbers={"up_0": 1.0}), r"actions.numbers must be \{\} where actions.rule is best, got up_0"),
    ],
)
def test_a_rule_that_does_not_fit_is_refused(config: LoadBalancingConfig, message: str) -> None:
    with pytest.raises(SettingError, match=message):
        numbers_of(config)


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (np.full((N_ENVS, 1), 41), "actions must be 0 to 40, got 41 to 41"),
        (np.full((N_ENVS, 1), -1), "actions must be 0 to 40, got -1 to -1"),
        (np.zeros((N_ENVS, 8)), r"actions must have shape \(3, 1\) \(n_envs, 1\), got \(3, 8\)"),
    ],
)
def test_other_actions_are_refused(action: np.ndarray, message: str) -> None:
    batch, _ = batch_of(config_of())
    with pytest.raises(ValueError, match=message):
        batch.step(action)


def test_the_first_guess_of_an_engineer_is_guided_until_others_are_found() -> None:
    config = config_of()
    base = envs.base_rule(config)
    assert base is not None
    assert (base.candidates, base.numbers) == (("autoscale_shifts",), {})
    found = envs.with_numbers(config, "autoscale_shifts", {**numbers_of(config), "up_0": 0.123})
    assert envs.base_rule(found).numbers["up_0"] == 0.123  # type: ignore[union-attr]  # there is one
    assert envs.describe(found) == envs.describe(config), "agents of one are agents of the other"
    assert envs.base_rule(LoadBalancingConfig()) is None
    assert envs.base_rule(envs.SparkConfig()) is None


def test_the_best_is_one_of_those_that_have_the_backends_of_the_world() -> None:
    config = config_of("best")
    assert envs.base_rule(config).candidates == tuple(OF_CLASSES)  # type: ignore[union-attr]  # there is one
    for rule in OF_CLASSES:
        found = envs.with_numbers(config, rule, numbers_of(config_of(rule)))
        assert envs.describe(found) == envs.describe(config), "whichever is taken, agents are of one world"
        batch_of(found)  # type: ignore[arg-type]  # a load-balancing world
