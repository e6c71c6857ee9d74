"""Metrics are what was reported, and what is true when they are scraped."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import yaml

pytest.importorskip("prometheus_client")

from prometheus_client.parser import text_string_to_metric_families

from envs.haproxy.balancer import Notice
from hierarchy.live.metrics import Metrics
from hierarchy.live.power import SAVED, Powered
from hierarchy.online.guard import Standing
from hierarchy.online.setter import Progress
from tests.docs.pages import blocks, rows
from tests.hierarchy.live.told import DRAINED, SUBJECT, WINDOW, Source, report


def scraped(metrics: Metrics) -> dict[tuple[str, frozenset[str]], float]:
    """Values by name and the values of labels, as Prometheus reads them."""
    families = text_string_to_metric_families(metrics.text().decode())
    return {(one.name, frozenset(one.labels.values())): one.value for family in families for one in family.samples}


def of(found: Mapping[tuple[str, frozenset[str]], float], name: str, *labels: str) -> float:
    return found[f"metabalance_{name}", frozenset(labels)]


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def metrics(source: Source) -> Metrics:
    return Metrics(SUBJECT, source)  # type: ignore[arg-type]


def test_steps_are_counted(metrics: Metrics) -> None:
    metrics.observe(report(1))
    metrics.observe(report(2, held_because="no answer", trouble="unreachable", took_s=0.0))
    failed = Powered(SAVED, ("s2",), ("s2 on: ended with 1",))
    noticed = (Notice("started again", 7, 8),)
    metrics.observe(
        report(3, interventions=(DRAINED, DRAINED._replace(backend=1)), noticed=noticed, powered=failed, missing=4)
    )
    found = scraped(metrics)
    assert of(found, "decisions_total") == 3
    assert of(found, "held_decisions_total", "unreachable") == 1
    assert of(found, "noticed_total", "started again") == 1
    assert (of(found, "power_failures_total"), of(found, "drained_costs"), of(found, "log_lines_missing")) == (1, 0, 4)
    assert of(found, "interventions_total", "in service") == 2
    assert of(found, "decision_seconds_count") == 2
    assert of(found, "decision_seconds_sum") == pytest.approx(0.008)
    assert of(found, "decision_seconds_bucket", "0.0025") == 0
    assert of(found, "decision_seconds_bucket", "0.005") == 2
    assert of(found, "last_step_timestamp_seconds") == 1.7e9 + 3


def test_weights_mix_and_servers_are_those_of_the_last_step(metrics: Metrics) -> None:
    metrics.observe(report(1))
    found = scraped(metrics)
    assert [of(found, "weight", b, s) for b in SUBJECT.backends for s in SUBJECT.servers] == [256, 128, 64, 0]
    assert [of(found, "in_flight_requests", b, s) for b in SUBJECT.backends for s in SUBJECT.servers] == [3, 0, 1, 2]
    assert [of(found, "server_up", server) for server in SUBJECT.servers] == [1, 0]
    assert [of(found, "context_weight", term) for term in ("fairness", "latency", "cost")] == [0.2, 0.5, 0.3]
    assert of(found, "applies") == 1


def test_what_goes_on_learning_is_told_of(metrics: Metrics) -> None:
    metrics.observe(report(1))
    assert of(scraped(metrics), "learning") == 0
    learned = Progress(7, "", 1.5, Standing(True, 0.5, 0.4, 0.6, 2), 5, 0.125)
    metrics.observe(report(2)._replace(progress=learned))
    found = scraped(metrics)
    assert [of(found, name) for name in ("learning", "learned_distance", "rollbacks")] == [1, 0.125, 2]


def test_weights_that_are_not_known_stay(metrics: Metrics) -> None:
    metrics.observe(report(1))
    metrics.observe(report(2, weights=None, held_because="no answer"))
    assert of(scraped(metrics), "weight", "web_interactive", "s1") == 256


def test_a_window_is_counted_once(metrics: Metrics) -> None:
    for number in (1, 2):
        metrics.observe(report(number, WINDOW))
    metrics.observe(report(3, WINDOW._replace(number=2, objective=-2.5)))
    found = scraped(metrics)
    assert of(found, "windows_total") == 2
    assert of(found, "window_objective", "profit", "$/h") == -2.5
    assert of(found, "window_on_time_ratio", "interactive") == 0.75
    assert of(found, "window_lost_ratio", "interactive") == 0.125
    assert of(found, "window_latency_seconds", "0.99") == 0.25
    assert of(found, "window_cost_usd_per_hour") == 0.3


def test_telemetry_is_as_old_as_it_is_at_the_scrape(metrics: Metrics, source: Source) -> None:
    assert of(scraped(metrics), "telemetry_age_seconds", "stats") == 0.2
    assert of(scraped(metrics), "telemetry_age_seconds", "log") == float("inf")
    source.look_age_s, source.log_age_s, source.n_restarts, source.log_lines["taken"] = 7.0, 3.0, 2, 9
    found = scraped(metrics)
    assert [of(found, "telemetry_age_seconds", name) for name in ("stats", "log")] == [7.0, 3.0]
    assert of(found, "haproxy_restarts_total") == 2
    assert [of(found, "log_lines_total", name) for name in ("taken", "malformed", "foreign", "dropped")] == [9, 1, 2, 0]


def test_observers_that_fail_are_told_of(metrics: Metrics) -> None:
    metrics.observe(report(1, failures={"audit": 4}))
    assert of(scraped(metrics), "observer_failures_total", "audit") == 4


def test_two_that_are_watched_have_nothing_in_common(metrics: Metrics) -> None:
    metrics.observe(report(1))
    assert of(scraped(Metrics(SUBJECT, Source())), "decisions_total") == 0  # type: ignore[arg-type]


def test_the_page_has_all_metrics_with_their_labels(metrics: Metrics) -> None:
    noticed = (Notice("started again", 7, 8),)
    metrics.observe(report(1, held_because="no answer", trouble="unreachable"))
    metrics.observe(report(2, WINDOW, failures={"audit": 1}, interventions=(DRAINED,), noticed=noticed))
    families = list(text_string_to_metric_families(metrics.text().decode()))
    found = {
        one.name + "_total" * (one.type == "counter"): {
            *(name for sample in one.samples for name in sample.labels if one.type != "histogram")
        }
        for one in families
    }
    table = rows("docs/live.md", "metric")
    assert {row[0].strip("`"): {name.strip() for name in row[1].split(",") if name.strip()} for row in table} == found


def test_the_configuration_of_the_page_scrapes_where_it_is_served() -> None:
    (config,) = (block for block in blocks("docs/live.md", "yaml") if block.startswith("scrape_configs"))
    (job,) = yaml.safe_load(config)["scrape_configs"]
    assert job.get("metrics_path", "/metrics") == "/metrics"
    (target,) = job["static_configs"][0]["targets"]
    assert f"--http.port {target.rpartition(':')[2]}" in "".join(blocks("docs/live.md", "text"))
