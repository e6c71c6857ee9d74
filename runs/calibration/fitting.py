"""Work and speeds by maximum likelihood, and how well they are known by resampling blocks of time.

Time in service is work over speed, so only ratios of speeds are told by a log: times are those of one server, the reference.
A request that found a free worker took the overhead besides; one that waited did not, for its server was busy meanwhile. By
that the two are told apart where the least times alone would not do.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from envs.core.arrays import BoolArray, FloatArray, IntArray
from runs.calibration.families import FAMILIES, Family, log_density
from runs.calibration.replay import Served, Span

N_BLOCKS, N_RESAMPLED = 20, 100
REFERENCE = 0
"""The server that a fit is made from."""
MS = 1e-3
BLUR_MS, JITTER_MS = (0.5, 1.0, 30.0), (0.05, 0.2, 30.0)
"""Half-widths of the blurs: least, where a fit begins, and most. Whole milliseconds alone make 1 of the first."""
FINE_S, STEP = 0.01, 0.01
"""Equal times are fitted as one: within 0.1 ms up to this time, within 1 % beyond."""
FAR = 5.0
"""How far from where it begins a fit goes, in logarithms of means and speeds."""
LEAST_S = 1e-6
"""Means are not below it."""
ERRORS, LEAST_APART = 3.0, 0.02
"""Speeds of a distribution and of means differ: by so many standard errors, and by such a logarithm."""
SURER = 0.7
"""Share of the variance of the likeliest speeds, below which that of means shows them to be better."""
LOWEST = 0.02
"""Quantile of the times of requests that did not wait, which the overhead is not above."""


class Cells(NamedTuple):
    """Times in service, of equal ones together. K is their number."""

    seen_s: FloatArray  # (K,) overhead included where there is any
    has_overhead: BoolArray  # (K,)
    flow_class: IntArray  # (K,) among those that were seen
    server: IntArray  # (K,) among those that were seen
    weight: FloatArray  # (n_blocks, K) requests in blocks of time
    most_overhead_s: float


class Point(NamedTuple):
    """A fit. Times are on the reference server."""

    mean_s: FloatArray  # (C,) in service
    speed: FloatArray  # (S,) relative
    number: float  # of the family
    overhead_s: float
    blur_s: float  # of requests that did not wait: when they came is rounded
    jitter_s: float  # of those that did: two ends are further apart or closer than the services were

    def blurs_s(self, at_once: BoolArray) -> FloatArray:
        """Of requests, by whether they did not wait ``(n,)``."""
        blurs_s: FloatArray = np.where(at_once, self.blur_s, self.jitter_s)
        return blurs_s

    def seen_from(self, server: int) -> Point:
        """The same with another server as the reference."""
        return self._replace(mean_s=self.mean_s / self.speed[server], speed=self.speed / self.speed[server])


class Fitted(NamedTuple):
    """The most likely family's fit, and what others had.

    Attributes
    ----------
    family
        The distribution of work.
    point
        Its fit; means are those of the times themselves, whatever the family says.
    resampled
        The same for blocks drawn with replacement, of which the spread is a standard error.
    log_likelihood
        Of every family, per request, by name.
    misfit
        Largest distance between the distributions of works, as told and as fitted.
    by_means
        Whether speeds are those of mean times alone, for the family contradicts them.
    """

    family: Family
    point: Point
    resampled: tuple[Point, ...]
    log_likelihood: dict[str, float]
    misfit: float
    by_means: bool = False

    def seen_from(self, server: int) -> Fitted:
        """The same with another server as the reference."""
        resampled = tuple(one.seen_from(server) for one in self.resampled)
        return self._replace(point=self.point.seen_from(server), resampled=resampled)


def blocks_of(came_s: FloatArray, span: Span) -> IntArray:
    """The block of time that each is in ``(n,)``."""
    block: IntArray = np.clip((came_s - span.from_s) / span.seconds * N_BLOCKS, 0, N_BLOCKS - 1).astype(np.int64)
    return block


def cells_of(served: Served, block: IntArray) -> Cells:
    """Requests as a fit takes them; classes and servers are numbered from 0, without gaps.

    Those that waited for less than an overhead may be are left out: whether it counts is not known before it is fitted.
    """
    waited = served.waited
    whole_s = served.ended_s - served.came_s
    at_once = whole_s[~waited]
    most_s = max(float(np.quantile(at_once, LOWEST)), MS) if len(at_once) else 0.0
    is_told = ~waited | (served.free_s - served.came_s > most_s)
    seen_s = np.where(waited, served.ended_s - np.where(waited, served.free_s, 0.0), whole_s)
    fine = np.rint(np.arcsinh(seen_s / FINE_S) / STEP).astype(np.int64)
    keys = np.stack([served.flow_class, served.server, ~waited, fine])[:, is_told]
    unique, place = np.unique(keys, axis=1, return_inverse=True)
    n_cells, place = unique.shape[1], np.ravel(place)
    at = block[is_told] * n_cells + place
    weight = np.bincount(at, minlength=N_BLOCKS * n_cells).reshape(N_BLOCKS, n_cells).astype(np.float64)
    mean_s = np.bincount(place, seen_s[is_told]) / np.bincount(place)
    return Cells(mean_s, unique[2].astype(np.bool_), unique[0], unique[1], weight, most_s)


def log_likelihoods(family: Family, cells: Cells, point: Point) -> FloatArray:
    """Of each cell ``(K,)``."""
    mean_s = point.mean_s[cells.flow_class] / point.speed[cells.server]
    seen_s = cells.seen_s - point.overhead_s * cells.has_overhead
    return log_density(family, mean_s, point.number, point.blurs_s(cells.has_overhead), seen_s)


class _Shape(NamedTuple):
    """How a point is a vector: logarithms, but for the overhead; the speed of the reference is 1."""

    n_classes: int
    n_servers: int

    def point(self, vector: FloatArray) -> Point:
        speed = np.insert(np.exp(vector[self.n_classes : self.n_classes + self.n_servers - 1]), REFERENCE, 1.0)
        number, blur_ms, jitter_ms = np.exp(vector[-3:]).tolist()
        overhead_ms = float(vector[-4])
        return Point(np.exp(vector[: self.n_classes]), speed, number, overhead_ms * MS, blur_ms * MS, jitter_ms * MS)

    def vector(self, point: Point) -> FloatArray:
        others = np.delete(point.speed, REFERENCE)
        last = np.log([point.number, point.blur_s / MS, point.jitter_s / MS])
        return np.concatenate([np.log(point.mean_s), np.log(others), [point.overhead_s / MS], last])


def _most_likely(family: Family, cells: Cells, weight: FloatArray, start: Point, shape: _Shape) -> tuple[Point, float]:
    from scipy.optimize import minimize

    n = float(weight.sum())

    def loss(vector: FloatArray) -> float:
        return -float(log_likelihoods(family, cells, shape.point(vector)) @ weight / n)

    begin = shape.vector(start)
    near = [(one - FAR, one + FAR) for one in begin[: shape.n_classes + shape.n_servers - 1].tolist()]
    logarithms = np.log([(family.low, family.high), BLUR_MS[::2], JITTER_MS[::2]])
    bounds = [*near, (0.0, cells.most_overhead_s / MS), *map(tuple, logarithms)]
    found = minimize(loss, begin, method="L-BFGS-B", bounds=bounds, options={"maxiter": 200})
    return shape.point(found.x), -float(found.fun)


def means(service_s: FloatArray, n: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Mean times of classes ``(C,)`` and relative speeds of servers ``(S,)`` from sums and numbers of times ``(C, S)``.

    No distribution stands behind them: on every server and in every class the times add up to what they do.
    """
    speed = np.ones(n.shape[1])
    for _ in range(50):  # each for what the other is
        mean_s = np.maximum((service_s * speed).sum(1) / np.maximum(n.sum(1), 1e-9), LEAST_S)
        speed = 1.0 / np.maximum((service_s / mean_s[:, None]).sum(0) / np.maximum(n.sum(0), 1e-9), LEAST_S)
        speed /= speed[REFERENCE]
    return mean_s, speed


def fit(served: Served, block: IntArray) -> Fitted:
    """Fit work and speeds; the first server is the reference. Nothing is resampled yet.

    Parameters
    ----------
    served
        Requests whose classes and servers are numbered from 0 without gaps.
    block
        Of time, ``(n,)``.
    """
    shape = _Shape(int(served.flow_class.max()) + 1, int(served.server.max()) + 1)
    cells, once = cells_of(served, block), np.ones(N_BLOCKS)
    begun = _Sums(served, block, shape).of(once, 0.0)
    found: dict[str, tuple[Point, float]] = {}
    for family in FAMILIES:
        start = Point(*means(*begun), family.start, 0.1 * cells.most_overhead_s, BLUR_MS[1] * MS, JITTER_MS[1] * MS)
        found[family.name] = _most_likely(family, cells, once @ cells.weight, start, shape)
    family = max(FAMILIES, key=lambda one: found[one.name][1])
    best = found[family.name][0]
    likelihoods = {name: value for name, (_, value) in found.items()}
    point = _meant(best, *_Sums(served, block, shape).of(once, best.overhead_s))
    return Fitted(family, point, (), likelihoods, _misfit(family, served, best))


def resample(fitted: Fitted, served: Served, block: IntArray) -> Fitted:
    """The same with fits to blocks of time drawn with replacement, for standard errors.

    Speeds are told by all that a distribution says, and by means alone. Where the two differ by more than chance has it, or
    means tell them better, the distribution is not that of the work, and those of means stand (Hausman 1978, Specification
    Tests in Econometrics).
    """
    likely, cells = fitted.point, cells_of(served, block)
    shape, all_draws = _Shape(len(likely.mean_s), len(likely.speed)), draws()
    sums = _Sums(served, block, shape)
    pairs: list[tuple[Point, Point]] = []
    for times in (np.ones(N_BLOCKS), *all_draws):
        is_whole = not pairs
        drawn = likely if is_whole else _most_likely(fitted.family, cells, times @ cells.weight, likely, shape)[0]
        of_it = sums.of(times, drawn.overhead_s)
        mean_s, speed = means(*of_it)
        pairs.append((_meant(drawn, *of_it), drawn._replace(mean_s=mean_s, speed=speed)))
    by_means = _means_are_right(*(np.log([pair[which].speed for pair in pairs]) for which in (0, 1)))
    point, *resampled = (pair[by_means] for pair in pairs)
    return fitted._replace(point=point, resampled=tuple(resampled), by_means=by_means)


def _means_are_right(likely: FloatArray, mean: FloatArray) -> bool:
    """Whether logarithms of speeds ``(1 + n_resampled, S)`` by means stand, and not the likeliest ones."""
    apart, error = np.abs(mean[0] - likely[0]), (mean - likely)[1:].std(0, ddof=1)
    differ = bool((apart > np.maximum(ERRORS * error, LEAST_APART)).any())
    variance, of_likely = (one[1:].var(0, ddof=1).sum() for one in (mean, likely))
    return differ or bool(variance < SURER * of_likely)


def _meant(point: Point, service_s: FloatArray, n: FloatArray) -> Point:
    """A point with the means of the times themselves, at its speeds."""
    return point._replace(mean_s=np.maximum((service_s * point.speed).sum(1) / np.maximum(n.sum(1), 1e-9), LEAST_S))


def draws() -> FloatArray:
    """How often each block is drawn ``(n_resampled, n_blocks)``, the same in every call."""
    rng = np.random.default_rng(0)
    drawn: FloatArray = rng.multinomial(N_BLOCKS, np.full(N_BLOCKS, 1.0 / N_BLOCKS), N_RESAMPLED).astype(np.float64)
    return drawn


class _Sums:
    """Times in service by block, class and server."""

    def __init__(self, served: Served, block: IntArray, shape: _Shape) -> None:
        sizes = (N_BLOCKS, shape.n_classes, shape.n_servers)
        at = np.ravel_multi_index((block, served.flow_class, served.server), sizes)

        def summed(values: FloatArray) -> FloatArray:
            total: FloatArray = np.bincount(at, values, int(np.prod(sizes))).astype(np.float64).reshape(sizes)
            return total

        self._service_s = summed(served.service_s(0.0))
        self._n, self._n_at_once = summed(np.ones(served.n)), summed((~served.waited).astype(np.float64))

    def of(self, times: FloatArray, overhead_s: float) -> tuple[FloatArray, FloatArray]:
        """Sums and numbers ``(C, S)``, when blocks count so often."""
        service_s = self._service_s - overhead_s * self._n_at_once
        return np.tensordot(times, service_s, 1), np.tensordot(times, self._n, 1)


def _misfit(family: Family, served: Served, point: Point) -> float:
    work = served.service_s(point.overhead_s) * point.speed[served.server] / point.mean_s[served.flow_class]
    sorted_work = np.sort(work)
    ones, step = np.ones(len(work)), 1e-4
    beyond = [family.beyond(ones, point.number, sorted_work + side) for side in (step, -step)]
    share_below = 1.0 + (beyond[0] - beyond[1]) / (2.0 * step)
    return float(np.abs(share_below - (np.arange(len(work)) + 0.5) / len(work)).max())
