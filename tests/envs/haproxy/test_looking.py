"""What HAProxy says of an instant is read whole, or refused as an answer of HAProxy."""

from __future__ import annotations

from typing import Any

import pytest

from envs.haproxy.looking import see
from envs.haproxy.runtime import RuntimeApiError

INFO = "Name: HAProxy\nPid: 7\nUptime_sec: 3\nDroppedLogs: 5\n"
STAT = "# pxname,svname,qcur,scur,stot,algo\nweb,s1,2,3,7,\nweb,BACKEND,4,9,20,leastconn\n"
STATE = "1\n# srv_name srv_op_state srv_admin_state srv_uweight srv_iweight\ns1 2 0 50 100\n"


class Says:
    """In the place of a client, which gives answers."""

    address = "here"

    def __init__(self, *answers: str) -> None:
        self._answers = list(answers)

    def ask(self, *commands: str) -> list[str]:
        return self._answers


def test_a_look_has_what_was_said() -> None:
    api: Any = Says(INFO, STAT, STATE)
    seen = see(api, ["web"], ["s1"])
    assert (seen.pid, seen.uptime_s, seen.rules) == (7, 3, ("leastconn",))
    assert seen.look.n_flows.tolist() == [[5]]
    assert seen.look.n_waiting.tolist() == [4]
    assert (seen.weights.tolist(), seen.initial.tolist()) == ([[50]], [[100]])
    assert not seen.look.down.any()
    assert not seen.untouchable.any()
    assert (seen.ended.tolist(), seen.n_dropped_logs, seen.others) == ([11], 5, ())


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        (("", STAT, STATE), "can't be read"),
        ((INFO, "", STATE), "can't be read"),
        ((INFO, STAT.replace("2,3,", "2,,"), STATE), "can't be read"),
        ((INFO, STAT, "1\n"), "can't be read"),
        ((INFO, STAT, STATE.replace("s1 2 0 50 100", "s1 2")), "can't be read"),
        ((INFO, STAT.replace("s1", "s2"), STATE), "backend web has no server s1"),
    ],
    ids=str,
)
def test_what_can_not_be_read_is_an_error_of_its_own(answers: tuple[str, ...], said: str) -> None:
    api: Any = Says(*answers)
    with pytest.raises(RuntimeApiError, match=said):
        see(api, ["web"], ["s1"])


def test_servers_that_nobody_has_named_are_told() -> None:
    api: Any = Says(INFO, STAT, STATE + "s9 2 0 1 1\n")
    assert see(api, ["web"], ["s1"]).others == ("web/s9",)
