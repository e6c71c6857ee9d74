"""What every algorithm does: it learns, is kept, goes on to the last bit, begins as another one, acts in a batch as alone,
follows the context, and refuses another world.

A new entry in a registry is under all of it; one that needs a world of its own has a line in :data:`NEEDS`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from envs import SparkConfig
from envs.core.layout import context_of
from envs.core.state import flatten, nested
from envs.core.validation import SettingError
from envs.load_balancing.config import BalancersConfig, Constraints
from hierarchy import lower as lowers
from hierarchy import upper as uppers
from hierarchy.building import lower, upper
from hierarchy.config import ExperimentConfig
from hierarchy.nets.saving import ACTING
from hierarchy.phases import fine_tuning
from hierarchy.protocols import Observer, SavedAgent, TrainedActor
from hierarchy.storage import agents
from hierarchy.storage.folder import NotTrainedError, OutputFolder
from hierarchy.team.mappo import MAPPOConfig
from tests.hierarchy.collecting.made import of_rule
from tests.hierarchy.settings import like

N_TERMS = 3
NEEDS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "constrained_ppo": ({"constraints": Constraints(late=0.1)}, {}),
    "sac_gru": ({}, {"learning_starts": 32, "burn_in": 2, "unroll": 4, "batch_size": 4}),
    "team": (
        {"balancers": BalancersConfig(n=2)},
        {"team": MAPPOConfig(warm_up=8, rollout_steps=4, batch_size=8, epochs=1, hidden_size=8)},
    ),
}
"""Settings of the world and of the algorithm beside the tiny ones, by lower algorithm."""


class Case(NamedTuple):
    """An algorithm in its level."""

    config: ExperimentConfig
    build: Callable[[], Any]
    n_steps: int
    load: Callable[[OutputFolder, ExperimentConfig], TrainedActor]
    widened: Callable[[int], Callable[[], Any]]  # builds one whose layers are so wide
    begun: Callable[[SavedAgent, ExperimentConfig], SavedAgent]  # as one of a world, to begin as it there
    n_rows: int  # that act together: agents of an env
    misfit: dict[str, Any]  # another world
    message: str  # that refuses it


def widened(algorithm: Any, hidden_size: int) -> Any:
    """An algorithm's settings with another width, which is that of a team's algorithm where there is one."""
    if hasattr(algorithm, "team"):
        return dataclasses.replace(algorithm, team=widened(algorithm.team, hidden_size))
    return dataclasses.replace(algorithm, hidden_size=hidden_size)


def lower_case(name: str, tiny: ExperimentConfig, dataset: Path) -> Case:
    of_world, of_algorithm = NEEDS.get(name, ({}, {}))
    if "data" in {field.name for field in dataclasses.fields(lowers.ALGORITHMS[name])}:
        of_algorithm = {"data": str(dataset), **of_algorithm}
    settings = like(lowers.ALGORITHMS[name], tiny.lower, **of_algorithm)
    config = dataclasses.replace(tiny, env=dataclasses.replace(tiny.env, **of_world), lower=settings)
    other = dataclasses.replace(config.env.actions, levels=[0.0, 1.0, 2.0])
    misfit = {"env": dataclasses.replace(config.env, actions=other)}
    n_rows = config.env.balancers.n

    def wide(hidden_size: int) -> Callable[[], Any]:
        return lambda: lower.build(dataclasses.replace(config, lower=widened(settings, hidden_size)))

    begun = fine_tuning.lower_agent
    return Case(config, lambda: lower.build(config), 128, agents.load_lower, wide, begun, n_rows, misfit, "levels")


def upper_case(name: str, tiny: ExperimentConfig, policy: Any) -> Case:
    config = dataclasses.replace(tiny, upper=like(uppers.ALGORITHMS[name], tiny.upper))
    misfit = {"env": SparkConfig()}

    def wide(hidden_size: int) -> Callable[[], Any]:
        return lambda: upper.build(dataclasses.replace(config, upper=widened(config.upper, hidden_size)), policy)

    def begun(saved: SavedAgent, there: ExperimentConfig) -> SavedAgent:
        return fine_tuning.upper_agent(saved, there, policy)

    return Case(config, lambda: upper.build(config, policy), 24, agents.load_upper, wide, begun, 1, misfit, "terms")


@pytest.fixture(scope="session")
def dataset(untracked_config: ExperimentConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of the tiny world, for who learns from one."""
    return of_rule(untracked_config, tmp_path_factory.mktemp("dataset") / "made", random_share=0.5)


@pytest.fixture(params=[*((name, "lower") for name in lowers.ALGORITHMS), *((name, "upper") for name in uppers.ALGORITHMS)])
def case(request: pytest.FixtureRequest, untracked_config: ExperimentConfig, policy: Any, dataset: Path) -> Case:
    name, level = request.param
    return lower_case(name, untracked_config, dataset) if level == "lower" else upper_case(name, untracked_config, policy)


@pytest.fixture
def kept(case: Case, tmp_path: Path) -> tuple[Any, OutputFolder]:
    """An agent whose parameters are large enough for all that it observes to matter, and the folder that it is in."""
    learner, folder = case.build(), OutputFolder(tmp_path)
    saved, rng = learner.saved("agent"), np.random.default_rng(1)
    large = {
        name: rng.normal(size=array.shape).astype(array.dtype) if name.startswith("acting.") and array.ndim > 1 else array
        for name, array in saved.arrays.items()
    }
    learner.begin_from(saved._replace(arrays=large))
    agents.save(learner, folder.agent(name_of(case)), case.config)
    return learner, folder


def name_of(case: Case) -> str:
    """Of the level."""
    return "lower" if case.load is agents.load_lower else "upper"


def observations(learner: Any, n_steps: int, n: int, seed: int = 0) -> np.ndarray:
    """Made up ``(n_steps, n, n_features)``, with contexts on the simplex."""
    n_features = n_features_of(learner)
    rng = np.random.default_rng(seed)
    observed = rng.random((n_steps, n, n_features)).astype(np.float32)
    context_of(observed, N_TERMS)[:] = rng.dirichlet(np.ones(N_TERMS), (n_steps, n))
    return observed


def n_features_of(learner: Any) -> int:
    """Length of an observation of the learner's actor."""
    n: int = next(iter(learner.actor.model.examples.values())).shape[-1]
    return n


def acts(actor: TrainedActor, observed: np.ndarray) -> np.ndarray:
    """Actions ``(n_steps, n, ...)`` from the beginning of episodes on."""
    acting = actor.start(observed.shape[1])
    return np.array([acting.act(step) for step in observed])


def test_it_learns_a_little(case: Case) -> None:
    learner = case.build()
    before = {name: array.copy() for name, array in learner.saved("agent").arrays.items()}
    learner.learn(case.n_steps)
    after = learner.saved("agent").arrays
    assert learner.n_steps >= case.n_steps
    assert all(np.isfinite(array).all() for array in after.values())
    assert any((before[name] != after[name]).any() for name in before if name.startswith("acting."))


def test_it_is_read_back_as_it_was_written(case: Case, kept: tuple[Any, OutputFolder]) -> None:
    learner, folder = kept
    observed = observations(learner, 6, 2 * case.n_rows)
    assert_array_equal(acts(case.load(folder, case.config), observed), acts(learner.actor, observed))


class Midway(Observer):
    """Keeps the state of a learner between two rollouts, when half of its steps are done."""

    def __init__(self, learner: Any, n_steps: int) -> None:
        self._learner, self._half, self.state, self.n_steps = learner, n_steps // 2, {}, 0

    def on_rollout(self, n_steps: int) -> None:
        if not self.state and n_steps >= self._half:
            self.state, self.n_steps = self._learner.get_state(), n_steps


def test_it_goes_on_to_the_last_bit(case: Case) -> None:
    whole, rest = case.build(), case.build()
    midway = Midway(whole, case.n_steps)
    whole.learn(case.n_steps, midway)
    rest.set_state(nested(flatten(midway.state)))
    rest.learn(case.n_steps - midway.n_steps)
    assert rest.n_steps == whole.n_steps
    ours, theirs = (one.saved("agent").arrays for one in (whole, rest))
    assert ours.keys() == theirs.keys()
    for name, array in ours.items():
        assert_array_equal(array, theirs[name], err_msg=name)


@pytest.fixture(params=["folder", "bundle"])
def source(request: pytest.FixtureRequest, kept: tuple[Any, OutputFolder]) -> SavedAgent:
    """The agent as it is kept in a folder, and in a bundle, which has nothing but what acts."""
    saved: SavedAgent = kept[0].saved("agent")
    if request.param == "folder":
        return saved
    return saved._replace(arrays={name: array for name, array in saved.arrays.items() if name.startswith(ACTING)})


def test_it_begins_as_another_one_and_learns_on(case: Case, kept: tuple[Any, OutputFolder], source: SavedAgent) -> None:
    learner, other = kept[0], case.build()
    observed = observations(learner, 6, 2 * case.n_rows)
    assert (acts(other.actor, observed) != acts(learner.actor, observed)).any()
    other.begin_from(source)
    assert other.n_steps == 0
    assert_array_equal(acts(other.actor, observed), acts(learner.actor, observed))
    arrays = other.saved("agent").arrays
    for name, array in source.arrays.items():
        assert_array_equal(arrays[name], array, err_msg=name)
    other.learn(case.n_steps)
    arrays = other.saved("agent").arrays
    assert all(np.isfinite(array).all() for array in arrays.values())
    assert any((arrays[name] != source.arrays[name]).any() for name in source.arrays if name.startswith(ACTING))


def test_it_begins_as_no_other_one_whose_networks_have_another_form(case: Case, source: SavedAgent) -> None:
    other = case.widened(9)()
    before = other.saved("other").arrays
    with pytest.raises(
        SettingError, match=r"^agent must be an agent whose networks have the same form, got one with "
    ) as told:
        other.begin_from(source)
    assert "9" in str(told.value)
    assert "\n" not in str(told.value)
    for name, array in other.saved("other").arrays.items():
        assert_array_equal(array, before[name], err_msg=name)


def test_it_is_fine_tuned_in_a_world_that_has_changed_and_in_no_other(case: Case, kept: tuple[Any, OutputFolder]) -> None:
    saved = agents.read_agent(kept[1], name_of(case))
    pool = dataclasses.replace(case.config.env.pool, price_usd_per_h=[0.4, 0.3], speed=[0.5, 1.0])
    dearer = dataclasses.replace(case.config, env=dataclasses.replace(case.config.env, pool=pool))
    assert case.begun(saved, dearer).arrays is saved.arrays
    with pytest.raises(NotTrainedError, match=case.message) as told:
        case.begun(saved, dataclasses.replace(case.config, **case.misfit))
    assert "\n" not in str(told.value)


def test_it_acts_in_a_batch_as_it_does_alone(case: Case, kept: tuple[Any, OutputFolder]) -> None:
    learner, _ = kept
    observed = observations(learner, 6, 3 * case.n_rows)
    together = acts(learner.actor, observed)
    alone = [acts(learner.actor, part) for part in np.split(observed, 3, axis=1)]
    assert_allclose(together, np.concatenate(alone, axis=1), atol=1e-4)


def test_it_follows_the_context(case: Case, kept: tuple[Any, OutputFolder]) -> None:
    """What is done about the same measurements is not the same under another context, for some of them."""
    learner, _ = kept
    observed = observations(learner, 40, 4 * case.n_rows)
    other = observed.copy()
    context_of(other, N_TERMS)[:] = np.roll(context_of(observed, N_TERMS), 1, axis=-1)
    assert (acts(learner.actor, observed) != acts(learner.actor, other)).any()


def test_it_refuses_another_world(case: Case, kept: tuple[Any, OutputFolder]) -> None:
    _, folder = kept
    with pytest.raises(NotTrainedError, match=case.message):
        case.load(folder, dataclasses.replace(case.config, **case.misfit))


def test_it_refuses_what_another_algorithm_has_learned(case: Case, kept: tuple[Any, OutputFolder]) -> None:
    learner, _ = kept
    saved = learner.saved("agent")
    other = saved._replace(description={**saved.description, "algorithm": "another"})
    with pytest.raises(ValueError, match="algorithm must be another"):
        case.build().begin_from(other)
