"""What servers and requests were is found in a log of theirs, and so is how well it is known."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from envs.core.validation import SettingError
from envs.load_balancing.kernel.arrivals.traffic import WORK_DISTRIBUTIONS, WorkDistribution
from runs.calibration import fitting
from runs.calibration.calibration import Found, calibrate
from runs.calibration.world import Fit, world_of
from tests.runs.calibration import logs
from tests.runs.calibration.logs import CORES, CV, NAMES, SHAPE, SHARE, SPEED, Truth, base, logged, served

pytestmark = pytest.mark.slow
OVERHEAD_S, RATE_HZ, N = 6e-4, 230.0, 15_000


class Case(NamedTuple):
    kind: WorkDistribution
    truth: Truth
    found: Found
    fit: Fit


@pytest.fixture(scope="module", params=WORK_DISTRIBUTIONS)
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    truth = served(N, RATE_HZ, request.param, seed=1, overhead_s=OVERHEAD_S)
    found = calibrate(logged(tmp_path_factory.mktemp("log"), truth, OVERHEAD_S), base(), NAMES)
    return Case(request.param, truth, found, world_of(found, base()))


def errors(case: Case) -> dict[str, float | None]:
    return {one.path: one.error for one in case.fit.settings}


def test_speeds_are_found(case: Case) -> None:
    speed = np.array(case.fit.world.pool.speed)
    assert speed[0] == SPEED[0]  # the fastest, which says what a second of work is
    assert speed == pytest.approx(SPEED, rel=0.05)
    for server in (1, 2):
        error = errors(case)[f"pool.speed.{server}"]
        assert error is not None
        assert abs(speed[server] - SPEED[server]) < 4 * error
        assert error < 0.05 * SPEED[server]


def test_work_is_found(case: Case) -> None:
    for flow_class in (0, 1):
        mean_s = case.fit.world.workload.mean_work_s[flow_class]
        assert mean_s == pytest.approx(case.truth.sample_mean_s(flow_class), rel=0.03)


def test_the_distribution_is_found(case: Case) -> None:
    workload = case.fit.world.workload
    assert workload.work == case.kind
    assert case.found.fitted.misfit < 0.1
    assert not case.found.fitted.by_means
    if case.kind == "lognormal":
        assert workload.work_cv == pytest.approx(CV, rel=0.06)
    if case.kind == "pareto":
        assert workload.pareto_shape == pytest.approx(SHAPE, rel=0.06)


def test_time_beside_the_work_is_found_though_the_log_has_whole_milliseconds(case: Case) -> None:
    point = case.found.fitted.point
    assert point.overhead_s == pytest.approx(OVERHEAD_S, abs=1.5e-4)
    assert 0.5e-3 <= point.blur_s <= 1.5e-3


def test_cores_are_confirmed(case: Case) -> None:
    for one, cores in zip(case.found.workers, CORES, strict=True):
        assert one is not None
        assert one.likeliest == cores
        assert not one.is_clear
    assert case.found.workers[0] is not None
    assert case.found.workers[0].is_checked


def test_what_comes_is_found(case: Case) -> None:
    workload, pool = case.fit.world.workload, case.fit.world.pool
    assert workload.arrivals.source == "poisson"
    [share], [load] = workload.regimes.interactive_shares, workload.regimes.loads
    assert share == pytest.approx(SHARE, abs=0.02)
    rate_hz = load * pool.capacity.sum() / (share * workload.mean_work_s[0] + (1 - share) * workload.mean_work_s[1])
    assert rate_hz == pytest.approx(case.found.traffic.rate_hz, rel=1e-9)
    assert rate_hz == pytest.approx(RATE_HZ, rel=0.03)
    assert case.found.traffic.is_even


def test_no_slow_down_is_made_up(case: Case) -> None:
    assert case.found.slowness.n_episodes == 0
    assert case.fit.world.pool.slowdown_rate_hz == base().pool.slowdown_rate_hz


def test_what_a_log_does_not_say_stays(case: Case) -> None:
    before, after = base(), case.fit.world
    assert after.pool.price_usd_per_h == before.pool.price_usd_per_h
    assert after.pool.cores == before.pool.cores
    for old, new in zip(before.workload.classes, after.workload.classes, strict=True):
        assert (new.deadline_s, new.value_usd, new.penalty_usd) == (old.deadline_s, old.value_usd, old.penalty_usd)
    assert (after.dt_s, after.dispatch, after.objective) == (before.dt_s, before.dispatch, before.objective)


def test_another_reference_changes_the_unit_and_nothing_else(case: Case) -> None:
    fitted = case.found.fitted.seen_from(1)
    other = world_of(case.found._replace(fitted=fitted, reference=1), base()).world
    assert other.pool.speed[1] == base().pool.speed[1] == 1.0
    factor = case.fit.world.pool.speed[1]
    assert other.pool.speed == pytest.approx(np.array(case.fit.world.pool.speed) / factor)
    assert other.workload.mean_work_s == pytest.approx(case.fit.world.workload.mean_work_s / factor)
    assert other.workload.regimes.loads == pytest.approx(case.fit.world.workload.regimes.loads)


@pytest.fixture(autouse=True)
def _few_resampled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Enough where errors are not asked for; cases above are made before."""
    monkeypatch.setattr(fitting, "N_RESAMPLED", 3)


@pytest.fixture(scope="module")
def truth() -> Truth:
    return served(6_000, RATE_HZ, seed=2)


def test_work_of_another_distribution_leaves_speeds_right(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """None that can be simulated: the likeliest would have a server be a third faster than it is."""
    monkeypatch.setattr(fitting, "N_RESAMPLED", 30)
    monkeypatch.setattr(logs, "works", lambda rng, _, mean_s: rng.gamma(0.3, mean_s / 0.3))
    truth = served(8_000, RATE_HZ, seed=1)
    found = calibrate(logged(tmp_path, truth), base(), NAMES)
    assert found.fitted.by_means
    world = world_of(found, base()).world
    assert world.pool.speed == pytest.approx(SPEED, rel=0.06)
    for flow_class in (0, 1):
        assert world.workload.mean_work_s[flow_class] == pytest.approx(truth.sample_mean_s(flow_class), rel=0.05)


def test_nothing_is_said_of_cores_where_requests_take_no_longer_than_a_millisecond(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "MEAN_S", (0.001, 0.004))
    found = calibrate(logged(tmp_path, served(8_000, 4_000.0)), base(), NAMES)
    assert not any(one.is_checked or one.is_clear for one in found.workers if one)


@pytest.mark.parametrize(
    ("cores", "said"),
    [
        ((3, 3, 2), r"env.pool.cores must be as many as serve at once: the log fits s1 with 4 \(fit.*\), got \[3, 3, 2\]"),
        ((8, 3, 2), "the log fits s1 with 4 "),
        ((4, 2, 2), "the log fits s2 with 3 "),
        ((4, 3, 1), "the log fits s3 with 2 "),
    ],
)
def test_cores_that_the_log_contradicts_are_refused(truth: Truth, tmp_path: Path, cores: tuple[int, ...], said: str) -> None:
    requests = logged(tmp_path, truth)
    with pytest.raises(SettingError, match=said):
        calibrate(requests, base(cores), NAMES)
    assert calibrate(requests, base(cores), NAMES, any_cores=True).workers


def test_a_server_that_is_hardly_used_keeps_its_speed(truth: Truth, tmp_path: Path) -> None:
    rare = (truth.server != 2) | (np.arange(len(truth.server)) % 97 == 0)
    found = calibrate(logged(tmp_path, Truth._make(values[rare] for values in truth)), base(), NAMES)
    assert found.workers[2] is None
    fit = world_of(found, base())
    assert fit.world.pool.speed[2] == base().pool.speed[2]
    assert not [one for one in fit.settings if one.path == "pool.speed.2"]
    assert fit.world.pool.speed[1] == pytest.approx(SPEED[1], rel=0.1)


def test_a_class_that_hardly_comes_keeps_its_work(truth: Truth, tmp_path: Path) -> None:
    only = truth.flow_class == 0
    fit = world_of(
        calibrate(logged(tmp_path, Truth._make(values[only] for values in truth)), base(), NAMES, any_cores=True), base()
    )
    assert fit.world.workload.batch == base().workload.batch
    assert fit.world.workload.regimes.interactive_shares == [1.0]


def test_too_little_is_refused(truth: Truth, tmp_path: Path) -> None:
    few = Truth._make(values[:90] for values in truth)
    with pytest.raises(SettingError, match="log must be one with at least 100 requests whose service is known, got"):
        calibrate(logged(tmp_path, few), base(), NAMES)


def test_a_reference_that_is_hardly_used_is_refused(truth: Truth, tmp_path: Path) -> None:
    others = Truth._make(values[truth.server != 2] for values in truth)
    with pytest.raises(SettingError, match="reference must be a server with at least 50 requests in the log, got s3"):
        calibrate(logged(tmp_path, others), base(), NAMES, reference=2)


def test_slow_downs_are_found_where_they_are(tmp_path: Path) -> None:
    """Of one server, every 20 s for 8 s."""
    factor = 0.4
    truth = served(
        25_000, 200.0, seed=3, slow=lambda server, now_s: factor if server == 0 and 10.0 < now_s % 20.0 < 18.0 else 1.0
    )
    found = calibrate(logged(tmp_path, truth), base(), NAMES, any_cores=True)
    n = int((truth.came_s[-1] - 10.0) // 20.0) + 1
    assert found.slowness.n_episodes == pytest.approx(n, abs=1)
    assert found.slowness.factor == pytest.approx(factor, rel=0.15)
    assert found.slowness.mean_s == pytest.approx(8.0, rel=0.2)
    pool = world_of(found, base()).world.pool
    assert pool.slowdown_factor == found.slowness.factor
    assert pool.slowdown_rate_hz == pytest.approx(n / (3 * truth.came_s[-1] - n * 8.0), rel=0.25)
    assert pool.speed == pytest.approx(SPEED, rel=0.08)  # as it is when nothing is slow


def test_a_rate_that_changes_is_noticed(truth: Truth, tmp_path: Path) -> None:
    kept = (truth.came_s % 4.0 < 2.0) | (np.arange(len(truth.server)) % 4 == 0)
    found = calibrate(logged(tmp_path, Truth._make(values[kept] for values in truth)), base(), NAMES, any_cores=True)
    assert not found.traffic.is_even
