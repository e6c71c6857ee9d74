"""Every algorithm of teams learns, goes on from where it was saved to the last bit, and acts alike in a batch or alone."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch as th
from numpy.testing import assert_allclose, assert_array_equal

from envs.core.arrays import Array
from envs.core.state import Tree, flatten
from envs.core.team import TeamEnv
from envs.core.validation import SettingError
from hierarchy.protocols import Observer
from hierarchy.storage.saved import read_saved, write_saved
from hierarchy.storage.values import Values
from hierarchy.team import TEAM_ALGORITHMS
from hierarchy.team.protocols import TeamAlgorithm, TeamLearner, TrainedTeam
from hierarchy.team.replaying import ReplayConfig
from tests.hierarchy.team.settings import WORLDS, cases, tiny, worlds_of

ROOT = Path(__file__).resolve().parents[3]
N_ENVS = 4
CASES = cases()


@pytest.fixture(params=CASES, ids=["-".join([name, world, *map(str, changes.values())]) for name, changes, world in CASES])
def case(request: pytest.FixtureRequest) -> tuple[TeamAlgorithm, str]:
    name, changes, world = request.param
    return tiny(name, **changes), world


@pytest.fixture
def config(case: tuple[TeamAlgorithm, str]) -> TeamAlgorithm:
    return case[0]


@pytest.fixture
def world(case: tuple[TeamAlgorithm, str]) -> str:
    return case[1]


def env_of(world: str, n_envs: int = N_ENVS) -> TeamEnv:
    return WORLDS[world](n_envs)


def learned(learner: TeamLearner) -> dict[str, Array]:
    return dict(learner.saved("team").arrays)


def moves(tree: Tree) -> dict[str, Any]:
    return {name: np.array(value) for name, value in flatten(tree).items()}


def assert_same(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert one.keys() == other.keys()
    for name, value in one.items():
        assert_array_equal(value, other[name], err_msg=name)


def observations(env: TeamEnv, n_steps: int = 5) -> Array:
    (n_features,) = env.spec.observation_space.shape
    shape = (n_steps, env.n_envs, env.spec.n_agents, n_features)
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def actions(actor: TrainedTeam, seen: Array) -> Array:
    """What is done in envs of which the first begins anew before the third step."""
    acting, done = actor.start(seen.shape[1]), []
    for at, observation in enumerate(seen):
        if at == 2:
            acting.reset(np.arange(seen.shape[1]) == 0)
        done.append(acting.act(observation))
    return np.array(done)


def test_training_changes_what_acts(config: TeamAlgorithm, world: str) -> None:
    learner = config.build(env_of(world), 0)
    before = learned(learner)
    learner.learn(config.timesteps)
    after = learned(learner)
    assert config.timesteps <= learner.n_steps < 2 * config.timesteps
    assert before.keys() == after.keys()
    assert all(np.isfinite(one).all() for one in after.values())
    networks = [name for name in after if name.startswith("acting.network")]
    assert networks
    assert any((before[name] != after[name]).any() for name in networks)


def test_actions_are_those_of_the_space(config: TeamAlgorithm, world: str) -> None:
    env = env_of(world)
    done = actions(config.build(env, 0).actor, observations(env))
    for action in done.reshape(-1, *env.spec.action_space.shape):
        assert env.spec.action_space.contains(np.asarray(action, env.spec.action_space.dtype)[()])


def test_same_seed_same_bits_whatever_torch_has_drawn(config: TeamAlgorithm, world: str) -> None:
    found = []
    for seed, drawn in ((0, 1), (0, 2), (1, 1)):
        th.manual_seed(drawn)
        learner = config.build(env_of(world), seed)
        learner.learn(config.timesteps)
        found.append(moves(learner.get_state()))
    assert_same(found[0], found[1])
    assert any((found[0][name] != found[2][name]).any() for name in found[0] if name.startswith("learned/acting"))


@pytest.mark.parametrize("stopped_at", [8, 28])
def test_training_goes_on_to_the_last_bit(config: TeamAlgorithm, world: str, stopped_at: int, tmp_path: Path) -> None:
    """From the warm-up, and from the middle: what is written before a rollout and read leads to where training leads."""

    class Keep(Observer):
        def on_rollout(self, n_steps: int) -> None:
            if n_steps >= stopped_at and not list(tmp_path.iterdir()):
                Values().write(learner.get_state(), tmp_path / "state")

    learner = config.build(env_of(world), 0)
    learner.learn(config.timesteps, Keep())
    other = config.build(env_of(world), 7)
    other.set_state(Values().read(tmp_path / "state"))
    assert stopped_at <= other.n_steps < config.timesteps
    other.learn(config.timesteps - other.n_steps)
    assert_same(moves(other.get_state()), moves(learner.get_state()))


def test_a_state_is_a_copy(config: TeamAlgorithm, world: str) -> None:
    learner = config.build(env_of(world), 0)
    learner.learn(24)
    state = learner.get_state()
    before = {name: value.copy() for name, value in moves(state).items()}
    learner.learn(8)
    assert_same(moves(state), before)


def test_a_batch_acts_as_its_envs_do_one_by_one(config: TeamAlgorithm, world: str) -> None:
    """Up to rounding, since products of other sizes add up in another order; choices don't change by it here."""
    env = env_of(world)
    learner = config.build(env, 0)
    learner.learn(config.timesteps)
    seen = observations(env)
    together = actions(learner.actor, seen)
    first = actions(learner.actor, seen[:, :1])
    assert_allclose(together[:, :1], first, rtol=1e-5, atol=1e-4)
    for env_id in range(1, N_ENVS):
        acting = learner.actor.start(1)
        alone = np.array([acting.act(one[env_id : env_id + 1]) for one in seen])
        assert_allclose(together[:, env_id : env_id + 1], alone, rtol=1e-5, atol=1e-4)


def test_what_acts_goes_on_from_a_state(config: TeamAlgorithm, world: str) -> None:
    env = env_of(world)
    actor, seen = config.build(env, 0).actor, observations(env)
    acting = actor.start(N_ENVS)
    acting.act(seen[0])
    state = acting.get_state()
    expected = [acting.act(seen[1]), acting.act(seen[2])]
    other = actor.start(N_ENVS)
    other.set_state(state)
    assert_array_equal([other.act(seen[1]), other.act(seen[2])], expected)


def test_a_saved_team_acts_and_learns_on(config: TeamAlgorithm, world: str, tmp_path: Path) -> None:
    env = env_of(world)
    learner = config.build(env, 0)
    learner.learn(config.timesteps)
    write_saved(learner.saved("team"), tmp_path / "team.safetensors")
    saved, seen = read_saved(tmp_path / "team.safetensors"), observations(env)
    assert saved.description == json.loads(json.dumps(saved.description))
    trained = config.actor(saved)
    assert_array_equal(actions(trained, seen), actions(learner.actor, seen))
    assert_array_equal(actions(config.actor(trained.saved("team", config.algorithm)), seen), actions(trained, seen))
    other = config.build(env_of(world), 3)
    other.begin_from(saved)
    assert_same(learned(other), learned(learner))
    other.learn(config.timesteps)
    for name in ("acting.standard.mean", "acting.standard.std", "reward.std"):
        assert_array_equal(learned(other)[name], learned(learner)[name])  # scales belong to what was learned under them


def test_a_team_begins_from_what_acts_alone_and_what_follows_it_follows(config: Any, world: str) -> None:
    """Scales of what it observes belong to it; those of what it does not have are measured."""
    learner = config.build(env_of(world), 0)
    learner.learn(config.timesteps)
    saved: Any = learner.actor.saved("team", config.algorithm)
    other: Any = config.build(env_of(world), 3)
    other.begin_from(saved)
    targets = [name for name, _ in other.loss.named_children() if name.startswith("target_")]
    assert bool(targets) == isinstance(config, ReplayConfig)
    for name in targets:
        followed = getattr(other.loss, name.removeprefix("target_")).flatten_keys()
        for key, value in getattr(other.loss, name).flatten_keys().items():
            assert_array_equal(value.detach(), followed[key].detach(), err_msg=f"{name} {key}")
    rest: Any = config.build(env_of(world), 3)
    rest.set_state(other.get_state())
    for one in (rest, other):
        one.learn(config.timesteps)
    assert_same(learned(other), learned(rest))
    assert_array_equal(learned(other)["acting.standard.std"], saved.arrays["acting.standard.std"])
    assert (learned(other)["reward.std"] != 1.0).any(), "is measured"


def test_a_team_of_another_algorithm_or_world_is_refused(config: TeamAlgorithm, world: str) -> None:
    learner = config.build(env_of(world), 0)
    saved = learner.saved("team.safetensors")
    (other, *_) = (name for name in TEAM_ALGORITHMS if name != config.algorithm)
    with pytest.raises(
        SettingError, match=rf"^algorithm must be {config.algorithm}, that of team.safetensors, got {other}$"
    ):
        tiny(other).actor(saved)
    trained = config.actor(saved)
    assert trained.fitted(env_of(world).spec) is trained
    for name in WORLDS:
        if name != world:
            with pytest.raises(ValueError, match=r"^(agents|features|actions) of the team must be .*, got "):
                trained.fitted(env_of(name).spec)
    for name in worlds_of(config):
        if name != world:
            with pytest.raises(SettingError, match=r"^team.safetensors must be an agent whose networks have the same form"):
                config.build(env_of(name), 0).begin_from(saved)


def test_a_damaged_team_is_refused(config: TeamAlgorithm, world: str) -> None:
    saved = config.build(env_of(world), 0).saved("team")
    name = next(one for one in saved.arrays if one.startswith("acting.network"))
    without = {key: value for key, value in saved.arrays.items() if key != name}
    with pytest.raises(
        SettingError, match=rf"^team must be the parameters of its networks and no others, got without {name}$"
    ):
        config.actor(saved._replace(arrays=without))
    huge = {**saved.description["form"], "hidden_size": 10**7}
    with pytest.raises(SettingError, match=r"^team must be "):
        config.actor(saved._replace(description={**saved.description, "form": huge}))


def test_a_model_does_what_acts_does(config: TeamAlgorithm, world: str) -> None:
    env = env_of(world)
    learner = config.build(env, 0)
    learner.learn(config.timesteps)
    model, acting = learner.actor.model, learner.actor.start(N_ENVS)
    seen = observations(env, 1)[0]
    expected = acting.act(seen)
    window = th.from_numpy(acting.get_state()["window"])
    assert window.shape[1:] == model.examples["window"].shape[1:]
    assert_allclose(model(window).detach(), expected, rtol=1e-5)
    assert len(model.outputs) == 1


@pytest.mark.parametrize("name", TEAM_ALGORITHMS)
def test_a_missing_library_is_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hierarchy.extras.find_spec", lambda package: None)
    config = tiny(name)
    env = env_of(worlds_of(config)[0])
    message = rf"^algorithm must be one whose packages are installed \(pip install 'metabalance\[team\]'\), got {name}$"
    with pytest.raises(SettingError, match=message):
        config.build(env, 0)
    with pytest.raises(SettingError, match=message):
        config.actor(None)  # type: ignore[arg-type]  # nothing is read of it


def test_settings_cost_no_torchrl() -> None:
    code = "import sys, hierarchy, hierarchy.team; print(sorted({'torch', 'torchrl', 'tensordict'} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True)
    assert found.stdout == "[]\n"


@pytest.mark.parametrize(
    ("name", "world", "message"),
    [
        ("qmix", "pricing", "action_space must be Discrete or MultiDiscrete for qmix, got Box"),
        ("vdn", "pricing", "action_space must be Discrete or MultiDiscrete for vdn, got Box"),
        ("joint_q", "pricing", "action_space must be Discrete or MultiDiscrete for joint_q, got Box"),
        ("maddpg", "climbing", "action_space must be a Box for maddpg, got Discrete"),
        ("iddpg", "levels", "action_space must be a Box for iddpg, got MultiDiscrete"),
    ],
)
def test_actions_that_an_algorithm_has_no_form_for_are_refused(name: str, world: str, message: str) -> None:
    with pytest.raises(SettingError) as caught:
        tiny(name).build(env_of(world), 0)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["qmix", "vdn", "joint_q"])
def test_a_value_of_the_team_is_of_its_reward(name: str) -> None:
    with pytest.raises(SettingError, match=r"^reward must be (one of )?team, got 'own'$"):
        tiny(name, reward="own")
