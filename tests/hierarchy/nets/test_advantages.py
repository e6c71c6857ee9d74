"""Estimates of what actions gain: nothing at first, weighted by the context, less where the ensemble disagrees."""

from __future__ import annotations

import numpy as np
import pytest
import torch as th
from numpy.testing import assert_allclose, assert_array_equal

from hierarchy.nets.advantages import N_MEMBERS, SHARPNESS, Advantages
from hierarchy.warm_start.branching import Tried
from hierarchy.warm_start.fitting import fit

N_OBSERVED, N_ACTIONS, NOMINAL, N_TERMS = 6, 4, 2, 2


def advantages(weighted: bool = True, n_errors: float = 0.0) -> Advantages:
    return Advantages(N_OBSERVED, N_ACTIONS, NOMINAL, N_TERMS, weighted, n_errors).requires_grad_(False)


def observations(n: int = 500) -> np.ndarray:
    rng = np.random.default_rng(0)
    contexts = rng.dirichlet([1.0] * N_TERMS, n)
    return np.concatenate([rng.normal(size=(n, N_OBSERVED - N_TERMS)), contexts], axis=1).astype(np.float32)


def gains_of(observed: np.ndarray) -> np.ndarray:
    """By action and term ``(n, n_actions, n_terms)``: the first gains in one term what the second loses."""
    x = observed[:, 0]
    gains = np.zeros((len(observed), N_ACTIONS, N_TERMS))
    gains[:, 0], gains[:, 1] = np.stack([x, -x], axis=-1), np.stack([-x, x], axis=-1)
    gains[:, 3] = -3.0
    return gains


def tries(n: int = 3000, noise: float = 0.0) -> Tried:
    observed, rng = observations(n), np.random.default_rng(1)
    actions = np.stack([rng.permutation([0, 1, 3])[:2] for _ in range(n)])
    gains = np.take_along_axis(gains_of(observed), actions[..., None], axis=1)
    gained = (gains + noise * rng.normal(size=gains.shape)).astype(np.float32)
    return Tried(observed, actions, gained, gained.sum(-1))


def test_at_first_nothing_gains_anything_and_the_nominal_action_is_best() -> None:
    fresh = advantages()
    fresh.begin(th.Generator().manual_seed(3))
    assert_array_equal(fresh.scores(th.from_numpy(observations())).numpy(), 0.0)
    assert_array_equal(fresh.logits(th.from_numpy(observations())).numpy(), 0.0)
    assert_array_equal(fresh.best(observations()), NOMINAL)


def test_what_actions_gain_is_learned_for_every_context() -> None:
    learned = advantages()
    assert fit(learned, tries(), 40, seed=0) < 0.05
    observed = observations()
    gains = (gains_of(observed) * observed[:, None, -N_TERMS:]).sum(-1)
    clear = np.abs(gains[:, 0]) > 0.2
    assert_array_equal(learned.best(observed)[clear], gains.argmax(-1)[clear])
    assert set(learned.best(observed)[clear]) == {0, 1}
    scores = learned.scores(th.from_numpy(observed)).numpy()
    assert_array_equal(scores[:, NOMINAL], 0.0)
    assert np.abs(scores - gains).mean() < 0.1, "in their own units"


def test_without_weights_a_gain_is_the_same_in_all_contexts() -> None:
    learned, drawn = advantages(weighted=False), tries()
    fit(learned, drawn._replace(gains=drawn.gains[..., :1]), 40, seed=0)
    scores = learned.scores(th.from_numpy(observations())).numpy()
    assert np.abs(scores - gains_of(observations())[..., 0]).mean() < 0.1


def test_where_members_disagree_less_is_believed() -> None:
    """By their spread, and never of the nominal action."""
    bold, careful = advantages(), advantages(n_errors=2.0)
    fit(bold, tries(300, noise=5.0), 10, seed=0)
    careful.load_state_dict(bold.state_dict())
    observed = th.from_numpy(observations())
    of_members = (bold(observed) * observed[:, None, -N_TERMS:]).sum(-1)
    assert of_members.shape == (N_MEMBERS, 500, N_ACTIONS)
    assert_allclose(careful.scores(observed), bold.scores(observed) - 2.0 * of_members.std(0), atol=1e-5)
    assert_allclose(careful.scores(observed, n_errors=0.0), bold.scores(observed))
    assert (careful.best(observations()) == NOMINAL).mean() > (bold.best(observations()) == NOMINAL).mean()


def test_logits_are_scores_in_units_of_their_spread() -> None:
    learned = advantages()
    fit(learned, tries(), 10, seed=0)
    observed = th.from_numpy(observations())
    logits, scores = learned.logits(observed), learned.scores(observed)
    assert_allclose(logits, SHARPNESS * scores / scores.std(-1, keepdim=True), rtol=1e-4)


@pytest.mark.parametrize("seed", [0, 1])
def test_the_same_is_learned_from_the_same_tries(seed: int) -> None:
    """Whatever was learned before; other seeds learn otherwise."""
    first, again = advantages(), advantages()
    fit(again, tries(noise=2.0), 2, seed=5)
    errors = [fit(one, tries(), 3, seed) for one in (first, again)]
    assert errors[0] == errors[1]
    for name, value in first.state_dict().items():
        assert_array_equal(value, again.state_dict()[name], err_msg=name)
    other = advantages()
    assert fit(other, tries(), 3, seed + 1) != errors[0]
