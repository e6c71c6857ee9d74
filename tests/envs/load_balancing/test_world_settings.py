"""A bad setting is refused when it is made: in one line that names the field, the value and what is allowed."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

import numpy as np
import pytest

from envs.core.context import ContextSampling
from envs.core.validation import SettingError
from envs.load_balancing.config import (
    DISPATCH_RULES,
    MMPP,
    Actions,
    Diurnal,
    LoadBalancingConfig,
    PeakEwma,
    Poisson,
    Prequal,
    RandomDraws,
    Randomisation,
    Regimes,
    Reward,
    ServerPool,
    Telemetry,
    Trace,
    Workload,
    WorkloadClass,
)

NAN, INF = float("nan"), float("inf")
FLOW = {"mean_work_s": 0.1, "deadline_s": 1.0, "value_usd": 1.0, "penalty_usd": 1.0}
POSITIVE_RANGES = ("n_servers", "cores", "speed", "price_per_capacity", "load", "work", "deadline")

BAD: list[tuple[type, str, Any, str]] = [
    *[
        (ServerPool, name, value, f"must be >= {least}")
        for name, least in (("max_flows", "1"), ("repair_s", "0.001"), ("slowdown_s", "0.001"))
        for value in (0, -1, NAN)
    ],
    (ServerPool, "max_flows", 10**9, "must be >= 1 and <= 1e+07"),
    *[
        (ServerPool, name, value, "must be >= 0 and <= 1")
        for name in ("idle_share", "slowdown_factor")
        for value in (-0.1, 1.1, NAN)
    ],
    *[
        (ServerPool, name, value, "must be >= 0")
        for name in ("boot_s", "min_billed_s", "failure_rate_hz", "detection_s", "slowdown_rate_hz")
        for value in (-0.1, NAN, INF)
    ],
    *[(ServerPool, name, 1e18, "must be >= 0 and <= 1000") for name in ("failure_rate_hz", "slowdown_rate_hz")],
    (ServerPool, "cores", [], "must be a list of at least 1"),
    (ServerPool, "cores", [4, 4, 0, 4], "must be >= 1"),
    (ServerPool, "cores", [4, 4, "two", 4], "must be >= 1"),
    (ServerPool, "speed", [1.0, 1.0], "must be one entry per server (4)"),
    (ServerPool, "speed", [1.0, -1.0, 1.0, 1.0], "must be >= 0"),
    (ServerPool, "speed", [0.0] * 4, "must be > 0 for at least one server"),
    (ServerPool, "price_usd_per_h", [1.0], "must be one entry per server (4)"),
    (ServerPool, "price_usd_per_h", [1.0, 1.0, NAN, 1.0], "must be >= 0"),
    (ServerPool, "memory_gb", [1.0], "must be one entry per server (4)"),
    (ServerPool, "memory_gb", [1.0, 1.0, -2.0, 1.0], "must be >= 0"),
    (ServerPool, "max_flows", 3, "must be >= the largest of cores (4)"),
    (ServerPool, "service", "lifo", "must be one of ps, fcfs"),
    *[(WorkloadClass, name, value, "must be > 0") for name in ("mean_work_s", "deadline_s") for value in (0.0, -1.0, INF)],
    *[(WorkloadClass, name, value, "must be >= 0") for name in ("value_usd", "penalty_usd") for value in (-1.0, NAN)],
    *[(WorkloadClass, "loss_usd", value, "must be > 0") for value in (0.0, -1.0, NAN)],
    (WorkloadClass, "loss_usd", 1.0, "must be > penalty_usd (1.0)"),
    (Regimes, "loads", [], "must be a list of at least 1"),
    (Regimes, "interactive_shares", [], "must be a list of at least 1"),
    (Regimes, "loads", [0.5, -0.1], "must be >= 0"),
    (Regimes, "interactive_shares", [0.5, 1.5], "must be >= 0 and <= 1"),
    *[(Regimes, "mean_dwell_s", value, "must be >= 0.001") for value in (0.0, 1e-18)],
    *[(Regimes, "n_stages", value, "must be >= 1 and <= 10000") for value in (0, 10_001, NAN)],
    (Regimes, "order", "sorted", "must be one of turn, random"),
    (Workload, "work", "normal", "must be one of exponential, lognormal, pareto"),
    *[(Workload, name, value, "must be > 0") for name in ("rate_hz", "work_cv") for value in (0.0, NAN)],
    *[(Workload, "retries", value, "must be >= 0 and < 1") for value in (-0.1, 1.0, NAN)],
    *[(Workload, "retry_pause_s", value, "must be >= 0.001") for value in (0.0, NAN)],
    *[(Workload, "pareto_shape", value, "must be > 1") for value in (1.0, NAN, INF)],
    (Poisson, "source", "mmpp", "must be one of poisson"),
    (MMPP, "source", "poisson", "must be one of mmpp"),
    *[(MMPP, name, value, "must be >= 0.001") for name in ("burst_s", "calm_s") for value in (0.0, 1e-18, NAN)],
    *[(MMPP, "burst_factor", value, "must be >= 1") for value in (0.9, NAN, INF)],
    (Diurnal, "source", "poisson", "must be one of diurnal"),
    *[(Diurnal, "period_s", value, "must be >= 0.001") for value in (0.0, NAN)],
    *[(Diurnal, "amplitude", value, "must be >= 0 and <= 1") for value in (-0.1, 1.1)],
    *[(Diurnal, "batch_swing", value, "must be >= -1 and <= 1") for value in (-1.1, 1.1, NAN)],
    (Trace, "source", "poisson", "must be one of trace"),
    (Trace, "split", "test", "must be one of train, held_out"),
    *[(Trace, "interactive_quantile", value, "must be >= 0 and <= 1") for value in (-0.1, 1.1)],
    *[(Trace, "train_share", value, "must be > 0 and < 1") for value in (0.0, 1.0, NAN)],
    (Trace, "class_pattern", "(", "must be a regular expression (missing )"),
    *[(Trace, "path", value, "must be the name of a file") for value in (None, "")],
    *[(config, "rule", "first", f"must be one of {rule}") for rule, config in DISPATCH_RULES.items()],
    *[(RandomDraws, "draws", value, "must be >= 1 and <= 100") for value in (0, 101)],
    *[(PeakEwma, "ewma_s", value, "must be > 0") for value in (0, NAN)],
    *[(Prequal, name, 0, "must be > 0") for name in ("ewma_s", "probe_age_s")],
    *[
        (Prequal, name, value, "must be >= 1 and <= 1024")
        for name in ("probe_pool", "probes_per_flow")
        for value in (0, 10**9)
    ],
    (Prequal, "probe_quantile", 1.5, "must be >= 0 and <= 1"),
    (Actions, "mode", "free", "must be one of levels, weights, deltas, guided"),
    (Actions, "levels", [], "must be a list of at least 1"),
    (Actions, "levels", [0.0, 0.0], "must be > 0 for at least one weight"),
    (Actions, "levels", [1.0, -1.0], "must be >= 0"),
    (Actions, "max_delta", 0.0, "must be > 0"),
    (Reward, "latency_measure", "seconds", "must be one of deadlines, forgone"),
    (Actions, "every_steps", 0, "must be >= 1 and <= 100000"),
    (Actions, "delay_steps", -1, "must be >= 0"),
    (Telemetry, "noise", -0.1, "must be >= 0"),
    (Telemetry, "delay_steps", -1, "must be >= 0"),
    *[(Telemetry, "loss", value, "must be >= 0 and < 1") for value in (1.0, -0.1, NAN)],
    (Reward, "fairness_measure", "gini", "must be one of jain, variance, std, cv, max_min, min_max, product, log_product"),
    (
        Reward,
        "fairness_field",
        "memory",
        "must be one of n_flow_on, fct_mean, fct_p90, flow_duration_avg_decay, utilisation",
    ),
    *[
        (Reward, name, value, "must be >= 0")
        for name in ("loss_weight", "late_penalty", "switching_cost")
        for value in (-1.0, NAN)
    ],
    *[(Reward, name, value, "must be >= 0 and <= 1") for name in ("late_limit", "shaping_gamma") for value in (-0.1, 1.1)],
    (LoadBalancingConfig, "backends", "server", "must be one of class, joint"),
    (LoadBalancingConfig, "family", "spark", "must be one of load_balancing"),
    *[
        (Randomisation, name, value, "must be [] or [low, high] with low <= high")
        for name in (*POSITIVE_RANGES, "interactive_share")
        for value in ([1], [1, 1, 1], [1, 0.5])
        if name not in ("n_servers", "cores") or value != [1, 0.5]
    ],
    *[(Randomisation, name, [2, 1], "must be [] or [low, high] with low <= high") for name in POSITIVE_RANGES],
    *[(Randomisation, name, [1, value], "must be >") for name in POSITIVE_RANGES for value in (NAN, INF)],
    *[(Randomisation, name, value, "must be >") for name in POSITIVE_RANGES for value in ([0, 1], [-1, 1])],
    *[(Randomisation, name, [1.5, 2], "must be two integers") for name in ("n_servers", "cores")],
    *[(Randomisation, "interactive_share", value, "must be >= -1 and <= 1") for value in ([-1.5, 0.0], [0.0, 1.1])],
    *[(LoadBalancingConfig, "dt_s", value, "must be > 0 and <= 3600") for value in (0, -0.25, NAN, 1e9)],
    *[(LoadBalancingConfig, "episode_steps", value, "must be >= 1") for value in (0, -1, NAN)],
    *[(ContextSampling, "alpha", value, "must be > 0") for value in (0.0, -1.0)],
    (ContextSampling, "fixed", [0.5, 0.6], "must be weights that sum to 1, or none"),
    *[
        (ContextSampling, name, value, "must be >= 0 and <= 1")
        for name in ("corner_share", "switch_probability")
        for value in (-0.1, 1.1)
    ],
]
WORLD = (
    ServerPool,
    Regimes,
    Workload,
    Poisson,
    MMPP,
    Diurnal,
    *DISPATCH_RULES.values(),
    Actions,
    Telemetry,
    Reward,
    Randomisation,
    LoadBalancingConfig,
    ContextSampling,
)
NEEDED: dict[type, dict[str, Any]] = {WorkloadClass: FLOW, Trace: {"path": "access.log"}}
"""Settings without which a config can't be made."""


def value_items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


@pytest.mark.parametrize(("kind", "name", "value", "allowed"), BAD, ids=lambda part: getattr(part, "__name__", str(part)))
def test_a_bad_setting_is_refused_by_name_value_and_rule(kind: type, name: str, value: Any, allowed: str) -> None:
    fields = {**NEEDED.get(kind, {}), name: value}
    with pytest.raises(ValueError, match=re.escape(allowed)) as error:
        kind(**fields)
    said, _, got = str(error.value).partition(", got ")
    assert said.startswith(f"{name} must be ")
    assert got in {str(value), repr(value), *(shown for item in value_items(value) for shown in (str(item), repr(item)))}


@pytest.mark.parametrize("retries", [0.0, 0.5, 0.9])
def test_turning_a_request_away_may_not_pay_even_if_it_comes_back(retries: float) -> None:
    """One that comes back may still be worth its value; late it would have cost its penalty."""
    least = 1.0 + retries * 4.0

    def workload(loss_usd: float) -> Workload:
        kind = WorkloadClass(mean_work_s=1.0, deadline_s=1.0, value_usd=4.0, penalty_usd=1.0, loss_usd=loss_usd)
        return Workload(batch=kind, retries=retries)

    assert workload(least + 0.01).batch.loss_usd == least + 0.01
    if retries > 0.0:
        with pytest.raises(
            SettingError, match=rf"^batch.loss_usd must be >= penalty_usd \+ retries \* value_usd \({least:g}\)"
        ):
            workload(least - 0.01)


def test_every_list_of_a_pool_has_one_entry_per_server() -> None:
    with pytest.raises(ValueError, match=r"speed must be one entry per server \(3\), got \[2.0, 1.0, 1.0, 0.5\]"):
        ServerPool(cores=[4, 4, 2])


def is_section(kind: type, name: str) -> bool:
    return dataclasses.is_dataclass(getattr(kind(**NEEDED.get(kind, {})), name))


@pytest.mark.parametrize("kind", [*WORLD, *NEEDED])
def test_every_setting_that_can_be_wrong_is_in_the_table(kind: type) -> None:
    """One that no bad value is known for would be one that nothing checks."""
    always_right = {
        "scale_by_capacity",
        "rule",  # held against the world when it is made, as the next one
        "numbers",
        "ground_truth",
        "samples",
        "shaping",
        "random_phase",
        "asks",
        "class_column",
        "interactive_values",
        "interactive_up_to",
    }
    tried = {name for tried_kind, name, _, _ in BAD if tried_kind is kind}
    settings = {field.name for field in dataclasses.fields(kind) if not is_section(kind, field.name)}
    assert settings - always_right <= tried


@pytest.mark.parametrize("kind", WORLD)
def test_the_defaults_are_valid_and_can_not_be_changed(kind: type) -> None:
    config = kind()
    name = dataclasses.fields(config)[0].name
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(config, name, getattr(config, name))


def test_derived_values_of_a_pool() -> None:
    pool = ServerPool()
    assert pool.n_servers == 4
    assert pool.capacity.tolist() == [8.0, 4.0, 2.0, 2.0]


def test_regimes_are_loads_times_mixes_with_the_mix_fastest() -> None:
    regimes = Regimes(loads=[0.2, 0.8], interactive_shares=[0.9, 0.5, 0.1])
    assert regimes.n_regimes == 6
    assert np.array_equal(regimes.load, [0.2, 0.2, 0.2, 0.8, 0.8, 0.8])
    assert np.array_equal(regimes.interactive_share, [0.9, 0.5, 0.1, 0.9, 0.5, 0.1])
