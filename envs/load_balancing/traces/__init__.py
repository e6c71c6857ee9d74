"""Recordings of requests: a file in, arrival times and relative work out, and what a column or path says of a request."""

from __future__ import annotations

from envs.load_balancing.traces.classes import by_column, by_pattern, by_work
from envs.load_balancing.traces.formats import PREFILL_PER_DECODE, READERS, Format
from envs.load_balancing.traces.reading import read_trace
from envs.load_balancing.traces.recording import Recording, TraceError, Wanted, refused

__all__ = [
    "PREFILL_PER_DECODE",
    "READERS",
    "Format",
    "Recording",
    "TraceError",
    "Wanted",
    "by_column",
    "by_pattern",
    "by_work",
    "read_trace",
    "refused",
]
