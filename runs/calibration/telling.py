"""What was found as lines, rows and plain values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from envs.haproxy.recording import Recorded
from envs.load_balancing.config import CLASSES, LoadBalancingConfig
from runs.calibration.calibration import HARDLY_USED, Found
from runs.calibration.fitting import MS
from runs.calibration.traffic import VARIES
from runs.calibration.workers import LEAST_WAITED
from runs.calibration.world import Fit, Setting

RULE = "leastconn"
MISFIT = 0.1
"""Distance of distributions from which on none of them is said to fit."""


def rows(fit: Fit, names: Sequence[str]) -> list[list[str]]:
    """A table below a row of headings."""
    body = [
        [_named(one, names), _shown(one.before), _shown(one.fitted), "" if one.error is None else _shown(one.error)]
        for one in fit.settings
    ]
    return [["setting", "base", "fitted", "standard error"], *body]


def _named(setting: Setting, names: Sequence[str]) -> str:
    head, _, last = setting.path.rpartition(".")
    return f"{head} of {names[int(last)]}" if last.isdigit() else setting.path


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(_shown, value))
    return f"{value:.4g}" if isinstance(value, float) else "none" if value is None else str(value)


def report(found: Found, fit: Fit, recorded: Recorded, base: LoadBalancingConfig, names: Sequence[str]) -> dict[str, Any]:
    """All figures as plain values."""
    fitted, slow = found.fitted, found.slowness
    return {
        "requests": {**found.n, "cut": recorded.n_cut, "of_other_backends": recorded.n_foreign},
        "seconds": found.span.seconds,
        "reference": names[found.reference],
        "settings": [one._asdict() for one in fit.settings],
        "rate_hz": {"value": found.traffic.rate_hz, "error": float(found.traffic.rates_hz.std(ddof=1))},
        "dispersion": found.traffic.dispersion,
        "overhead_s": {"value": fitted.point.overhead_s, "error": _overhead_error_s(found)},
        "blur_s": fitted.point.blur_s,
        "log_likelihood_per_request": fitted.log_likelihood,
        "misfit": fitted.misfit,
        "speeds_by_means": fitted.by_means,
        "slow_downs": slow.n_episodes,
        "workers": {
            name: None if one is None else {**one._asdict(), "is_checked": one.is_checked}
            for name, one in zip(names, found.workers, strict=True)
        },
        "notes": list(notes(found, recorded, base, names)),
    }


def _overhead_error_s(found: Found) -> float:
    values = [one.overhead_s for one in found.fitted.resampled]
    mean = sum(values) / len(values)
    return float((sum((value - mean) ** 2 for value in values) / (len(values) - 1)) ** 0.5)


def notes(found: Found, recorded: Recorded, base: LoadBalancingConfig, names: Sequence[str]) -> Iterator[str]:
    """What one should know before the figures are believed, a line each."""
    yield from _of_lines(found, recorded)
    yield from _of_servers(found, base, names)
    yield from _of_work(found, base)
    traffic = found.traffic
    if not traffic.is_even:
        counts = f"variance over mean of their counts {traffic.dispersion:.3g}, above {VARIES:g}"
        yield f"requests do not come at one rate ({counts}): only the mean rate is fitted"
    if base.dispatch.rule != RULE:
        yield f"dispatch.rule stays {base.dispatch.rule}; serve takes pairs for {RULE} alone"


def _of_lines(found: Found, recorded: Recorded) -> Iterator[str]:
    if recorded.n_cut:
        yield f"{recorded.n_cut} lines that are cut were left out"
    if recorded.n_foreign:
        yield f"{recorded.n_foreign} lines of other backends were left out"
    unanswered = found.n["in_log"] - found.n["answered"]
    if unanswered:
        yield f"{unanswered} of {found.n['in_log']} requests have no answer; failures of servers are not fitted"


def _of_servers(found: Found, base: LoadBalancingConfig, names: Sequence[str]) -> Iterator[str]:
    for server, (name, one) in enumerate(zip(names, found.workers, strict=True)):
        if one is None:
            yield f"{name}: fewer than {HARDLY_USED} requests, its speed stays {base.pool.speed[server]:g}"
        elif one.is_fast:
            yield f"{name}: requests take no longer than the log's milliseconds; its {one.given} cores can't be checked"
        elif not one.is_checked:
            yield f"{name}: {one.n_waited} requests waited, fewer than {LEAST_WAITED}; {one.given} cores can't be checked"
    seen = [one for one in found.workers if one is not None]
    given, likeliest = (" ".join(str(getattr(one, field)) for one in seen) for field in ("given", "likeliest"))
    impossible = sum(one.n_impossible for one in seen)
    yield f"cores: given {given}, likeliest {likeliest}; {impossible} requests ended before one of those given could be free"
    slow = found.slowness
    if not slow.is_fitted:
        stay = f"pool.slowdown_rate_hz stays {base.pool.slowdown_rate_hz:g}"
        yield f"slow-downs: {slow.n_episodes or 'none'} found, not fitted; {stay}"


def _of_work(found: Found, base: LoadBalancingConfig) -> Iterator[str]:
    for name, place in zip(CLASSES, found.places.classes.tolist(), strict=True):
        if place < 0:
            yield f"{name}: fewer than {HARDLY_USED} requests, its work stays {getattr(base.workload, name).mean_work_s:g}"
    fitted = found.fitted
    overhead, error, blur = (
        f"{value / MS:.2f}" for value in (fitted.point.overhead_s, _overhead_error_s(found), fitted.point.blur_s)
    )
    yield (
        f"overhead: {overhead} ms a request (standard error {error}) beside its work, times blurred by {blur} ms; not in "
        "the settings, the simulator has no such time"
    )
    if fitted.by_means:
        yield f"speeds are those of mean times alone: work is not {fitted.family.name} enough to tell them better"
    if fitted.misfit > MISFIT:
        yield f"work is not {fitted.family.name} either, though that fits best: distributions are {fitted.misfit:.2f} apart"
