from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from envs.core.validation import SettingError
from envs.games.demand import DEMANDS, Demand, PoissonDemand, UniformDemand, drawn, quantile

LAWS = [
    *((PoissonDemand(mean=mean), stats.poisson(mean)) for mean in (0.01, 0.5, 5.0, 300.0)),
    *((UniformDemand(low=low, high=high), stats.randint(low, high + 1)) for low, high in ((0, 0), (0, 9), (4, 4), (3, 17))),
]
every_law = pytest.mark.parametrize(("demand", "law"), LAWS)


@every_law
def test_probabilities_are_those_of_the_law_and_all_of_it(demand: Demand, law: stats.rv_frozen) -> None:
    chances = demand.probabilities
    assert np.allclose(chances, law.pmf(np.arange(len(chances))), rtol=1e-9, atol=1e-300)
    assert chances.sum() == pytest.approx(1.0, rel=1e-12)


@every_law
def test_a_quantile_is_the_fewest_units_that_suffice(demand: Demand, law: stats.rv_frozen) -> None:
    for share in (0.001, 0.1234, 0.5001, 0.77, 0.8571, 0.999):
        assert quantile(demand, share) == int(law.ppf(share))
    assert quantile(demand, 0.0) == 0


@every_law
def test_draws_invert_the_distribution(demand: Demand, law: stats.rv_frozen) -> None:
    uniform = np.array([[0.0, 0.1234, 0.5001], [0.77, 0.8571, np.nextafter(1.0, 0.0)]])
    units = drawn(demand, uniform)
    assert units.shape == uniform.shape
    assert units[0, 1:].tolist() == law.ppf(uniform[0, 1:]).tolist()
    assert (units < len(demand.probabilities)).all()
    many = drawn(demand, np.random.default_rng(0).random(50_000))
    units, chances = np.arange(len(demand.probabilities)), law.pmf(np.arange(len(demand.probabilities)))
    mean, second = units @ chances, units**2 @ chances
    assert abs(many.mean() - mean) <= 4 * np.sqrt(max(second - mean**2, 0.0) / 50_000) + 1e-12


def test_units_without_a_chance_are_never_drawn() -> None:
    assert drawn(UniformDemand(low=2, high=3), np.array([0.0, 0.4999, 0.5, 0.9999])).tolist() == [2, 2, 3, 3]


def test_settings_that_are_not_allowed_are_refused() -> None:
    with pytest.raises(SettingError, match=r"^high must be >= low \(4\), got 3$"):
        UniformDemand(low=4, high=3)
    with pytest.raises(SettingError, match=r"^mean must be > 0 and <= 10000, got 0$"):
        PoissonDemand(mean=0)
    assert all(kind().name == name for name, kind in DEMANDS.items())
