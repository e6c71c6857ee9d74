"""What a lost request costs: more than a late one, and never both."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from envs.load_balancing.config import CLASSES, LoadBalancingConfig, Regimes, Workload, WorkloadClass
from envs.load_balancing.kernel import accounts
from envs.load_balancing.objectives import Profit
from envs.load_balancing.statistics import METRICS, OBSERVED, LoadStatistics, Totals
from envs.load_balancing.world import LoadBalancing
from tests.envs.load_balancing.pools import (
    PROPERTY,
    count,
    everyone,
    fail,
    figures_of,
    inject,
    run,
    servers,
    started,
    totals_of,
)

LATE = WorkloadClass(mean_work_s=1.0, deadline_s=2.0, value_usd=5.0, penalty_usd=3.0, loss_usd=7.0)
RARELY_HZ = 1e-12
USD = st.floats(0.0, 100.0)


def world_of(flow: WorkloadClass = LATE, load: float = 0.0, n_envs: int = 1, **pool: object) -> LoadBalancing:
    workload = Workload(regimes=Regimes(loads=[load], interactive_shares=[0.5]), interactive=flow, batch=flow, retries=0.0)
    fields = {"failure_rate_hz": RARELY_HZ, "repair_s": 1e12, "detection_s": 1e12, **pool}
    return started(LoadBalancingConfig(pool=servers([2, 2], **fields), workload=workload, dt_s=1.0), n_envs)


def penalty_usd(world: LoadBalancing, since: Totals | None = None) -> float:
    return float(figures_of(world, since)["penalty_usd"][0])


def test_a_late_answer_costs_the_price_of_being_late() -> None:
    world = world_of()
    inject(world, 0, 4.0)
    run(world, 6)
    assert count(world, accounts.COMPLETED)[0, 0] == 1
    assert penalty_usd(world) == 3.0


@pytest.mark.parametrize("n_steps", [1, 5])
def test_a_flow_lost_in_time_or_late_already_costs_the_price_of_a_loss_alone(n_steps: int) -> None:
    world = world_of()
    inject(world, 0, 50.0)
    run(world, n_steps)
    assert count(world, accounts.LATE)[0, 0] == (n_steps > 2)
    fail(world, 0)
    run(world, 1)
    assert count(world, accounts.LOST)[0, 0] == 1
    assert penalty_usd(world) == 7.0


def test_windows_of_a_flow_that_is_late_and_then_lost_add_up_to_the_price_of_a_loss() -> None:
    world = world_of()
    inject(world, 0, 50.0)
    run(world, 5)
    middle, first = totals_of(world), penalty_usd(world)
    fail(world, 0)
    run(world, 1)
    assert (first, penalty_usd(world, middle)) == (3.0, 4.0)


def test_a_rejected_flow_costs_the_price_of_a_loss() -> None:
    world = world_of(load=3.0)
    run(world, 5, weights=0.0)
    rejected = count(world, accounts.REJECTED).sum()
    assert rejected == count(world, accounts.ARRIVED).sum() > 0
    assert penalty_usd(world) == pytest.approx(7.0 * rejected)


def test_what_waits_at_the_end_is_late_and_not_lost() -> None:
    world = world_of()
    inject(world, 0, 50.0)
    run(world, 1)
    world.settle(everyone(world))
    assert penalty_usd(world) == 3.0


@PROPERTY
@given(USD, USD, st.one_of(st.none(), USD), st.lists(st.integers(0, 50), min_size=4, max_size=4))
def test_losing_a_flow_is_never_profitable(value: float, penalty: float, loss: float | None, others: list[int]) -> None:
    """Of two histories that differ in one flow, late here and lost there, the late one earns more."""
    try:
        flow = WorkloadClass(mean_work_s=1.0, deadline_s=1.0, value_usd=value, penalty_usd=penalty, loss_usd=loss)
    except ValueError:
        assume(False)
    assume(flow.price_of_loss_usd - penalty > 1e-9 * (1.0 + penalty))  # what sums of a few hundred of them can tell
    world = world_of(flow)
    on_time, late, lost, rejected = others
    earned = []
    for kind in (accounts.COMPLETED, accounts.LOST, accounts.REJECTED):
        now = totals_of(world)
        now.sums[:, accounts.STEPS] = 3600.0
        now.counts[0, 0, accounts.ARRIVED] = sum(others) + 1
        now.counts[0, 0, accounts.ON_TIME] = on_time
        now.counts[0, 0, [accounts.COMPLETED, accounts.LOST, accounts.REJECTED]] = on_time + late, lost, rejected
        now.counts[0, 0, accounts.LATE] = late + lost + rejected + 1
        now.counts[0, 0, kind] += 1
        earned.append(float(Profit()(figures_between(world, now))[0]))
    assert earned[0] > max(earned[1:])
    assert earned[1] == earned[2]


def figures_between(world: LoadBalancing, now: Totals) -> dict[str, np.ndarray]:
    """Figures from the reset to some totals."""
    statistics = LoadStatistics(world.config)
    statistics.totals = lambda measurements: now  # type: ignore[method-assign]
    return statistics.since(world.measurements)


@pytest.mark.parametrize(
    ("value", "penalty", "loss"), [(1.0, 2.0, 2.0), (1.0, 2.0, 1.0), (0.0, 2.0, None), (0.0, 0.0, None)]
)
def test_a_loss_that_costs_no_more_than_being_late_is_refused(value: float, penalty: float, loss: float | None) -> None:
    with pytest.raises(ValueError, match=rf"^loss_usd must be > penalty_usd \({penalty}\).*, got {loss}$"):
        WorkloadClass(mean_work_s=1.0, deadline_s=1.0, value_usd=value, penalty_usd=penalty, loss_usd=loss)


def test_without_a_price_of_its_own_a_loss_costs_value_and_penalty() -> None:
    flow = WorkloadClass(mean_work_s=1.0, deadline_s=1.0, value_usd=1.5, penalty_usd=2.0)
    assert flow.price_of_loss_usd == 3.5


def test_every_class_of_the_default_world_loses_by_losing() -> None:
    for flow in Workload().classes:
        assert flow.price_of_loss_usd >= flow.value_usd + flow.penalty_usd


def test_shares_of_a_class_are_of_what_arrived_of_it() -> None:
    world = run(world_of(load=1.5, n_envs=4, max_flows=4, failure_rate_hz=0.1, repair_s=3.0, detection_s=1.0), 200)
    arrived, late = count(world, accounts.ARRIVED), count(world, accounts.LATE)
    unanswered = count(world, accounts.LOST) + count(world, accounts.REJECTED)
    figures = figures_of(world)
    assert (count(world, accounts.LOST) > 0).any()
    for index, name in enumerate(CLASSES):
        assert np.allclose(figures[f"late_share_{name}"] * arrived[:, index], late[:, index])
        assert np.allclose(figures[f"lost_share_{name}"] * arrived[:, index], unanswered[:, index])
    for what in ("late", "lost"):
        by_class = np.stack([figures[f"{what}_share_{name}"] for name in CLASSES], axis=-1)
        assert np.allclose((by_class * arrived).sum(-1) / arrived.sum(-1), figures[f"{what}_share"])


def test_a_class_of_which_nothing_arrived_lost_nothing() -> None:
    world = world_of()
    inject(world, 0, 4.0, flow_class=1)
    figures = figures_of(run(world, 4))
    assert figures["late_share_batch"][0] == 1.0
    assert figures["late_share_interactive"][0] == figures["lost_share_interactive"][0] == 0.0


def test_loss_and_lateness_stand_first_per_class_and_are_observed() -> None:
    shares = tuple(f"{what}_share_{name}" for what in ("late", "lost") for name in CLASSES)
    assert METRICS[:7] == ("latency_mean_ms", "latency_p99_ms", "cost_usd_per_h", *shares)
    assert set(shares) <= set(OBSERVED)


def test_many_late_flows_of_which_few_arrived_now_are_observed_as_of_order_one() -> None:
    """They arrived in windows before, so their share is far above 1."""
    world = world_of(n_envs=2)
    for _ in range(40):
        inject(world, 0, 50.0, flow_class=1)
    run(world, 2)
    since = totals_of(world)
    inject(world, 0, 50.0, flow_class=1)
    figures = figures_of(run(world, 2), since)
    assert figures["late_share_batch"].tolist() == [40.0] * 2
    assert LoadStatistics(world.config).observed(figures)[:, list(OBSERVED).index("late_share_batch")].max() < 4.0
