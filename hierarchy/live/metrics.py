"""Steps as metrics for Prometheus, in a registry of their own."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Metric, disable_created_metrics
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.registry import Collector

from hierarchy.live.power import NOT_SAVED
from hierarchy.live.reports import Report, Reporter, Subject, WindowFigures

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
LATENCIES_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
"""Upper bounds of the histogram of decisions."""
QUANTILES = {"0.5": "p50", "0.95": "p95", "0.99": "p99"}


class Labelled(NamedTuple):
    """A gauge by what its labels are."""

    help: str
    labels: tuple[str, ...] = ()


GAUGES: dict[str, Labelled] = {
    "applies": Labelled("1 where weights are written, 0 where they are only decided"),
    "last_step_timestamp_seconds": Labelled("when the last step ended, since 1970"),
    "weight": Labelled("weight of a server that HAProxy has, or would have", ("backend", "server")),
    "in_flight_requests": Labelled("requests on a server or in its queue", ("backend", "server")),
    "server_up": Labelled("1 where a server gets requests", ("server",)),
    "drained_costs": Labelled("1 where a server without weight costs on, 0 where it is switched off"),
    "log_lines_missing": Labelled("requests that have ended without a line of the log"),
    "learning": Labelled("1 where what was learned while steering is in force, 0 where the deployed agent is"),
    "learned_distance": Labelled("share of the mix in force that stands elsewhere in the deployed agent's"),
    "rollbacks": Labelled("how often what was learned was given up"),
    "context_weight": Labelled("weight of a term in the mix that is in force", ("term",)),
    "window_objective": Labelled("objective of the last window", ("objective", "unit")),
    "window_on_time_ratio": Labelled("share of a window's requests that were neither late nor lost", ("class",)),
    "window_lost_ratio": Labelled("share of a window's requests without an answer", ("class",)),
    "window_latency_seconds": Labelled("latencies of a window by quantile", ("quantile",)),
    "window_cost_usd_per_hour": Labelled("cost of servers in the last window"),
    "window_arrivals_per_second": Labelled("requests a second in the last window"),
    "window_utilisation_ratio": Labelled("share of the cores in use in the last window"),
}


class Metrics:
    """Metrics of steps, and of what is asked when they are scraped.

    Parameters
    ----------
    subject
        What is watched.
    source
        Knows how old telemetry is.
    """

    name = "metrics"

    def __init__(self, subject: Subject, source: Reporter) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._subject = subject
        self.registry = own = CollectorRegistry()
        self._decisions = Counter("metabalance_decisions", "steps", registry=own)
        self._held = Counter(
            "metabalance_held_decisions", "steps in which the last weights were held", ["trouble"], registry=own
        )
        self._noticed = Counter("metabalance_noticed", "what nobody here has done to HAProxy", ["kind"], registry=own)
        self._power = Counter("metabalance_power_failures", "calls that should have switched a server", registry=own)
        self._took = Histogram(
            "metabalance_decision_seconds", "of a step: measured, decided, written", buckets=LATENCIES_S, registry=own
        )
        self._rules = Counter("metabalance_interventions", "weights that a rule of safety gave", ["rule"], registry=own)
        self._windows = Counter("metabalance_windows", "windows that have ended", registry=own)
        self._gauges = {
            name: Gauge(f"metabalance_{name}", one.help, one.labels, registry=own) for name, one in GAUGES.items()
        }
        self._n_windows = 0
        self._gauges["applies"].set(subject.applies)
        self._asked = _Asked(source)
        own.register(self._asked)

    def text(self) -> bytes:
        """What Prometheus reads."""
        return generate_latest(self.registry)

    def observe(self, report: Report) -> None:
        decision = report.decision
        self._decisions.inc()
        if decision.held_because:
            self._held.labels(decision.trouble).inc()
        if decision.took_s > 0:
            self._took.observe(decision.took_s)
        for one in decision.interventions:
            self._rules.labels(one.rule).inc()
        for notice in decision.noticed:
            self._noticed.labels(notice.kind).inc()
        self._power.inc(len(decision.powered.failures))
        self._asked.failures = report.failures
        self._observe_servers(report)
        self._gauges["log_lines_missing"].set(decision.missing)
        self._gauges["drained_costs"].set(decision.powered.drained == NOT_SAVED)
        self._gauges["last_step_timestamp_seconds"].set(report.at_s)
        if report.progress is not None:
            self._gauges["learning"].set(report.progress.standing.is_learning)
            self._gauges["learned_distance"].set(report.progress.away)
            self._gauges["rollbacks"].set(report.progress.standing.n_rollbacks)
        for term, weight in report.context.items():
            self._gauges["context_weight"].labels(term).set(weight)
        if report.window is not None and report.window.number != self._n_windows:
            self._windows.inc()
            self._n_windows = report.window.number
            self._observe_window(report.window)

    def close(self) -> None: ...

    def _observe_servers(self, report: Report) -> None:
        weights = report.decision.weights
        for s, server in enumerate(self._subject.servers):
            self._gauges["server_up"].labels(server).set(report.up[s])
            for b, backend in enumerate(self._subject.backends):
                self._gauges["in_flight_requests"].labels(backend, server).set(report.n_flows[b, s])
                if weights is not None:
                    self._gauges["weight"].labels(backend, server).set(weights[b, s])

    def _observe_window(self, window: WindowFigures) -> None:
        subject, statistics, gauges = self._subject, window.statistics, self._gauges
        gauges["window_objective"].labels(subject.objective, subject.unit).set(window.objective)
        for name in subject.classes:
            gauges["window_on_time_ratio"].labels(name).set(1.0 - statistics[f"late_share_{name}"])
            gauges["window_lost_ratio"].labels(name).set(statistics[f"lost_share_{name}"])
        for quantile, name in QUANTILES.items():
            gauges["window_latency_seconds"].labels(quantile).set(statistics[f"latency_{name}_ms"] / 1e3)
        gauges["window_cost_usd_per_hour"].set(statistics["cost_usd_per_h"])
        gauges["window_arrivals_per_second"].set(statistics["arrival_rate_hz"])
        gauges["window_utilisation_ratio"].set(statistics["utilisation"])


class _Asked(Collector):
    """What is true at the instant of a scrape."""

    def __init__(self, source: Reporter) -> None:
        self._source = source
        self.failures: dict[str, int] = {}

    def collect(self) -> Iterable[Metric]:
        source = self._source
        age = GaugeMetricFamily("metabalance_telemetry_age_seconds", "since a source last said something", labels=["source"])
        log_age_s = source.log_age_s
        age.add_metric(["stats"], source.look_age_s)
        age.add_metric(["log"], math.inf if log_age_s is None else log_age_s)
        yield age
        lines = CounterMetricFamily(
            "metabalance_log_lines", "lines of HAProxy's log by what became of them", labels=["outcome"]
        )
        for outcome, n in source.log_lines.items():
            lines.add_metric([outcome], n)
        yield lines
        yield CounterMetricFamily("metabalance_haproxy_restarts", "other processes at the socket", value=source.n_restarts)
        failures = CounterMetricFamily(
            "metabalance_observer_failures", "steps that an observer has failed at", labels=["observer"]
        )
        for name, n in self.failures.items():
            failures.add_metric([name], n)
        yield failures
