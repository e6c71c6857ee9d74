"""A controller on a real HAProxy, before real servers that are under load."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from envs.core.arrays import FloatArray
from envs.core.validation import SettingError
from envs.haproxy.balancer import Balancer, Notice
from envs.haproxy.config import HAProxyConfig
from envs.haproxy.looking import Seen
from envs.haproxy.runtime import Place
from envs.load_balancing.kernel.accounts import ARRIVED, COMPLETED, IN_FLIGHT, LOST, REJECTED
from envs.load_balancing.measurements import Measurements
from envs.load_balancing.objectives import Budget
from hierarchy.live.controller import Controller
from hierarchy.live.safety import Safety
from runs.testbed.bed import TestBed
from runs.testbed.requests import Schedule, ScheduleConfig, draw_schedule
from tests.envs.haproxy.processes import installed_haproxy
from tests.hierarchy.live.steering import CONFIG
from tests.runs.testbed.beds import PAUSE_S, evenly

pytestmark = pytest.mark.slow
FREE = Safety(largest_change=256)


@dataclass
class Fixed:
    """A policy that asks for the same every time."""

    asked: FloatArray  # (n_backends, S) relative; those in force are times the capacity, which is equal

    def decide(self, measurements: Measurements) -> FloatArray:
        return self.asked[None] * measurements.capacity[:, None]


@pytest.fixture(scope="module")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestBed]:
    installed_haproxy()
    with TestBed(CONFIG) as bed:
        yield bed


@pytest.fixture
def balancer(bed: TestBed) -> Iterator[Balancer]:
    settings = HAProxyConfig(str(bed.socket), str(bed.log_socket), list(bed.backends), list(bed.servers))
    with Balancer(CONFIG, settings) as balancer:
        balancer.api.set_weights({Place(b, s): 100 for b in bed.backends for s in bed.servers})
        yield balancer


def schedule(seconds: float) -> Schedule:
    return draw_schedule(CONFIG, ScheduleConfig(seconds=seconds, seed=1))


def under_load(bed: TestBed, seconds: float) -> tuple[threading.Thread, list[Any]]:
    answers: list[Any] = []
    thread = threading.Thread(target=lambda: answers.append(bed.run(schedule(seconds))))
    thread.start()
    return thread, answers


def weights_of(bed: TestBed, balancer: Balancer) -> list[list[int]]:
    places = [Place(b, s) for b in bed.backends for s in bed.servers]
    found = balancer.api.weights(places)
    return np.reshape([found[place].now for place in places], (2, 2)).tolist()


def test_weights_that_are_written_are_those_of_haproxy(bed: TestBed, balancer: Balancer) -> None:
    asked = np.array([[1.0, 0.25], [0.0, 0.5]])
    decision = Controller(balancer, Fixed(asked), FREE, applies=True).step()
    assert decision.weights is not None
    assert decision.weights.tolist() == [[256, 64], [0, 128]] == weights_of(bed, balancer)
    assert (decision.held_because, decision.interventions) == ("", ())


def test_without_leave_nothing_is_written(bed: TestBed, balancer: Balancer) -> None:
    decision = Controller(balancer, Fixed(np.array([[1.0, 0.0], [0.0, 1.0]])), FREE, applies=False).step()
    assert decision.weights is not None
    assert decision.weights.tolist() == [[256, 0], [0, 256]]
    assert weights_of(bed, balancer) == [[100, 100], [100, 100]]


def test_rules_of_safety_stand_between(bed: TestBed, balancer: Balancer) -> None:
    controller = Controller(balancer, Fixed(np.array([[1.0, 0.0], [0.0, 0.0]])), Safety(largest_change=30), applies=True)
    seen = [controller.step() for _ in range(4)]
    assert [one.weights.tolist()[0] for one in seen if one.weights is not None] == [
        [130, 70],
        [160, 40],
        [190, 10],
        [220, 0],
    ]
    assert {one.rule for one in seen[0].interventions} == {"in service", "largest change"}
    assert weights_of(bed, balancer)[1] == [100, 0]


class Actuated:
    """Asks by an actuator, as a pair does, for all of the first server and nothing of the second; notes what it observes."""

    def __init__(self, balancer: Balancer) -> None:
        self._weighting, self.observed = balancer.weighting, list[list[float]]()

    def decide(self, measurements: Measurements) -> FloatArray:
        self.observed.append(self._weighting.relative[0, 0].tolist())
        asked, _ = self._weighting.apply(np.array([[4, 4, 0, 0]]), measurements, np.ones(1, np.bool_))
        return asked


def test_a_policy_observes_the_weights_that_safety_let_through(balancer: Balancer) -> None:
    policy = Actuated(balancer)
    controller = Controller(balancer, policy, Safety(largest_change=100), applies=True)
    for _ in range(4):
        controller.step()
    there = [[100, 100], [200, 0], [256, 0], [256, 0]]
    assert policy.observed == [[one / 256 for one in row] for row in there]


def test_a_policy_observes_weights_that_were_not_written_as_they_are(balancer: Balancer) -> None:
    policy = Actuated(balancer)
    controller = Controller(balancer, policy, FREE, applies=False)
    controller.step()
    controller.step()
    assert policy.observed == [[100 / 256, 100 / 256]] * 2


def test_an_action_that_was_let_through_is_observed_to_the_last_digit(balancer: Balancer) -> None:
    """Integers that are written are rounded; what a pair was trained on are levels."""
    relative = np.array([[1.0, 1 / 3], [1 / 7, 0.001]])
    balancer.weighting.put_in_force(relative[None])
    controller = Controller(balancer, Fixed(relative), FREE, applies=True)
    controller.step()
    balancer.weighting.put_in_force(relative[None])
    controller.step()
    assert balancer.weighting.relative[0].tolist() == relative.tolist()


def test_a_weight_that_somebody_else_sets_is_noticed_and_steered_on_from(bed: TestBed, balancer: Balancer) -> None:
    controller = Controller(balancer, Fixed(np.full((2, 2), 100 / 256)), Safety(largest_change=20), applies=True)
    assert controller.step().noticed == ()
    balancer.api.set_weights({Place(bed.backends[1], bed.servers[0]): 7})
    decision = controller.step()
    assert decision.noticed == (Notice("somebody else", 100, 7, 1, 0),)
    assert weights_of(bed, balancer) == [[100, 100], [27, 100]]
    assert (controller.step().noticed, balancer.n_foreign) == ((), 1)


def test_what_is_written_and_put_back_by_us_is_nobody_elses(bed: TestBed, balancer: Balancer) -> None:
    controller = Controller(balancer, Fixed(np.array([[1.0, 0.5], [0.5, 1.0]])), FREE, applies=True)
    controller.step()
    balancer.restore()
    assert controller.step().noticed == ()
    assert balancer.n_foreign == 0


def test_servers_that_were_taken_out_are_not_put_back(bed: TestBed, balancer: Balancer) -> None:
    Controller(balancer, Fixed(np.full((2, 2), 0.5)), FREE, applies=True).step()
    balancer.api.ask(f"set server {bed.backends[0]}/{bed.servers[0]} state maint")
    try:
        balancer.restore()
        assert weights_of(bed, balancer) == [[128, 100], [128, 100]]
    finally:
        balancer.api.ask(f"set server {bed.backends[0]}/{bed.servers[0]} state ready")
        bed.wait_until_up()


@pytest.mark.parametrize("wrong", [np.nan, -1.0, 2.0])
def test_a_policy_that_fails_holds_the_last_weights(bed: TestBed, balancer: Balancer, wrong: float) -> None:
    decision = Controller(balancer, Fixed(np.full((2, 2), wrong)), FREE, applies=True).step()
    assert {one.rule for one in decision.interventions} == {"not a weight"}
    assert (decision.held_because, decision.trouble) == ("no decision (not a weight)", "policy")
    assert weights_of(bed, balancer) == [[100, 100], [100, 100]]


@pytest.mark.parametrize("error", [RuntimeError("index -1 is out of bounds\nfor 3"), KeyError("x"), ZeroDivisionError()])
def test_a_policy_that_raises_anything_holds_the_last_weights(bed: TestBed, balancer: Balancer, error: Exception) -> None:
    class Raising:
        def decide(self, measurements: Measurements) -> FloatArray:
            raise error

    decision = Controller(balancer, Raising(), FREE, applies=True).step()
    assert decision.held_because.startswith("no decision (")
    assert "\n" not in decision.held_because
    assert weights_of(bed, balancer) == [[100, 100], [100, 100]]


def test_weights_are_those_that_haproxy_has_whoever_set_them(bed: TestBed, balancer: Balancer) -> None:
    """A server that somebody drained is measured as drained."""
    balancer.measure()
    balancer.api.set_weights({Place(backend, bed.servers[0]): 0 for backend in bed.backends})
    balancer.measure()
    time.sleep(CONFIG.dt_s)
    since_s = balancer.measure().since_switch_s[0]
    assert since_s[0] < since_s[1]


def test_everything_that_was_sent_is_measured(bed: TestBed, balancer: Balancer) -> None:
    controller = Controller(balancer, Fixed(np.ones((2, 2))), FREE, applies=True)
    controller.step()
    before = balancer.measurements.counts[0].copy()
    thread, answers = under_load(bed, 3.0)
    busiest = 0.0
    while thread.is_alive():
        time.sleep(CONFIG.dt_s)
        controller.step()
        busiest = max(busiest, float(balancer.measurements.utilisation.max()))
        counts = balancer.measurements.counts[0]
        assert (counts[:, ARRIVED] == counts[:, [COMPLETED, LOST, REJECTED, IN_FLIGHT]].sum(1)).all()
    time.sleep(CONFIG.dt_s)
    controller.step()
    counts, (sent,) = balancer.measurements.counts[0] - before, answers
    assert sent.is_ok.all()
    assert counts[:, ARRIVED].tolist() == np.bincount(schedule(3.0).flow_class, minlength=2).tolist()
    assert counts[:, COMPLETED].tolist() == counts[:, ARRIVED].tolist()
    mean_s = balancer.measurements.times[0, :, 0].sum() / counts[:, COMPLETED].sum()
    assert 0.0 <= sent.latency_s.mean() - mean_s < 0.02
    assert 0.5 <= busiest <= 1.0 + 1e-9, "a worker of two had something to do at some look, and no server has more than all"


def test_a_single_backend_is_measured_once_as_of_the_first_class() -> None:
    config = replace(CONFIG, backends="joint")
    installed_haproxy()
    with TestBed(config) as bed:
        settings = HAProxyConfig(bed.socket, str(bed.log_socket), backend=bed.backends[0])
        with Balancer(config, settings) as balancer:
            assert balancer.settings.servers == ["s1", "s2"]
            controller = Controller(balancer, Fixed(np.array([[1.0, 0.5]])), FREE, applies=True)
            thread, answers = under_load(bed, 2.0)
            busiest = 0
            while thread.is_alive():
                time.sleep(CONFIG.dt_s)
                decision = controller.step()
                busiest = max(busiest, int(balancer.measurements.n_flows[0, 0].sum()))
                assert not balancer.measurements.n_flows[0, 1].any()
            time.sleep(CONFIG.dt_s)
            controller.step()
            assert decision.weights is not None
            assert decision.weights.tolist() == [[256, 128]]
            (sent,) = answers
            assert balancer.measurements.counts[0, :, COMPLETED].tolist() == [sent.is_ok.sum(), 0]
            assert busiest > 0
            assert controller.telemetry.lines.missing == 0


def test_a_haproxy_that_is_killed_holds_and_one_that_is_back_is_steered(bed: TestBed, balancer: Balancer) -> None:
    controller = Controller(balancer, Fixed(np.array([[1.0, 0.5], [0.5, 1.0]])), Safety(), applies=True)
    for _ in range(2):
        assert controller.step().held_because == ""
    bed.proxy.kill()
    gone = controller.step()
    assert "can't be reached" in gone.held_because
    assert gone.weights is not None
    bed.proxy.start()
    bed.wait_until_up()
    back = controller.step()
    assert back.held_because == ""
    assert [one.kind for one in back.noticed] == ["started again"]
    assert (balancer.n_restarts, balancer.n_foreign) == (1, 0)
    assert weights_of(bed, balancer) == [[228, 128], [128, 228]], "a step from the initial weights, which are 100"


def test_a_server_in_maintenance_is_not_touched(bed: TestBed, balancer: Balancer) -> None:
    for backend in bed.backends:
        balancer.api.ask(f"set server {backend}/{bed.servers[0]} state maint")
    try:
        decision = Controller(balancer, Fixed(np.array([[1.0, 0.0], [0.5, 0.5]])), FREE, applies=True).step()
        assert decision.weights is not None
        assert decision.weights.tolist() == [[100, 100], [100, 128]]
    finally:
        for backend in bed.backends:
            balancer.api.ask(f"set server {backend}/{bed.servers[0]} state ready")
        bed.wait_until_up()


@pytest.mark.parametrize(("field", "names"), [("backends", ["a"]), ("servers", ["s1"])])
def test_names_must_be_those_of_the_world(bed: TestBed, field: str, names: list[str]) -> None:
    settings = HAProxyConfig(str(bed.socket), "127.0.0.1:0", list(bed.backends), list(bed.servers))
    with pytest.raises(SettingError, match=f"{field} must be"):
        Balancer(CONFIG, replace(settings, **{field: names}))


def test_a_request_that_ends_while_haproxy_is_asked_counts_once(
    bed: TestBed, balancer: Balancer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The look that ends a step shows it in flight, and its line is there before the step has ended."""
    balancer.begin()
    sent = threading.Thread(target=bed.run, args=(evenly(1, 1.0, 0.5),))
    sent.start()
    look = balancer.look

    def look_and_wait() -> Seen:
        seen = look()
        while seen.look.n_flows.sum() and not balancer.listener.n_waiting:
            time.sleep(PAUSE_S)
        return seen

    monkeypatch.setattr(balancer, "look", look_and_wait)
    while not balancer.measure().counts[0, 0, ARRIVED]:
        time.sleep(PAUSE_S)
    sent.join()
    for in_flight in (1, 0):
        counts = balancer.measurements.counts[0, 0]
        assert (counts[ARRIVED], counts[COMPLETED], counts[IN_FLIGHT]) == (1, 1 - in_flight, in_flight)
        balancer.measure()


@pytest.mark.parametrize("lost", [(), (1,), (1, 2)])
def test_what_is_left_of_a_budget_is_known_before_anybody_decides(
    bed: TestBed, lost: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Steps are counted as they end, also those in which nobody is asked because lines of the log are missing."""
    budget = Budget(share=0.5, span_s=CONFIG.dt_s, day_s=10.0 * CONFIG.dt_s)
    settings = HAProxyConfig(str(bed.socket), str(bed.log_socket), list(bed.backends), list(bed.servers))
    with Balancer(replace(CONFIG, objective=budget), settings) as balancer:
        left: dict[int, float] = {}

        class Asking:
            def decide(self, measurements: Measurements) -> FloatArray:
                left[step] = float(balancer.world.statistics.since(measurements)["day_left_share"][0])
                return np.full((1, 2, 2), 2.0)

        controller = Controller(balancer, Asking(), FREE, applies=False)
        monkeypatch.setattr(controller.telemetry, "record", lambda *_: "lines are missing" if step in lost else "")
        balancer.begin()
        for step in range(4):
            time.sleep(CONFIG.dt_s)
            assert bool(controller.step().held_because) == (step in lost)
    expected = {step: share for step, share in enumerate([0.9, 0.8, 0.7, 0.6]) if step not in lost}
    assert left == pytest.approx(expected)
