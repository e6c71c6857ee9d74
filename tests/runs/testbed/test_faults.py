"""What goes wrong on purpose: told in words, at its instants, and not after the end."""

from __future__ import annotations

import threading
import time

import pytest

from envs.core.validation import SettingError
from runs.testbed.faults import Fault, Troubles, check_faults, fault_of


def test_words_say_what_a_fault_is() -> None:
    assert fault_of("60:slow:1:0.333") == Fault(60.0, "slow", 1, 0.333)
    assert fault_of("2.5:stop:3") == Fault(2.5, "stop", 3)
    assert fault_of("0:kill_proxy") == Fault(0.0, "kill_proxy")


@pytest.mark.parametrize(
    "words", ["", "slow", "now:slow", "1:slow:one", "1:slow:0:half", "1:slow:0:0.5:7", "-1:slow", "1:melt"]
)
def test_other_words_are_refused(words: str) -> None:
    with pytest.raises(SettingError):
        fault_of(words)


@pytest.mark.parametrize(
    ("fault", "path"), [(Fault(5.1, "stop", 0), "faults[1].at_s"), (Fault(5.0, "stop", 2), "faults[1].server")]
)
def test_a_fault_after_the_end_or_of_no_server_is_refused(fault: Fault, path: str) -> None:
    good = Fault(5.0, "slow", 1, 0.5)
    check_faults([good], 2, 5.0, "the end")
    with pytest.raises(SettingError) as caught:
        check_faults([good, fault], 2, 5.0, "the end")
    assert caught.value.path == path


def test_events_come_in_the_order_of_their_instants_and_none_before_its_own() -> None:
    happened, all_over, now_s = list[tuple[str, float]](), threading.Event(), time.monotonic()
    troubles = Troubles(
        [
            (now_s + 0.1, all_over.set),
            (now_s + 0.05, lambda: happened.append(("later", time.monotonic()))),
            (now_s - 1.0, lambda: happened.append(("first", time.monotonic()))),
        ]
    )
    assert all_over.wait(10.0)
    troubles.end()
    assert [name for name, _ in happened] == ["first", "later"]
    assert happened[1][1] >= now_s + 0.05


def test_nothing_happens_after_the_end() -> None:
    happened: list[int] = []
    troubles = Troubles([(time.monotonic() + 0.2, lambda: happened.append(1))])
    troubles.end()
    time.sleep(0.3)
    assert not happened
