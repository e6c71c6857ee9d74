"""Whether a loop lives, whether it steers, and how things stand: what is asked over HTTP."""

from __future__ import annotations

import os
from collections import Counter, deque
from typing import Any

from envs.haproxy.runtime import TIMEOUT_S
from hierarchy.live.lines import level_of, line_of, plain
from hierarchy.live.reports import Report, Reporter, Subject, iso

LATE_STEPS = 3
"""Steps without news after which something is wrong, beside the time that HAProxy is given to answer."""
N_RECENT, N_WINDOWS = 40, 60
"""Steps and windows that are remembered."""
SHOWN = ("arrival_rate_hz", "utilisation", "servers_on", "cost_usd_per_h", "latency_p50_ms", "latency_p99_ms")
"""Statistics of a window that are shown as they are."""


class Health:
    """Remembers the last steps.

    Parameters
    ----------
    subject
        What is watched.
    source
        Knows how old telemetry is.
    looks
        Looks at HAProxy in a step, each of which may wait for an answer.
    """

    name = "health"

    def __init__(self, subject: Subject, source: Reporter, looks: int) -> None:
        self._subject, self._source, self._looks = subject, source, looks
        self._began_s, self._pid = source.now(), os.getpid()
        self._report: Report | None = None
        self._recent: deque[dict[str, Any]] = deque(maxlen=N_RECENT)
        self._objectives: deque[float] = deque(maxlen=N_WINDOWS)

    def observe(self, report: Report) -> None:
        window, last = report.window, self._report
        if window is not None and (last is None or last.window is None or last.window.number != window.number):
            self._objectives.append(window.objective)
        self._recent.append(_short(report))
        self._report = report

    def close(self) -> None: ...

    @property
    def step_age_s(self) -> float:
        """Since the last step ended, or since the beginning."""
        return self._source.now() - (self._began_s if self._report is None else self._report.ended_s)

    @property
    def stopped_because(self) -> str:
        """Why the loop does not live; empty if it does."""
        age_s = self.step_age_s
        if age_s <= LATE_STEPS * self._subject.dt_s + (self._looks + 2) * TIMEOUT_S:
            return ""
        return f"the last step ended {age_s:.1f} s ago"

    @property
    def unready_because(self) -> str:
        """Why nobody can say that it steers; empty if it does."""
        report, age_s = self._report, self._source.look_age_s
        if report is None:
            return "no step has ended yet"
        if self.stopped_because:
            return self.stopped_because
        if report.decision.held_because:
            return f"weights are held: {report.decision.held_because}"
        if age_s > LATE_STEPS * self._subject.dt_s + TIMEOUT_S:
            return f"HAProxy has not answered for {age_s:.1f} s"
        return ""

    def state(self) -> dict[str, Any]:
        """How things stand, as plain values."""
        subject, source, report = self._subject, self._source, self._report
        state = {
            **subject._asdict(),
            "pid": self._pid,
            "up_s": source.now() - self._began_s,
            "stopped_because": self.stopped_because,
            "unready_because": self.unready_because,
            "step_age_s": self.step_age_s,
            "look_age_s": source.look_age_s,
            "log_age_s": source.log_age_s,
            "log_lines": source.log_lines,
            "n_restarts": source.n_restarts,
            "recent": list(self._recent.copy()),
            "objectives": list(self._objectives.copy()),
            "last": None,
        }
        if report is not None:
            standing = {name: getattr(report, name) for name in ("n_flows", "up", "untouchable", "context")}
            state |= standing | {"last": line_of(report), "window": _window(report, subject)}
        return {name: plain(value) for name, value in state.items()}


def _window(report: Report, subject: Subject) -> dict[str, Any] | None:
    if report.window is None:
        return None
    statistics = report.window.statistics
    return {
        "number": report.window.number,
        "objective": report.window.objective,
        "on_time": {name: 1.0 - statistics[f"late_share_{name}"] for name in subject.classes},
        "p95_ms": {name: statistics[f"latency_p95_ms_{name}"] for name in subject.classes},
        **{name: statistics[name] for name in SHOWN},
    }


def _short(report: Report) -> dict[str, Any]:
    """A step in few words: rules by how many weights they gave."""
    decision = report.decision
    return {
        "at": iso(report.at_s),
        "step": decision.number,
        "level": level_of(decision),
        "held_because": decision.held_because,
        "rules": dict(Counter(one.rule for one in decision.interventions)),
        "took_ms": round(1e3 * decision.took_s, 3),
    }
