"""The log is believed as long as it says what HAProxy does; no traffic is no fault of it."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from envs.core.validation import SettingError
from envs.haproxy.balancer import Balancer
from envs.haproxy.log import LOG_FORMAT
from hierarchy.live.controller import Controller
from hierarchy.live.safety import Safety
from hierarchy.live.telemetry import Telemetry, TelemetryConfig, wait_for_a_line
from runs.testbed.bed import TestBed
from tests.envs.haproxy.processes import installed_haproxy
from tests.hierarchy.live.steering import CONFIG, settings_of
from tests.hierarchy.live.test_controller import Fixed
from tests.runs.testbed.beds import comes_true, evenly, n_requests

DT_S = 0.25
STALE_S = 2.0


class Fed:
    """A telemetry that is told of so many requests and lines a step."""

    def __init__(self) -> None:
        self.telemetry = Telemetry(TelemetryConfig(stale_s=STALE_S))
        self._time_s, self._ended, self._heard, self.pid = 0.0, 1000, 400, 1
        self.telemetry.record(0.0, 1, 1000, 400, 0)

    def step(self, ended: int, heard: int) -> str:
        self._time_s, self._ended, self._heard = self._time_s + DT_S, self._ended + ended, self._heard + heard
        return self.telemetry.record(self._time_s, self.pid, self._ended, self._heard, 0)

    def restart(self) -> None:
        self.pid, self._ended, self._heard = self.pid + 1, 0, 0


@given(st.lists(st.integers(0, 30), min_size=1, max_size=60))
def test_a_log_that_lacks_nothing_is_believed(steps: list[int]) -> None:
    """Lines of a step may be heard with the next one."""
    fed, late = Fed(), 0
    for n in steps:
        assert fed.step(n, n // 2 + late) == ""
        late = n - n // 2
    assert fed.telemetry.lines.missing == 0


def test_no_traffic_is_no_silence() -> None:
    fed = Fed()
    fed.step(3, 3)
    assert {fed.step(0, 0) for _ in range(100)} == {""}


def test_one_line_that_is_lost_is_no_silence() -> None:
    fed = Fed()
    fed.step(1, 0)
    assert {fed.step(0, 0) for _ in range(100)} == {""}
    assert fed.telemetry.lines.missing == 1


@pytest.mark.parametrize("every", [1, 6])
def test_requests_without_a_line_are_silence_after_a_time(every: int) -> None:
    fed = Fed()
    for _ in range(20):
        fed.step(1, 1)
    said = [fed.step(int(n % every == 0), 0) for n in range(40)]
    n_until = next(n for n, one in enumerate(said) if one)
    assert STALE_S <= (n_until + 1) * DT_S <= 2 * STALE_S + DT_S
    assert all("no line of the log for" in one for one in said[n_until:])


def test_a_log_that_speaks_again_is_believed_when_its_share_is_right() -> None:
    fed = Fed()
    for _ in range(40):
        fed.step(10, 0)
    after = [fed.step(10, 10) for _ in range(20)]
    assert after[0] != ""
    n_until = after.index("")
    assert n_until * DT_S <= STALE_S + 2 * DT_S
    assert set(after[n_until:]) == {""}


def test_a_share_of_lines_that_is_lost_is_told() -> None:
    fed = Fed()
    for _ in range(40):
        assert fed.step(10, 9) == ""
    for _ in range(20):
        said = fed.step(10, 5)
    assert "requests that have ended are not in the log" in said
    assert fed.telemetry.lines.missing >= 40 + 20 * 5 - 10


def test_a_process_that_begins_anew_counts_anew_and_what_was_missing_stays() -> None:
    fed = Fed()
    for _ in range(8):
        fed.step(10, 5)
    fed.restart()
    assert {fed.step(10, 10) for _ in range(20)} == {""}
    assert fed.telemetry.lines.missing == 8 * 5 - 10, "of a step the lines may be on their way"
    assert fed.telemetry.lines.ended == 80 + 200


def test_a_step_may_be_longer_than_the_time_of_silence() -> None:
    telemetry = Telemetry(TelemetryConfig(stale_s=1.0))
    said = [telemetry.record(10.0 * n, 1, 5 * n, 5 * min(n, 3), 0) for n in range(10)]
    assert said[:6] == [""] * 6
    assert all(said[6:])


@pytest.fixture(scope="module")
def bed() -> Iterator[TestBed]:
    installed_haproxy()
    with TestBed(CONFIG) as bed:
        yield bed


def wait(balancer: Balancer, first_line_s: float = 1.0) -> None:
    wait_for_a_line(balancer, TelemetryConfig(first_line_s=first_line_s), time.monotonic, time.sleep)


def sending(bed: TestBed, seconds: float) -> threading.Thread:
    """A load whose first request has come."""
    before = n_requests(bed)
    thread = threading.Thread(target=lambda: bed.run(evenly(int(40 * seconds), seconds, 0.002)))
    thread.start()
    assert comes_true(lambda: n_requests(bed) > before)
    return thread


@pytest.mark.slow
def test_a_log_in_our_format_and_no_traffic_are_no_reason_to_refuse(bed: TestBed) -> None:
    with Balancer(CONFIG, settings_of(bed)) as balancer:
        wait(balancer)
        thread = sending(bed, 2.0)
        wait(balancer)
        assert balancer.listener.counts.taken > 0
        thread.join()


@pytest.mark.slow
def test_a_log_that_is_silent_is_refused(bed: TestBed, tmp_path: Path) -> None:
    settings = settings_of(bed)
    elsewhere = type(settings)(settings.socket, str(tmp_path / "log"), settings.backends, settings.servers)
    with Balancer(CONFIG, elsewhere) as balancer:
        thread = sending(bed, 2.0)
        with pytest.raises(SettingError, match=r"where HAProxy sends its log .* got silence at") as raised:
            wait(balancer)
        thread.join()
    assert "\n" not in str(raised.value)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (LOG_FORMAT, "%ci %HM", f'in log-format "{LOG_FORMAT}", got'),
        ("%b", "other", "haproxy.log must be of web_interactive, web_batch, got"),
    ],
)
def test_a_log_in_another_format_is_refused(bed: TestBed, old: str, new: str, said: str) -> None:
    config = bed.proxy.config.read_text()
    assert old in config
    bed.proxy.kill()
    try:
        bed.proxy.config.write_text(config.replace(old, new))
        bed.proxy.start()
        bed.wait_until_up()
        with Balancer(CONFIG, settings_of(bed)) as balancer:
            thread = sending(bed, 2.0)
            with pytest.raises(SettingError) as raised:
                wait(balancer)
            thread.join()
        assert said in str(raised.value)
        assert "\n" not in str(raised.value)
    finally:
        bed.proxy.kill()
        bed.proxy.config.write_text(config)
        bed.proxy.start()
        bed.wait_until_up()


@pytest.mark.slow
def test_a_log_that_falls_silent_holds_and_one_that_is_back_is_steered_by(bed: TestBed) -> None:
    """Datagrams go to a socket that nobody reads; then to ours again."""
    with Balancer(CONFIG, settings_of(bed)) as balancer:
        controller = Controller(
            balancer,
            Fixed(np.ones((2, 2))),
            Safety(),
            applies=False,
            telemetry=TelemetryConfig(stale_s=0.5),
        )
        thread = sending(bed, 6.0)

        def steps(seconds: float) -> list[str]:
            until_s, said = time.monotonic() + seconds, []
            while time.monotonic() < until_s:
                time.sleep(CONFIG.dt_s)
                said.append(controller.step().trouble)
            return said

        assert set(steps(1.5)) == {""}
        path = str(bed.log_socket)
        os.rename(path, f"{path}.aside")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as deaf:
            deaf.bind(path)
            said = steps(2.0)
            assert (said[0], said[-1]) == ("", "log")
        os.rename(f"{path}.aside", path)
        assert steps(2.0)[-1] == ""
        assert controller.n_held["log"] > 0
        lines = controller.telemetry.lines
        assert 0 < lines.missing < lines.ended
        thread.join()
        controller.step()
        assert balancer.measurements.counts[0].min() >= 0
        with suppress(FileNotFoundError):
            os.unlink(f"{path}.aside")


def test_lines_of_requests_that_never_were_are_told() -> None:
    fed = Fed()
    said = [fed.step(20, 40) for _ in range(20)]
    assert said[0] == ""
    assert "lines of the log for" in said[-1]
