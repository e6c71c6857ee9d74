"""Densities as a log shows them are densities, of the mean that is asked for, and without blur those of the simulator."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from runs.calibration.families import FAMILIES, OUTLIERS, Family, log_density

every_family = pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
NUMBER = {"exponential": 1.0, "lognormal": 1.5, "pareto": 2.2}
MEAN_S = 0.03
SIGMA = np.sqrt(np.log1p(1.5**2))
THEIRS = {
    "exponential": stats.expon(scale=MEAN_S),
    "lognormal": stats.lognorm(SIGMA, scale=MEAN_S * np.exp(-(SIGMA**2) / 2)),
    "pareto": stats.pareto(2.2, scale=MEAN_S * 1.2 / 2.2),
}


def density(family: Family, blur_s: float, seen_s: np.ndarray) -> np.ndarray:
    mean = np.full(len(seen_s), MEAN_S)
    both = np.exp(log_density(family, mean, NUMBER[family.name], blur_s, seen_s))
    anything = OUTLIERS * 0.5 / MEAN_S / (1.0 + np.abs(seen_s) / MEAN_S) ** 2
    return (both - anything) / (1.0 - OUTLIERS)


@every_family
def test_without_blur_it_is_the_density_of_work(family: Family) -> None:
    seen_s = np.array([0.002, 0.017, 0.03, 0.1, 0.4])
    assert density(family, 1e-5, seen_s) == pytest.approx(THEIRS[family.name].pdf(seen_s), rel=1e-3, abs=1e-6)


@every_family
def test_with_blur_it_is_a_mean_over_a_triangle(family: Family) -> None:
    blur_s = 0.004
    offset, step = np.linspace(-blur_s, blur_s, 20_001, retstep=True)
    triangle = (blur_s - np.abs(offset)) / blur_s**2
    for seen_s in (-0.003, 0.0, 0.001, 0.0164, 0.05):
        expected = (triangle * THEIRS[family.name].pdf(seen_s - offset)).sum() * step
        assert density(family, blur_s, np.array([seen_s]))[0] == pytest.approx(expected, rel=2e-3, abs=1e-6)


@every_family
def test_anything_may_be_seen(family: Family) -> None:
    seen_s = np.array([-1e6, -1.0, 0.0, 1e-9, 1e6])
    assert np.isfinite(log_density(family, np.full(5, MEAN_S), NUMBER[family.name], 1e-3, seen_s)).all()
