"""Steps as lines of JSON."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable
from typing import IO, Any, Literal

import numpy as np

from hierarchy.live.controller import Decision
from hierarchy.live.reports import Report
from hierarchy.live.shadow import apart

Level = Literal["info", "warning", "error"]
SLOWING = ("dead band", "largest change")
"""Rules that put off what is asked for, which is no cause for alarm."""


def level_of(decision: Decision) -> Level:
    """`error` where weights were held, `warning` where safety gave others or something was noticed, `info` else."""
    rules = {one.rule for one in decision.interventions}
    if decision.held_because or "not a weight" in rules:
        return "error"
    return "warning" if rules - set(SLOWING) or decision.noticed or decision.powered.failures else "info"


def line_of(report: Report) -> dict[str, Any]:
    """A step as plain values."""
    decision, window = report.decision, report.window
    return {
        "at": report.at,
        "level": level_of(decision),
        "step": decision.number,
        "time_s": round(decision.time_s, 3),
        "asked": plain(decision.asked),
        "weights": plain(decision.weights),
        "interventions": [one._asdict() for one in decision.interventions],
        "held_because": decision.held_because,
        "trouble": decision.trouble,
        "noticed": [one._asdict() for one in decision.noticed],
        "powered": decision.powered._asdict(),
        "took_ms": round(1e3 * decision.took_s, 3),
        "context": list(report.context.values()),
        "window": None if window is None else {"number": window.number, "objective": plain(window.objective)},
        "apart": None if decision.weights is None else [round(one, 4) for one in apart(decision.weights, report.in_force)],
        "learning": plain(report.learning),
        "canary": None if report.canary is None else {name: one._asdict() for name, one in report.canary.items()},
        "failures": {name: n for name, n in report.failures.items() if n},
    }


def plain(value: Any) -> Any:
    """Arrays as lists, and what is no finite number as null, for JSON has none."""
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, list):
        return [plain(one) for one in value]
    if isinstance(value, dict):
        return {name: plain(one) for name, one in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


class Lines:
    """Writes a line for every step to a stream, past its buffer, which nobody could empty at the end were it full.

    Parameters
    ----------
    stream
        Such as standard output.
    """

    name = "standard output"

    def __init__(self, stream: IO[str]) -> None:
        stream.flush()
        self._write: Callable[[str], None] = _Unbuffered(stream) if _has_file(stream) else stream.write  # type: ignore[assignment]

    def observe(self, report: Report) -> None:
        self._write(json.dumps(line_of(report), allow_nan=False) + "\n")

    def close(self) -> None: ...


class _Unbuffered:
    def __init__(self, stream: IO[str]) -> None:
        self._file = stream.fileno()

    def __call__(self, line: str) -> None:
        data = memoryview(line.encode())
        while data:
            data = data[os.write(self._file, data) :]


def _has_file(stream: IO[str]) -> bool:
    try:
        stream.fileno()
    except OSError:
        return False
    return True
