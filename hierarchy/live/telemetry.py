"""Whether the log says what HAProxy does: requests that end, as `show stat` counts them, against lines that were heard.

A look and the lines of a step are not of one instant, so requests count as ended once `GRACE_S` is over. No traffic is no
fault of the log.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from envs.core.validation import SettingError, check, setting
from envs.haproxy.balancer import Balancer
from envs.haproxy.log import LOG_FORMAT

GRACE_S = 0.25
LEAST_ENDED = 20
"""Requests of which a share is taken."""
PAUSE_S, IDLE_S = 0.1, 0.5
"""Between two looks at whether a line has come, and how long there is nothing to do until nothing is waited for."""


@dataclass(frozen=True)
class TelemetryConfig:
    """When the log is not believed."""

    stale_s: float = setting(5.0, gt=0, le=3_600)
    """seconds in which requests end and no line comes, after which the last weights are held; shares are of them, too"""
    lost_share: float = setting(0.2, ge=0, le=1)
    """share of requests without a line above which the last weights are held"""
    first_line_s: float = setting(5.0, ge=0, le=3_600)
    """seconds that the first line is waited for at the start, if requests end"""

    def __post_init__(self) -> None:
        check(self)


class Lines(NamedTuple):
    """What is known of the log."""

    heard: int  # lines of our backends' requests
    ended: int  # requests that have ended since the first look
    missing: int  # of them, those of which no line came
    dropped: int  # lines that HAProxy says that it could not send, to anybody


class _Sample(NamedTuple):
    time_s: float
    ended: int
    heard: int


class Telemetry:
    """Compares, step by step.

    Parameters
    ----------
    config
        When the log is not believed.

    Attributes
    ----------
    lines
        Counts so far.
    """

    def __init__(self, config: TelemetryConfig) -> None:
        self._config = config
        self._samples: deque[_Sample] = deque()  # of one process; the first is from before the window
        self._pid: int | None = None
        self._first = self._last = _Sample(0.0, 0, 0)  # before anything was compared, and when the last line was heard
        self._since: _Sample | None = None  # the first request ended of which there was no line
        self._before = Lines(0, 0, 0, 0)  # of processes that are gone
        self.lines = self._before

    def record(self, time_s: float, pid: int, ended: int, heard: int, dropped: int) -> str:
        """Why the log is not believed; empty if it is.

        Parameters
        ----------
        time_s
            On a clock that never goes back.
        pid
            The process that counts.
        ended, heard, dropped
            Requests that have ended since it began, lines that were heard of them, and lines that it could not send.
        """
        new = _Sample(time_s, ended, heard)
        if pid != self._pid:
            self._before, self._first = self.lines, _Sample(time_s, 0, 0) if self._pid is not None else new
            self._pid, self._last, self._since = pid, self._first, None
            self._samples.clear()
            self._samples.append(self._first)
        self._samples.append(new)
        due = self._of(time_s - GRACE_S)
        self._count(new, due, dropped)
        start = self._of(due.time_s - self._config.stale_s)
        while self._samples[0] != start:
            self._samples.popleft()
        return self._doubt(start, due, new)

    def _of(self, time_s: float) -> _Sample:
        """The last sample from before an instant, or the first."""
        before = [one for one in self._samples if one.time_s <= time_s]
        return before[-1] if before else self._samples[0]

    def _count(self, new: _Sample, due: _Sample, dropped: int) -> None:
        before, first = self._before, self._first
        missing = max(due.ended - first.ended - (new.heard - first.heard), 0)
        self.lines = Lines(
            before.heard + new.heard - first.heard,
            before.ended + new.ended - first.ended,
            before.missing + missing,
            before.dropped + dropped,
        )

    def _doubt(self, start: _Sample, due: _Sample, new: _Sample) -> str:
        unheard = due.ended - self._last.ended
        if new.heard > self._last.heard:
            self._last, self._since = new, None
        elif unheard > 0 and self._since is None:
            self._since = due
        elif self._since is not None and due.ended > self._since.ended:  # one that is lost is no silence yet
            silent_s = new.time_s - self._since.time_s
            if silent_s >= self._config.stale_s:
                return f"no line of the log for {silent_s:.1f} s, in which {unheard} requests have ended"
        ended, heard = new.ended - start.ended, new.heard - start.heard
        on_their_way = (new.ended - due.ended) * min(GRACE_S / max(new.time_s - due.time_s, GRACE_S), 1.0)
        missing = ended - heard - on_their_way
        if ended >= LEAST_ENDED and missing > self._config.lost_share * ended:
            return f"{missing:.0f} of {ended} requests that have ended are not in the log"
        if heard - ended > self._config.lost_share * ended + LEAST_ENDED + on_their_way:
            return f"{heard} lines of the log for {ended} requests that have ended"
        return ""


def wait_for_a_line(
    balancer: Balancer, config: TelemetryConfig, now: Callable[[], float], sleep: Callable[[float], None]
) -> None:
    """Return when the first line was heard, or there is none to come.

    Raises
    ------
    SettingError
        Requests have ended in vain: the log is silent, or in another format.
    RuntimeApiError
        HAProxy can't be reached.
    """
    began_s = now()
    first = balancer.look()
    while not balancer.listener.counts.taken:
        seen = balancer.look()
        ended, is_busy = int((seen.ended - first.ended).sum()), bool(seen.look.n_flows.any() or seen.look.n_waiting.any())
        waited_s = now() - began_s
        if not ended and not is_busy and waited_s >= min(IDLE_S, config.first_line_s):
            return
        if waited_s >= config.first_line_s:
            if ended:
                raise _refusal(balancer, ended)
            return
        sleep(PAUSE_S)


def _refusal(balancer: Balancer, ended: int) -> SettingError:
    counts, address = balancer.listener.counts, balancer.settings.log
    if counts.malformed:
        return SettingError("haproxy.log", f'in log-format "{LOG_FORMAT}"', f"{counts.malformed} lines in another one")
    if counts.foreign:
        got = f"{counts.foreign} lines of other backends or servers"
        return SettingError("haproxy.log", f"of {', '.join(balancer.settings.backends)}", got)
    return SettingError("haproxy.log", f"where HAProxy sends its log ({ended} requests have ended)", f"silence at {address}")
