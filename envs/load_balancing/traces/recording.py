"""What a file says of requests, whatever its format."""

from __future__ import annotations

from dataclasses import dataclass

from envs.core.arrays import FloatArray
from envs.core.validation import SettingError


class TraceError(ValueError):
    """A trace that can't be read; the message names the file, and the line if there is one."""


def refused(setting: str, allowed: str, value: object) -> SettingError:
    """A setting of a recording that doesn't fit its file."""
    return SettingError(f"workload.arrivals.{setting}", allowed, value)


@dataclass(frozen=True)
class Wanted:
    """What is to be read of requests beside time and work: a column by name, or the path that was asked for."""

    column: str | None = None
    path: bool = False


@dataclass(frozen=True)
class Recording:
    """Requests in order of time."""

    time_s: FloatArray  # (n,) seconds since the first request, not decreasing
    work: FloatArray  # (n,) work of each request, of mean 1
    labels: tuple[str, ...] = ()  # (n,) what the column or path that is wanted says of each; empty if none is

    @property
    def duration_s(self) -> float:
        """Length of one replay: the span of the requests and one mean gap, so that loops join without a clash."""
        span = float(self.time_s[-1] - self.time_s[0])
        return span * len(self.time_s) / (len(self.time_s) - 1)

    @property
    def rate_hz(self) -> float:
        return len(self.time_s) / self.duration_s
