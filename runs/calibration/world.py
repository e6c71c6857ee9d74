"""The world that a log fits: settings of the base, with those in place that the log says something about."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from envs.core.arrays import FloatArray
from envs.load_balancing.config import CLASSES, LoadBalancingConfig, Poisson, ServerPool, Workload
from runs.calibration.calibration import Found
from runs.calibration.fitting import Point


class Setting(NamedTuple):
    """A setting that was fitted.

    Attributes
    ----------
    path
        From the world on; an entry of a list by its place.
    before, fitted
        Its value in the base, and now.
    error
        Standard error; None where it has none.
    """

    path: str
    before: Any
    fitted: Any
    error: float | None = None


class Fit(NamedTuple):
    """The world, and what is fitted in it."""

    world: LoadBalancingConfig
    settings: tuple[Setting, ...]


def world_of(found: Found, base: LoadBalancingConfig) -> Fit:
    """The world that a log fits.

    Work is in seconds on a core of speed 1, and the reference keeps its speed. The simulator has no time of a request in
    which no server works on it, so the overhead is in no setting: in the work it would hold workers that it does not hold.

    Raises
    ------
    SettingError
        It is none that can be simulated.
    """
    unit = base.pool.speed[found.reference] or 1.0
    pool, of_pool = _pool(found, base.pool, unit)
    workload, of_workload = _workload(found, base.workload, unit)
    load, of_load = _load(found, base, pool, workload, unit)
    return Fit(replace(base, pool=pool, workload=load), (*of_pool, *of_workload, *of_load))


def _error(found: Found, figure: Callable[[Point], float]) -> float:
    return float(np.std([figure(point) for point in found.fitted.resampled], ddof=1))


def _pool(found: Found, base: ServerPool, unit: float) -> tuple[ServerPool, list[Setting]]:
    settings, speeds = [], list(base.speed)
    for server, place in enumerate(found.places.servers.tolist()):
        if place >= 0:
            speeds[server] = float(found.fitted.point.speed[place]) * unit
            error = _error(found, lambda point, place=place: float(point.speed[place]) * unit)  # type: ignore[misc]
            is_given = server == found.reference
            settings.append(Setting(f"pool.speed.{server}", base.speed[server], speeds[server], None if is_given else error))
    changed: dict[str, Any] = {"speed": speeds, "service": "fcfs"}
    settings.append(Setting("pool.service", base.service, "fcfs"))
    slow = found.slowness
    if slow.is_fitted:
        figures = {"slowdown_rate_hz": slow.rate_hz, "slowdown_s": slow.mean_s, "slowdown_factor": slow.factor}
        of_one = slow.n_episodes**-0.5  # relative error of a rate, and of a mean of exponential lengths
        for name, value in figures.items():
            of_it = None if name == "slowdown_factor" else value * of_one
            settings.append(Setting(f"pool.{name}", getattr(base, name), value, of_it))
        changed |= figures
    return replace(base, **changed), settings


def _workload(found: Found, base: Workload, unit: float) -> tuple[Workload, list[Setting]]:
    settings, changed = [], dict[str, Any]()
    for name, place in zip(CLASSES, found.places.classes.tolist(), strict=True):
        if place >= 0:
            kind = getattr(base, name)
            mean_s = float(found.fitted.point.mean_s[place]) * unit
            error = _error(found, lambda point, place=place: float(point.mean_s[place]) * unit)  # type: ignore[misc]
            settings.append(Setting(f"workload.{name}.mean_work_s", kind.mean_work_s, mean_s, error))
            changed[name] = replace(kind, mean_work_s=mean_s)
    family = found.fitted.family
    settings.append(Setting("workload.work", base.work, family.name))
    for name, value in family.settings(found.fitted.point.number).items():
        settings.append(Setting(f"workload.{name}", getattr(base, name), value, _error(found, lambda point: point.number)))
        changed[name] = value
    return replace(base, **changed, work=family.name), settings


def _load(
    found: Found, base: LoadBalancingConfig, pool: ServerPool, workload: Workload, unit: float
) -> tuple[Workload, list[Setting]]:
    """One regime: the load that makes the rate of the log, and the share of its classes."""
    traffic, regimes = found.traffic, workload.regimes
    load = traffic.rate_hz * float(traffic.shares @ workload.mean_work_s) / float(pool.capacity.sum())
    loads = [
        _load_of(found, workload, pool, unit, *one)
        for one in zip(found.fitted.resampled, traffic.rates_hz, traffic.all_shares, strict=True)
    ]
    share = float(traffic.shares[0])
    settings = [
        Setting("workload.arrivals", base.workload.arrivals.source, "poisson"),
        Setting("workload.rate_hz", base.workload.rate_hz, None),
        Setting("workload.regimes.loads", regimes.loads, [load], float(np.std(loads, ddof=1))),
        Setting(
            "workload.regimes.interactive_shares",
            regimes.interactive_shares,
            [share],
            float(traffic.all_shares[:, 0].std(ddof=1)),
        ),
    ]
    one = replace(regimes, loads=[load], interactive_shares=[share])
    return replace(workload, arrivals=Poisson(), rate_hz=None, regimes=one), settings


def _load_of(
    found: Found, workload: Workload, pool: ServerPool, unit: float, point: Point, rate_hz: float, shares: FloatArray
) -> float:
    """Of a resampled log."""
    mean_s, speed = workload.mean_work_s, np.asarray(pool.speed, np.float64)
    classes, servers = found.places.classes, found.places.servers
    mean_s = np.where(classes >= 0, point.mean_s[classes] * unit, mean_s)
    speed = np.where(servers >= 0, point.speed[servers] * unit, speed)
    return float(rate_hz * (shares @ mean_s) / (speed @ np.asarray(pool.cores)))
