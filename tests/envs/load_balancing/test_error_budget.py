"""Windows are missed as their requests are late, a day has so many to miss, and what is left is told and acted on."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import envs
from envs.core.simulation import Simulation
from envs.core.validation import SettingError
from envs.load_balancing.config import BalancersConfig, LoadBalancingConfig
from envs.load_balancing.error_budget import ErrorBudget
from envs.load_balancing.kernel.accounts import ARRIVED, LATE
from envs.load_balancing.objectives import Budget, Profit
from envs.load_balancing.rules import RULES
from envs.load_balancing.statistics import OBSERVED
from tests.envs.load_balancing.pools import servers, steady

BUDGET = Budget(share=0.5, quantile=0.9, span_s=1.0, day_s=10.0, overspent_usd=0.3)
N_ENVS, STEPS = 3, 4
"""Steps of a window."""
CONFIG = LoadBalancingConfig(
    pool=servers([2, 2]), workload=steady(0.8, interactive_share=0.6, deadline_s=0.6), objective=BUDGET, episode_steps=120
)
CAREFUL = ("careful_class", "careful_pools", "careful_shifts")


def played(config: LoadBalancingConfig, n_steps: int, seed: int = 1) -> tuple[Simulation, np.ndarray]:
    """Steps with all servers on, and requests of the dearest class that came and were late ``(n_steps + 1, n_envs, 2)``."""
    simulation = envs.simulate(config, N_ENVS, seed)
    simulation.reset()
    nominal = np.ones((N_ENVS, config.balancers.n * config.n_backends, config.pool.n_servers))
    counted = [np.zeros((N_ENVS, 2))]
    for _ in range(n_steps):
        simulation.advance(nominal)
        measured = simulation.measurements
        pooled = getattr(measured, "pooled", measured)
        counted.append(pooled.counts[:, 0][:, [ARRIVED, LATE]].astype(float))
    return simulation, np.array(counted)


def missed_in(counted: np.ndarray) -> np.ndarray:
    """Windows that were missed ``(n_windows, n_envs)``, from what was counted."""
    of_windows = np.diff(counted[::STEPS], axis=0)
    missed: np.ndarray = 10 * of_windows[..., 1] > of_windows[..., 0]  # in whole numbers
    return missed


@pytest.mark.parametrize("n_balancers", [1, 2])
def test_a_window_is_missed_where_more_than_the_rest_of_the_quantile_is_late(n_balancers: int) -> None:
    simulation, counted = played(replace(CONFIG, balancers=BalancersConfig(n=n_balancers)), 100)
    missed = missed_in(counted)
    assert 0.1 < missed.mean() < 0.9
    assert simulation.statistics()["windows_missed_share"] == pytest.approx(missed.mean(0))


def test_missing_is_free_within_the_budget_of_a_day_and_every_day_has_one_of_its_own() -> None:
    simulation, counted = played(CONFIG, 120)
    missed = missed_in(counted)
    of_days = missed.reshape(3, 10, N_ENVS).sum(1)
    beyond = np.maximum(of_days - 5, 0).sum(0)
    assert (beyond > 0).any()
    statistics = simulation.statistics()
    assert_array_equal(statistics["windows_overspent"], beyond)
    profit, hours = Profit()(statistics), statistics["duration_h"]
    assert simulation.objective(statistics) == pytest.approx(profit - 0.3 * beyond / hours)


def test_what_is_left_is_told_at_the_end_of_every_window() -> None:
    n_windows = 13
    simulation, counted = played(CONFIG, n_windows * STEPS)
    missed = missed_in(counted)[10:].sum(0)
    statistics = simulation.statistics()
    assert statistics["day_left_share"] == pytest.approx(np.full(N_ENVS, 0.7))
    assert statistics["budget_left_share"] == pytest.approx(1.0 - missed / 5.0)
    observed, spec = simulation.world.statistics.observed(statistics), envs.describe(CONFIG)
    assert_array_equal(observed[:, -1], statistics["day_left_share"].astype(np.float32))
    assert spec.observed == simulation.world.statistics.observed_names == (*OBSERVED, "budget_left_share", "day_left_share")
    assert spec.metrics == simulation.world.statistics.metric_names
    assert spec.timeline == simulation.world.statistics.timeline_names


def test_figures_of_a_stretch_are_of_its_windows_alone() -> None:
    simulation, _ = played(CONFIG, 5 * STEPS)
    totals, nominal = simulation.totals(), np.ones((N_ENVS, 2, 2))
    before = simulation.statistics()
    for _ in range(5 * STEPS):
        simulation.advance(nominal)
    whole, stretch = simulation.statistics(), simulation.statistics(totals)
    for name in ("windows_overspent",):
        assert_array_equal(stretch[name], whole[name] - before[name])
    shares = [one["windows_missed_share"] for one in (before, stretch, whole)]
    assert (shares[0] + shares[1]) / 2 == pytest.approx(shares[2])


def test_a_new_episode_has_a_new_budget_and_the_others_keep_theirs() -> None:
    simulation, _ = played(CONFIG, 6 * STEPS)
    before = simulation.statistics()
    assert (before["windows_missed_share"] > 0).all()
    simulation.reset(mask=np.array([True, False, False]))
    simulation.advance(np.ones((N_ENVS, 2, 2)))
    after = simulation.statistics()
    assert (after["windows_missed_share"][0], after["budget_left_share"][0], after["day_left_share"][0]) == (0.0, 1.0, 1.0)
    assert_array_equal(after["windows_missed_share"][1:], before["windows_missed_share"][1:])


def test_a_simulation_goes_on_with_its_budget() -> None:
    ours, _ = played(CONFIG, 27)
    theirs, _ = played(CONFIG, 3, seed=9)
    theirs.set_state(ours.get_state())
    for simulation in (ours, theirs):
        for _ in range(30):
            simulation.advance(np.ones((N_ENVS, 2, 2)))
    for name, values in ours.statistics().items():
        assert_array_equal(values, theirs.statistics()[name], err_msg=name)


def test_who_asks_twice_counts_once() -> None:
    simulation, _ = played(CONFIG, 8 * STEPS)
    budget = ErrorBudget(BUDGET, CONFIG.dt_s, N_ENVS)
    for _ in range(3):
        budget.observe(simulation.measurements)
    assert_array_equal(budget.windows, np.ones(N_ENVS))


def test_the_first_window_of_an_episode_owes_nothing_to_the_one_before() -> None:
    simulation, _ = played(CONFIG, 80)
    assert (simulation.statistics()["windows_overspent"] > 0).any()
    simulation.reset()
    totals = simulation.totals()
    fresh = simulation.statistics()
    assert_array_equal(fresh["budget_left_share"], np.ones(N_ENVS))
    for _ in range(3 * STEPS):
        simulation.advance(np.ones((N_ENVS, 2, 2)))
    whole, since = simulation.statistics(), simulation.statistics(totals)
    for name in ("windows_missed_share", "windows_overspent"):
        assert_array_equal(whole[name], since[name], err_msg=name)
        assert (whole[name] >= 0).all()


@pytest.mark.parametrize(
    ("share", "n_windows", "n_allowed"), [(0.9, 100, 10), (0.8, 10, 2), (0.95, 100, 5), (0.995, 8640, 43), (0.9, 5, 0)]
)
def test_a_budget_is_so_many_whole_windows(share: float, n_windows: int, n_allowed: int) -> None:
    budget = Budget(share=share, span_s=10.0, day_s=10.0 * n_windows)
    assert (budget.n_windows, budget.n_allowed) == (n_windows, n_allowed)


@pytest.mark.parametrize(("late", "missed"), [(1, 0.0), (2, 1.0)])
def test_a_window_in_which_as_many_are_late_as_may_be_is_kept(late: int, missed: float) -> None:
    """A tenth of ten."""
    measured = envs.simulate(CONFIG, 1, 1).measurements
    measured.counts[:, 0, [ARRIVED, LATE]] = 10, late
    measured.sums[:, 0] = STEPS
    budget = ErrorBudget(BUDGET, CONFIG.dt_s, 1)
    budget.observe(measured)
    assert (budget.windows, budget.missed) == ([1.0], [missed])


def ruled(name: str, careful_below: float | None) -> tuple[np.ndarray, Simulation]:
    """Weights that a rule sets, step by step, with the first of its numbers."""
    rule: Any = RULES[name]
    config = rule.configured(replace(CONFIG, episode_steps=200))
    numbers = rule.suggest(envs.core.rules.Enqueued(rule.first(config)[0]), config)
    if careful_below is not None:
        numbers["careful_below"] = careful_below
    simulation = envs.simulate(config, N_ENVS, 2)
    simulation.reset()
    controller, weights = rule.start(config, N_ENVS, [numbers]), []
    while not simulation.ended.all():
        weights.append(controller.decide(simulation.measurements))
        simulation.advance(weights[-1])
    return np.array(weights), simulation


@pytest.mark.parametrize("name", CAREFUL)
def test_a_careful_rule_that_is_never_careful_is_the_switching_rule(name: str) -> None:
    plain, _ = ruled(name.replace("careful", "autoscale"), None)
    never, _ = ruled(name, 0.0)
    assert_array_equal(plain, never)
    assert (plain == 0).any()


@pytest.mark.parametrize("name", CAREFUL)
def test_a_careful_rule_has_all_servers_on_while_little_is_left(name: str) -> None:
    weights, simulation = ruled(name, 1.0)
    budget = ErrorBudget(BUDGET, CONFIG.dt_s, N_ENVS)
    replayed = envs.simulate(simulation.world.dynamics.config, N_ENVS, 2)  # type: ignore[attr-defined]
    replayed.reset()
    careful_steps = 0
    for step in weights:
        budget.observe(replayed.measurements)
        careful = budget.left_share < budget.day_left_share
        assert (step[careful] > 0).all()
        careful_steps += careful.sum()
        replayed.advance(step)
    assert careful_steps > 0


def test_a_careful_rule_is_there_where_there_is_a_budget_that_one_balancer_counts() -> None:
    assert set(CAREFUL) <= envs.rules(CONFIG).keys()
    for other in (replace(CONFIG, objective=Profit()), replace(CONFIG, balancers=BalancersConfig(n=2))):
        assert not set(CAREFUL) & envs.rules(other).keys()


def test_a_window_of_no_number_of_steps_is_refused() -> None:
    with pytest.raises(SettingError, match=r"objective.span_s must be a multiple of dt_s \(0.25\), got 0.3"):
        replace(CONFIG, objective=replace(BUDGET, span_s=0.3))


def test_a_day_shorter_than_a_window_is_refused() -> None:
    with pytest.raises(SettingError, match=r"day_s must be >= span_s \(10\), got 5"):
        Budget(day_s=5.0)
