"""Whatever ends a controller, HAProxy serves on: with the last weights, then with the configured ones, and no jump."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from envs.core.arrays import IntArray
from envs.haproxy.leaving import is_running
from envs.haproxy.runtime import Place, RuntimeApi
from hierarchy.live import watchdog
from hierarchy.live.owning import holder, taken
from hierarchy.live.watchdog import Charge
from hierarchy.live.watched import Watched
from runs.testbed.bed import TestBed
from tests.envs.haproxy.processes import installed_haproxy
from tests.hierarchy.live.steering import CONFIG, LARGEST_CHANGE, TTL_S, line_of, steering
from tests.runs.testbed.beds import comes_true, evenly

pytestmark = pytest.mark.slow
IN_TIME_S = 6.0
"""Enough to start another controller in."""
INITIAL = [[100, 100], [100, 100]]


@pytest.fixture(scope="module")
def whole_bed() -> Iterator[TestBed]:
    installed_haproxy()
    with TestBed(CONFIG) as bed:
        yield bed


@pytest.fixture
def bed(whole_bed: TestBed) -> TestBed:
    whole_bed.proxy.start()
    whole_bed.wait_until_up()
    set_all(whole_bed, 100)
    return whole_bed


def places(bed: TestBed) -> list[Place]:
    return [Place(backend, server) for backend in bed.backends for server in bed.servers]


def set_all(bed: TestBed, weight: int) -> None:
    RuntimeApi(bed.socket).set_weights(dict.fromkeys(places(bed), weight))


def weights_of(bed: TestBed) -> list[list[int]]:
    found = RuntimeApi(bed.socket).weights(places(bed))
    return [[found[Place(backend, server)].now for server in bed.servers] for backend in bed.backends]


def charge_of(bed: TestBed, ttl_s: float = 0.3, **power: Any) -> Charge:
    return Charge(bed.socket, list(bed.backends), list(bed.servers), ttl_s, **power)


class Recorded:
    """All weights that HAProxy had, as often as one can ask."""

    def __init__(self, bed: TestBed) -> None:
        self._bed, self._is_over = bed, threading.Event()
        self.seen: list[IntArray] = []
        self._thread = threading.Thread(target=self._record)

    def _record(self) -> None:
        while not self._is_over.is_set():
            self.seen.append(np.array(weights_of(self._bed)))
            time.sleep(0.002)

    def __enter__(self) -> Recorded:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        self._is_over.set()
        self._thread.join()

    @property
    def largest(self) -> int:
        """The farthest that a weight moved from one look to the next."""
        return int(np.abs(np.diff(self.seen, axis=0)).max())


@pytest.mark.parametrize("seed", range(3))
def test_a_controller_that_is_killed_leaves_its_weights_until_the_configured_ones_come_back(bed: TestBed, seed: int) -> None:
    load: list[Any] = []
    sending = threading.Thread(target=lambda: load.append(bed.run(evenly(200, 4.0, 0.005))))
    with steering(bed) as controller:
        dog = line_of(controller)["watchdog"]
        while line_of(controller)["weights"] == INITIAL:
            pass
        sending.start()
        time.sleep(random.Random(seed).uniform(0.0, 0.5))
        controller.kill()
        controller.wait()
        left = weights_of(bed)
        assert left != INITIAL
        assert is_running(dog)
        time.sleep(TTL_S / 3)
        assert weights_of(bed) == left
        assert comes_true(lambda: weights_of(bed) == INITIAL)
        assert comes_true(lambda: not is_running(dog))
    sending.join()
    assert load[0].is_ok.all()


@pytest.mark.parametrize("seed", range(2))
def test_a_controller_that_is_started_again_in_time_goes_on_without_a_jump(bed: TestBed, seed: int) -> None:
    with Recorded(bed) as recorded:
        with steering(bed, ttl_s=IN_TIME_S) as first:
            dog = line_of(first)["watchdog"]
            for _ in range(6):
                line_of(first)
            time.sleep(random.Random(seed).uniform(0.0, 0.3))
            first.kill()
            first.wait()
            left = weights_of(bed)
            assert left != INITIAL
        with steering(bed) as second:
            line_of(second)
            begun = np.array(line_of(second)["weights"])
            assert np.abs(begun - left).max() <= LARGEST_CHANGE, "it begins from what the first has left"
            assert comes_true(lambda: not is_running(dog)), "the watchdog of the first gives up"
            assert second.poll() is None
            assert all(line_of(second)["noticed"] == [] for _ in range(5)), "nothing was put back meanwhile"
            recorded.stop()
    assert LARGEST_CHANGE / 2 < recorded.largest <= 2 * LARGEST_CHANGE, "who asks may be too slow to see one of two steps"


def test_a_controller_that_hangs_is_as_good_as_dead(bed: TestBed) -> None:
    with steering(bed, hangs=6) as controller:
        dog = line_of(controller)["watchdog"]
        for _ in range(5):
            line_of(controller)
        assert weights_of(bed) != INITIAL
        assert comes_true(lambda: weights_of(bed) == INITIAL)
        assert controller.poll() is None
        assert comes_true(lambda: not is_running(dog))


def test_a_second_controller_is_refused_and_told_of_the_first(bed: TestBed) -> None:
    with steering(bed) as first:
        line_of(first)
        line_of(first)
        with steering(bed) as second:
            _, errors = second.communicate(timeout=60)
            assert second.returncode == 2
            (line,) = errors.splitlines()[-1:]
            assert f"must be one that no other controller steers, got process {first.pid}" in line
        assert line_of(first)["held"] == ""


def test_what_ends_as_it_should_leaves_no_watchdog(bed: TestBed) -> None:
    with steering(bed, n_steps=4) as controller:
        dog = line_of(controller)["watchdog"]
        assert controller.wait(60) == 0
        assert not is_running(dog)
        assert weights_of(bed) == INITIAL


def test_what_ends_before_it_has_decided_anything_leaves_weights_as_they_are(bed: TestBed) -> None:
    set_all(bed, 30)
    with Watched(charge_of(bed, 1.0)) as watched:
        dog = watched.pid
        assert dog is not None
    assert comes_true(lambda: not is_running(dog))
    assert {weight for backend in weights_of(bed) for weight in backend} == {30}
    with Watched(charge_of(bed)) as watched:
        watched.beat()
    assert comes_true(lambda: weights_of(bed) == INITIAL)


def test_a_watchdog_survives_its_group_and_what_ends_services(bed: TestBed) -> None:
    set_all(bed, 30)
    with Watched(charge_of(bed)) as watched:
        assert watched.pid is not None
        assert os.getsid(watched.pid) != os.getsid(0)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            os.kill(watched.pid, number)
        assert comes_true(lambda: weights_of(bed) == INITIAL)


def test_heartbeats_keep_it_waiting_and_one_that_has_ended_is_replaced(bed: TestBed) -> None:
    set_all(bed, 30)
    with Watched(charge_of(bed, ttl_s=1.0)) as watched:
        dog = watched.pid
        for _ in range(20):
            watched.beat()
            time.sleep(0.1)
        assert weights_of(bed) == [[30, 30], [30, 30]]
        assert watched.pid == dog is not None
        assert comes_true(lambda: weights_of(bed) == INITIAL)
        assert comes_true(lambda: not is_running(dog))
        watched.beat()
        assert watched.n_started == 2
        set_all(bed, 30)
        assert comes_true(lambda: weights_of(bed) == INITIAL)


def test_a_haproxy_that_is_away_is_tried_again(bed: TestBed) -> None:
    """The socket is back later: of the same process, so weights are what they were."""
    set_all(bed, 30)
    aside = f"{bed.socket}.aside"
    os.rename(bed.socket, aside)
    with Watched(charge_of(bed)) as watched:
        time.sleep(1.0)
        os.rename(aside, bed.socket)
        assert weights_of(bed) == [[30, 30], [30, 30]]
        assert comes_true(lambda: weights_of(bed) == INITIAL)
        assert comes_true(lambda: watched.pid is not None and not is_running(watched.pid))


def test_patience_with_a_haproxy_that_never_comes_back_ends(bed: TestBed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watchdog, "PATIENCE_S", 0.5)
    reading, writing = os.pipe()
    os.close(writing)
    nowhere = charge_of(bed)._replace(address=f"{bed.folder}/nowhere", ttl_s=0.01)
    assert watchdog.watch(nowhere, watchdog.Told(reading)) is False
    os.close(reading)


def test_servers_that_were_taken_out_are_left_as_a_controller_leaves_them(bed: TestBed) -> None:
    set_all(bed, 30)
    api = RuntimeApi(bed.socket)
    api.ask(f"set server {bed.backends[0]}/{bed.servers[0]} state maint")
    try:
        assert watchdog.restore(charge_of(bed), is_led=True) == list(bed.backends)
        assert weights_of(bed) == [[30, 100], [30, 100]]
    finally:
        api.ask(f"set server {bed.backends[0]}/{bed.servers[0]} state ready")


def test_a_backend_that_another_controller_has_is_left_to_it(bed: TestBed) -> None:
    set_all(bed, 30)
    held = taken(bed.socket, bed.backends[0])
    assert held is not None
    with held:
        assert holder(bed.socket, bed.backends[0]) == (os.getpid(), os.getuid())
        assert watchdog.restore(charge_of(bed), is_led=False) == [bed.backends[1]]
        assert weights_of(bed) == [[30, 30], [100, 100]]
    assert holder(bed.socket, bed.backends[0]) is None


def test_the_name_of_a_backend_is_that_of_the_real_socket(bed: TestBed) -> None:
    link = f"{bed.folder}/link"
    os.symlink(bed.socket, link)
    held = taken(link, "one")
    assert held is not None
    with held:
        assert taken(bed.socket, "one") is None
        other = taken(bed.socket, "other")
        assert other is not None
        other.close()
    os.unlink(link)


def test_servers_that_were_off_are_switched_on(bed: TestBed) -> None:
    set_all(bed, 30)
    said = bed.folder / "said"
    program = ["/bin/sh", "-c", f'echo "$@" >> {said}', "power"]
    with Watched(charge_of(bed, power=program)) as watched:
        watched.beat(["s2"])
        assert comes_true(lambda: said.is_file() and said.read_text() == "s2 on\n")
    assert weights_of(bed) == INITIAL
