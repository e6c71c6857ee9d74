"""Who observes a balancer that is steered: standard output, an audit file, and whoever asks over HTTP."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from envs.core.validation import SettingError, check
from hierarchy.live.audit import Audit
from hierarchy.live.controller import Decision
from hierarchy.live.health import Health
from hierarchy.live.http import JSON, Answer, Http, HttpConfig, Routes, said
from hierarchy.live.lines import Lines
from hierarchy.live.observers import Observer, Observers
from hierarchy.live.reports import Reporter, Subject

CLIENT = "prometheus_client"


@dataclass(frozen=True)
class WatchConfig:
    """How it is watched."""

    http: HttpConfig = field(default_factory=HttpConfig)
    """over HTTP"""
    audit: Path | None = None
    """file to which a line is added for every step, each with the digest of the line before"""

    def __post_init__(self) -> None:
        check(self)


@contextmanager
def watching(
    config: WatchConfig, reporter: Reporter, subject: Subject, looks: int, others: Sequence[Observer] = ()
) -> Iterator[Callable[[Decision], None]]:
    """A context in which steps are observed; it has the function that is told of each.

    Parameters
    ----------
    config
        By whom.
    reporter
        Knows what is told of a step.
    subject
        What is watched.
    looks
        Looks at HAProxy in a step.
    others
        Who observes besides.

    Raises
    ------
    SettingError
        The audit file can't be written, the port is taken, or the package for metrics is not installed.
    """
    observers: list[Observer] = [Lines(sys.stdout), *others]
    with ExitStack() as stack:
        if config.http.port is not None:
            health = Health(subject, reporter, looks)
            routes, metrics = _routes(config.http.port, subject, reporter, health)
            http = stack.enter_context(Http(config.http, routes))
            print(f"metabalance: {http.address} has {', '.join(routes)}", file=sys.stderr, flush=True)
            observers += [health, metrics]
        if config.audit is not None:
            observers.append(Audit(config.audit, subject))
        yield stack.enter_context(Observers(reporter.report, observers)).observe


def _routes(port: int, subject: Subject, reporter: Reporter, health: Health) -> tuple[Routes, Observer]:
    """What is answered, and the metrics, which are to observe, too."""
    if importlib.util.find_spec(CLIENT) is None:
        raise SettingError(
            "http.port", "left out where prometheus-client is missing (pip install 'metabalance[live]')", port
        )
    from hierarchy.live.metrics import CONTENT_TYPE, Metrics

    metrics = Metrics(subject, reporter)

    def is_well(why: str) -> Answer:
        return said(why, 503) if why else said("ok")

    routes = {
        "/metrics": lambda: Answer(metrics.text(), CONTENT_TYPE),
        "/healthz": lambda: is_well(health.stopped_because),
        "/readyz": lambda: is_well(health.unready_because),
        "/state": lambda: Answer(json.dumps(health.state(), allow_nan=False).encode(), JSON),
    }
    return routes, metrics
