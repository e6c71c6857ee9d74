"""Learners from a dataset find the best of what is on record, stay with it as they say, and act as d3rlpy would."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch as th
from gymnasium import spaces
from numpy.testing import assert_array_equal

from envs.core.finite import NonFiniteError
from envs.core.validation import SettingError
from envs.load_balancing.config import Constraints
from hierarchy import extras
from hierarchy.arms import flat
from hierarchy.building import lower
from hierarchy.collecting.sources import numbered
from hierarchy.config import ExperimentConfig
from hierarchy.experiment import train, train_lower
from hierarchy.exporting.onnx import onnx_of
from hierarchy.lower import ALGORITHMS
from hierarchy.lower.bc import BCConfig
from hierarchy.lower.bcq import BCQConfig
from hierarchy.lower.cql import CQLConfig
from hierarchy.lower.offline import OfflineConfig
from hierarchy.lower.offline_learner import OfflineLearner
from hierarchy.nets.preprocessing import Preprocessing
from hierarchy.storage import agents
from hierarchy.storage.folder import OutputFolder
from tests.hierarchy.collecting.made import lasting, of_rule
from tests.hierarchy.lower.recorded import bandit, dataset, episode, form, under

OFFLINE: dict[str, type[OfflineConfig]] = {
    name: kind for name, kind in ALGORITHMS.items() if issubclass(kind, OfflineConfig)
}
every_learner = pytest.mark.parametrize("name", OFFLINE)


def learner_of(config: OfflineConfig, data: Any, seed: int = 0, **changes: Any) -> OfflineLearner:
    return OfflineLearner(config, form(least_share=config.least_share, **changes), data, seed)


def acts(learner: OfflineLearner, observed: np.ndarray) -> np.ndarray:
    return learner.actor.start(len(observed)).act(observed)


@pytest.mark.parametrize("kind", [CQLConfig, BCQConfig])
@pytest.mark.parametrize("settings", [{}, {"normalise_observations": True}, {"clip_reward": None}, {"history": 2}], ids=str)
def test_the_best_action_under_each_mix_is_found(kind: Any, settings: dict[str, Any]) -> None:
    config = kind(updates=800, batch_size=64, gamma=0.0, learning_rate=5e-3, **settings)
    of_form = {"normalise": config.normalise_observations, "history": config.history}
    learner = learner_of(config, bandit(), **of_form)
    learner.learn(800)
    assert (acts(learner, under(0)) == [1, 0]).all(-1).mean() > 0.95
    assert (acts(learner, under(1)) == [0, 2]).all(-1).mean() > 0.95


def test_what_is_done_most_is_cloned() -> None:
    """Whatever it brings."""
    learner = learner_of(
        BCConfig(updates=400, batch_size=64, learning_rate=5e-3), bandit(likely=np.array([1, 1, 1, 1, 5, 1]) / 10)
    )
    learner.learn(400)
    assert (acts(learner, np.concatenate([under(0), under(1)])) == [1, 1]).all()


def test_what_is_rare_on_record_is_not_taken_unless_it_may_be() -> None:
    """The best under the first mix has 4 % where the others have 19: 0.21 of the likeliest."""
    likely = np.array([0.192, 0.192, 0.192, 0.04, 0.192, 0.192])
    shares = {}
    for share in (0.05, 0.6):
        config = BCQConfig(updates=1200, batch_size=64, gamma=0.0, learning_rate=5e-3, likely_share=share)
        learner = learner_of(config, bandit(6000, likely=likely))
        learner.learn(1200)
        shares[share] = (acts(learner, under(0)) == [1, 0]).all(-1).mean()
    assert shares[0.05] > 0.9
    assert shares[0.6] == 0.0


def test_values_of_what_is_not_on_record_are_held_down() -> None:
    """By the weight of the conservative part."""
    likely = np.array([0.5, 0.0, 0.0, 0.0, 0.5, 0.0])
    gaps = []
    for alpha in (0.0, 4.0):
        learner = learner_of(CQLConfig(updates=300, batch_size=64, gamma=0.0, alpha=alpha), bandit(likely=likely))
        learner.learn(300)
        values = learner.module.parameters_of(th.from_numpy(under(0))).detach().numpy()
        gaps.append(values[:, [0, 4]].mean() - values[:, [1, 2, 3, 5]].mean())
    assert gaps[1] > gaps[0] + 1.0


def chain(terminates: bool) -> Any:
    """One step that brings 1, again and again; it ends for good or by a time limit."""
    observations = np.tile([0.5, 1.0, 0.0], (2, 1))
    episodes = [episode(observations, np.array([[at % 2, at % 3]]), np.ones(1), terminates) for at in range(6)]
    return dataset(*episodes * 20)


@pytest.mark.parametrize(("terminates", "worth"), [(True, 1.0), (False, 2.0)])
def test_what_comes_after_a_time_limit_counts(terminates: bool, worth: float) -> None:
    """At a discount of a half, a step that brings 1 is worth 2, unless nothing follows it."""
    config = CQLConfig(
        updates=2000, batch_size=64, gamma=0.5, alpha=0.0, learning_rate=5e-3, clip_reward=None, target_every=20
    )
    learner = learner_of(config, chain(terminates))
    learner.learn(2000)
    values = learner.module.parameters_of(th.tensor([[0.5, 1.0, 0.0]])).detach().numpy()
    assert values.mean() == pytest.approx(worth, abs=0.1)


def test_a_step_is_worth_what_it_leads_to() -> None:
    """Nothing at once and 1 for good after it: half of that, at a discount of a half."""
    first, second = [0.0, 1.0, 0.0], [1.0, 1.0, 0.0]
    observations = np.array([first, second, first])
    episodes = [episode(observations, np.stack([[at % 2, at % 3], [1, 1]]), np.array([0.0, 1.0]), True) for at in range(6)]
    config = CQLConfig(
        updates=2000, batch_size=64, gamma=0.5, alpha=0.0, learning_rate=5e-3, clip_reward=None, target_every=20
    )
    learner = learner_of(config, dataset(*episodes * 20))
    learner.learn(2000)
    values = learner.module.parameters_of(th.tensor([first, second])).detach().numpy()
    assert values[1, 4] == pytest.approx(1.0, abs=0.1)
    assert values[0].mean() == pytest.approx(0.5 * values[1].max(), abs=0.1)


@every_learner
def test_it_acts_as_d3rlpy_would(name: str) -> None:
    learner = learner_of(OFFLINE[name](batch_size=16), bandit(200))
    generator = th.Generator().manual_seed(1)
    with th.no_grad():
        for parameter in learner.module.parameters():
            parameter.copy_(th.randn(parameter.shape, generator=generator))
    observed = np.random.default_rng(0).random((300, 3)).astype(np.float32)
    expected = learner._learner.predict_best_action(th.from_numpy(observed)).numpy()
    assert_array_equal(learner.module.head.encode(acts(learner, observed)), expected)
    assert len(np.unique(expected)) > 2


@every_learner
def test_it_is_the_same_in_onnx(name: str) -> None:
    learner = learner_of(OFFLINE[name](batch_size=16, history=2), bandit(200), history=2, normalise=True)
    learner.learn(32)
    session = onnxruntime.InferenceSession(onnx_of(learner.actor))
    acting, rng = learner.actor.start(5), np.random.default_rng(0)
    stack = np.zeros((5, 3), np.float32)
    for step in range(8):
        observed = rng.random((5, 3)).astype(np.float32)
        keep = np.full((5, 1), float(step > 0), np.float32)
        action, stack = session.run(None, {"observation": observed, "keep": keep, "stack": stack})
        assert_array_equal(action, acting.act(observed))


@every_learner
def test_without_a_stack_it_is_the_same_in_onnx(name: str) -> None:
    learner = learner_of(OFFLINE[name](batch_size=16), bandit(200))
    session = onnxruntime.InferenceSession(onnx_of(learner.actor))
    observed, keep = under(0), np.ones((50, 1), np.float32)
    given = {one.name: {"observation": observed, "keep": keep}[one.name] for one in session.get_inputs()}
    assert_array_equal(session.run(None, given)[0], acts(learner, observed))


def test_training_on_another_dataset_is_not_gone_on_with() -> None:
    learner = learner_of(CQLConfig(batch_size=16), bandit(200))
    learner.learn(32)
    other = learner_of(CQLConfig(batch_size=16), bandit(200)._replace(digest="cd" * 32))
    with pytest.raises(
        SettingError, match=r"lower\.data must be the dataset that training began with \(abababababab\), got cd"
    ):
        other.set_state(learner.get_state())


def test_losses_that_are_no_numbers_are_told() -> None:
    learner = learner_of(CQLConfig(batch_size=16, clip_reward=None), bandit(200))
    learner.data.reward[:] = np.inf
    with pytest.raises(NonFiniteError, match="of cql must be finite"):
        learner.learn(1)


def test_an_agent_says_what_it_learned_from() -> None:
    saved = learner_of(BCConfig(batch_size=16), bandit(200)).saved("agent")
    assert saved.description["dataset"] == "ab" * 32


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tests.conftest import TINY

    return of_rule(TINY, tmp_path_factory.mktemp("dataset") / "made", random_share=0.5)


def with_data(config: ExperimentConfig, data: Path | str, kind: Any = CQLConfig, **settings: Any) -> ExperimentConfig:
    given = {"data": str(data), "updates": 64, "batch_size": 16, "hidden_size": 8, **settings}
    return dataclasses.replace(config, lower=kind(**given))


@every_learner
def test_what_was_learned_acts_without_d3rlpy(
    name: str, made: Path, untracked_config: ExperimentConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And without the dataset."""
    config = with_data(untracked_config, made, OFFLINE[name])
    learner, folder = lower.build(config), OutputFolder(tmp_path)
    learner.learn(32)
    agents.save(learner, folder.agent("lower"), config)
    for package in ("d3rlpy", "minari", "h5py"):
        monkeypatch.setitem(sys.modules, package, None)
    elsewhere = with_data(untracked_config, "nowhere", OFFLINE[name])
    observed = np.random.default_rng(0).random((4, learner.module.form.n_observed)).astype(np.float32)  # type: ignore[attr-defined]
    kept = agents.load_lower(folder, elsewhere)
    assert_array_equal(kept.start(4).act(observed), learner.actor.start(4).act(observed))


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "no_data": ({"data": ""}, r"lower.data must be the folder of a dataset \(made by metabalance dataset\), got nothing"),
    "nowhere": ({"data": "nowhere"}, "lower.data must be a dataset that can be read .*nowhere"),
}


@pytest.mark.parametrize(("settings", "said"), REFUSED.values(), ids=REFUSED)
def test_what_is_not_there_is_refused_before_anything_is_written(
    make: Any, tmp_path: Path, untracked_config: ExperimentConfig, settings: dict[str, Any], said: str
) -> None:
    config = with_data(untracked_config, **settings)
    with pytest.raises(SettingError, match=said):
        train_lower(make(lower=config.lower))
    assert not list(tmp_path.iterdir())


def test_data_of_another_world_are_refused(
    make: Any, made: Path, untracked_config: ExperimentConfig, tmp_path: Path
) -> None:
    other = lasting(untracked_config, 16, levels=[0.0, 1.0, 1.5, 3.0])
    said = r"^lower\.data\.levels must be 0.0, 1.0, 1.5, 3.0, as in the world to learn for, got 0.0, 1.0, 1.5, 2.0$"
    with pytest.raises(SettingError, match=said):
        train_lower(make(env=other.env, lower=with_data(other, made).lower))
    with pytest.raises(SettingError, match=r"^data\.levels must be"):
        lower.build(with_data(other, made))
    assert not list(tmp_path.iterdir())


def test_data_of_another_base_rule_are_refused(untracked_config: ExperimentConfig, tmp_path: Path) -> None:
    """Numbers that are still to be found are others."""
    guided = lasting(untracked_config, 16, mode="guided")
    known = numbered(guided)
    data = with_data(known, of_rule(known, tmp_path / "made")).lower
    data.check_data(known.env)
    with pytest.raises(SettingError, match=r"^data\.base_rule must be that of the world, .* numbers to be found"):
        data.check_data(guided.env)


def test_an_agent_without_a_hierarchy_is_refused(make: Any, made: Path, untracked_config: ExperimentConfig) -> None:
    config = with_data(untracked_config, made)
    with pytest.raises(SettingError, match=r"algorithm must be another for an agent without a hierarchy"):
        config.lower.build(lower.vec_env(config), 0, contextual=False)
    with pytest.raises(SettingError, match=r"algorithm must be another for an agent without a hierarchy"):
        flat.build(config)
    with pytest.raises(SettingError, match=r"lower\.algorithm must be another for an agent without a hierarchy"):
        train(make(lower=config.lower, ablation=dataclasses.replace(config.ablation, flat=True)))


@pytest.mark.parametrize(
    ("space", "said"),
    [
        (spaces.MultiDiscrete([5] * 8), "at most 1,000 combinations .* has 390,625"),
        (spaces.Box(0.0, 1.0, (2,), np.float32), "has numbers"),
    ],
)
def test_many_actions_are_refused(space: Any, said: str) -> None:
    with pytest.raises(SettingError, match=f"algorithm must be another unless actions are choices with {said}|{said}"):
        CQLConfig().check_world(0, space)
    CQLConfig().check_world(0, spaces.MultiDiscrete([10, 10, 10]))
    CQLConfig().check_world(0, spaces.Discrete(41))


@every_learner
def test_without_d3rlpy_the_extra_is_named(
    name: str, made: Path, untracked_config: ExperimentConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = with_data(untracked_config, made, OFFLINE[name])
    env = lower.vec_env(config)
    monkeypatch.setattr(extras, "find_spec", lambda name: None)
    with pytest.raises(SettingError, match=rf"algorithm must be one whose packages are installed .*offline.*, got {name}"):
        config.lower.check_world(0, spaces.Discrete(3))
    with pytest.raises(SettingError, match=r"metabalance\[offline\]"):
        config.lower.build(env, 0)


def test_constraints_change_nothing_of_what_it_observes(untracked_config: ExperimentConfig, made: Path) -> None:
    """Costs are on record beside, and no learner from a dataset keeps to a bound."""
    env = dataclasses.replace(untracked_config.env, constraints=Constraints(late=0.1))
    learner = lower.build(with_data(dataclasses.replace(untracked_config, env=env), made))
    learner.learn(32)
    without = lower.build(with_data(untracked_config, made))
    forms = [one.saved("agent").description["form"] for one in (learner, without)]
    assert forms[0] == forms[1]


def test_the_form_holds_what_can_be() -> None:
    assert form(history=2, normalise=True).preprocessing == Preprocessing(2, 2, True)
    with pytest.raises(SettingError, match="n_terms must be <= n_observed"):
        form(n_terms=9)
    with pytest.raises(SettingError, match="action must be choices with at most 1,000 combinations"):
        form(action=dataclasses.replace(form().action, sizes=[40, 40]))
