"""What an upper agent remembers of windows is the same in training, in acting, from a file and in an exported model."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch as th
from numpy.testing import assert_allclose, assert_array_equal

import envs
from envs.core.simplex import to_simplex
from envs.core.validation import SettingError
from envs.load_balancing.objectives import Budget
from hierarchy.building import upper
from hierarchy.building.memory import fitted
from hierarchy.config import ExperimentConfig
from hierarchy.explaining.moves import move_of, recorded
from hierarchy.exporting.onnx import onnx_of
from hierarchy.exporting.sb3 import zips_of
from hierarchy.lower.acting import PolicyActor
from hierarchy.nets.models import PairModel
from hierarchy.nets.window_memory import MemoryForm, Recall, StackedWindows
from hierarchy.pair import Pair, Upper
from hierarchy.storage.bundle import Parts
from hierarchy.storage.saved import read_saved, write_saved
from hierarchy.upper import ALGORITHMS
from hierarchy.upper.memory.belief import BeliefConfig
from hierarchy.upper.memory.none import NoMemory
from hierarchy.upper.memory.of_world import unfitted
from hierarchy.upper.memory.stacked import StackedConfig
from hierarchy.upper.td3 import TD3Config

N_REGIMES, N_STACKED = 2, 3
MEMORIES = {"stacked": StackedConfig(n_windows=N_STACKED), "belief": BeliefConfig(n_regimes=N_REGIMES, fit_episodes=3)}
N_WINDOWS = 5


@pytest.fixture(params=MEMORIES)
def config(request: pytest.FixtureRequest, tiny_config: ExperimentConfig) -> ExperimentConfig:
    """The tiny settings with every memory."""
    return dataclasses.replace(tiny_config, upper=dataclasses.replace(tiny_config.upper, memory=MEMORIES[request.param]))


@pytest.fixture
def learner(config: ExperimentConfig, policy: PolicyActor) -> Any:
    """An agent that has learned a little."""
    made = upper.build(config, policy, memory=fitted(config, policy))
    made.learn(config.upper.meta_steps)
    return made


def width(config: ExperimentConfig) -> int:
    spec = envs.describe(config.env)
    return len(spec.observed) + spec.n_terms


def windows(config: ExperimentConfig, n: int, n_windows: int = N_WINDOWS) -> np.ndarray:
    """Random meta observations ``(n_windows, n, n_features)``."""
    return np.random.default_rng(0).normal(size=(n_windows, n, width(config))).astype(np.float32)


def test_a_stack_holds_the_last_windows_the_newest_last() -> None:
    recall = Recall(StackedWindows(MemoryForm("stacked", 1, 3)), 2)
    seen = [recall.observe(np.array([[n], [10 * n]], np.float32)) for n in (1, 2, 3, 4)]
    assert_array_equal(seen[0], [[0, 0, 1], [0, 0, 10]])
    assert_array_equal(seen[-1], [[2, 3, 4], [20, 30, 40]])
    recall.reset(np.array([True, False]))
    assert_array_equal(recall.observe(np.array([[5], [50]], np.float32)), [[0, 0, 5], [30, 40, 50]])


def test_an_agent_learns_from_what_it_will_observe_when_it_acts(config: ExperimentConfig, policy: PolicyActor) -> None:
    """Over the ends of episodes: observations of meta envs are those that memory makes of windows, the last ones too."""
    memory = fitted(config, policy)
    plain = upper.vec_env(dataclasses.replace(config, upper=dataclasses.replace(config.upper, memory=NoMemory())), policy)
    env = upper.vec_env(config, policy, memory=memory)
    recall = Recall(memory, config.upper.n_envs)
    for one in (plain, env):
        one.seed(5)
    assert_array_equal(env.reset(), recall.observe(plain.reset()))  # type: ignore[arg-type]
    rng, n_ends = np.random.default_rng(0), 0
    for _ in range(3 * config.upper.episode_windows):
        actions = rng.uniform(-1, 1, (config.upper.n_envs, 3)).astype(np.float32)
        (seen, reward, done, infos), (windows, expected, _, of_plain) = env.step(actions), plain.step(actions)
        assert_array_equal(reward, expected)
        last = np.stack([i.get("terminal_observation", w) for i, w in zip(of_plain, windows, strict=True)])  # type: ignore[arg-type]
        observed = recall.observe(last)
        if done.any():
            assert done.all()
            n_ends += 1
            assert_array_equal([info["terminal_observation"] for info in infos], observed)
            recall.reset()
            observed = recall.observe(windows)  # type: ignore[arg-type]
        assert_array_equal(seen, observed)
    assert n_ends == 3
    assert env.observation_space.shape == (seen.shape[1],)  # type: ignore[union-attr]


def test_contexts_are_those_of_the_network_over_what_is_remembered(config: ExperimentConfig, learner: Any) -> None:
    acting, recall = learner.actor.start(5), Recall(learner.actor.memory, 5)
    found = []
    for window in windows(config, 5):
        found.append(acting.act(window))
        action, _ = learner.agent.predict(recall.observe(window), deterministic=True)
        assert_allclose(found[-1], to_simplex(action), atol=1e-6)
    acting.reset()
    assert_array_equal(acting.act(windows(config, 5)[0]), found[0])
    assert (acting.act(windows(config, 5)[0]) != found[0]).any(), "what came before must matter for this to be a test"


def test_what_is_loaded_acts_alike_and_goes_on_from_a_state(config: ExperimentConfig, learner: Any, tmp_path: Path) -> None:
    """By way of a file, one env by one as in a batch."""
    write_saved(learner.saved("upper"), tmp_path / "upper.safetensors")
    loaded = config.upper.actor(read_saved(tmp_path / "upper.safetensors"))
    ours, theirs, alone = learner.actor.start(4), loaded.start(4), loaded.start(1)
    seen = windows(config, 4)
    for window in seen[:3]:
        assert_array_equal(theirs.act(window), ours.act(window))
        alone.act(window[2:3])
    later = loaded.start(4)
    later.set_state(theirs.get_state())
    for window in seen[3:]:
        expected = theirs.act(window)
        assert_array_equal(later.act(window), expected)
        assert_allclose(alone.act(window[2:3])[0], expected[2], atol=1e-6)
    acts = loaded.saved("upper", config.upper.algorithm)
    assert_array_equal(config.upper.actor(acts).start(4).act(seen[0]), loaded.start(4).act(seen[0]))


def test_a_pair_of_one_env_agrees_with_the_batch(config: ExperimentConfig, learner: Any, policy: PolicyActor) -> None:
    batch = upper.simulation(config, "evaluate", [0, 1, 2], N_WINDOWS)
    alone = upper.simulation(config, "evaluate", [1], N_WINDOWS)
    pairs = []
    for one in (alone, batch):
        one.reset()
        pairs.append(Pair(one.world, policy.start(one.n_envs), Upper(learner.actor.start(one.n_envs)), 4))
        pairs[-1].reset()
    while not batch.ended.all():
        weights, expected = pairs[0].decide(alone.measurements), pairs[1].decide(batch.measurements)
        assert_allclose(weights[0], expected[1], atol=1e-6)
        assert_allclose(pairs[0].context[0], pairs[1].context[1], atol=1e-6)
        alone.advance(expected[1:2])
        batch.advance(expected)


def test_another_agent_begins_from_it_with_what_it_was_fitted_to(
    config: ExperimentConfig, learner: Any, policy: PolicyActor
) -> None:
    other = upper.build(config, policy, seed=9)
    other.begin_from(learner.saved("upper"))
    for window in windows(config, 3):
        assert_array_equal(other.actor.start(3).act(window), learner.actor.start(3).act(window))
    other.learn(config.upper.meta_steps)
    plain = dataclasses.replace(config, upper=dataclasses.replace(config.upper, memory=NoMemory()))
    with pytest.raises(SettingError, match="agent whose networks have the same form"):
        upper.build(plain, policy).begin_from(learner.saved("upper"))


def test_windows_of_the_simulator_are_fitted_to_and_shared_with_nothing_trained(
    tiny_config: ExperimentConfig, policy: PolicyActor
) -> None:
    """A longer look at a world of two loads: the regimes that are found differ in the rate of arrivals."""
    memory = BeliefConfig(n_regimes=2, fit_episodes=8, statistics=["arrival_rate_hz"])
    settings = dataclasses.replace(tiny_config.upper, memory=memory, episode_windows=40, meta_period=20)
    workload = tiny_config.env.workload  # type: ignore[attr-defined]
    workload = dataclasses.replace(workload, regimes=dataclasses.replace(workload.regimes, mean_dwell_s=60.0))
    config = dataclasses.replace(tiny_config, upper=settings, env=dataclasses.replace(tiny_config.env, workload=workload))  # type: ignore[call-arg]
    one, same = fitted(config, policy), fitted(config, policy)
    assert one is not None
    assert same is not None
    assert all(a.equal(b) for a, b in zip(one.buffers(), same.buffers(), strict=True))
    slow, busy = np.expm1(one.mean[:, 0].numpy())  # type: ignore[operator,union-attr]
    assert busy / slow == pytest.approx(0.7 / 0.3, rel=0.25)
    stays = np.diag(one.moves.numpy())  # type: ignore[operator,union-attr]
    assert (stays > 0.5).all(), "regimes outlast a window"


def test_statistics_that_no_action_changes_tell_regimes_apart_unless_others_are_named(tiny_config: ExperimentConfig) -> None:
    world = envs.simulate(tiny_config.env, 1).world
    names = np.array(world.statistics.observed_names)

    def told_by(settings: BeliefConfig) -> list[str]:
        memory = unfitted(settings, world)
        assert memory is not None
        return names[memory.form.columns].tolist()  # type: ignore[no-any-return]

    assert told_by(BeliefConfig()) == ["arrival_rate_hz", "arrival_spread_hz", "interactive_share"]
    assert told_by(BeliefConfig(statistics=["utilisation"])) == ["utilisation"]
    with pytest.raises(SettingError, match=r"^upper.memory.statistics must be of arrival_rate_hz, .*, got rate$"):
        told_by(BeliefConfig(statistics=["rate"]))
    budget = dataclasses.replace(tiny_config.env, objective=Budget(share=0.5, span_s=1.0, day_s=4.0))
    assert (
        unfitted(BeliefConfig(), envs.simulate(budget, 1).world).form.columns == unfitted(BeliefConfig(), world).form.columns
    )  # type: ignore[union-attr]
    spark = envs.simulate(envs.SparkConfig(), 1).world
    everything = unfitted(BeliefConfig(), spark)
    assert everything is not None
    assert everything.form.columns == list(range(len(spark.statistics.observed_names)))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            {"memory": StackedConfig(n_windows=2), "meta_step": "episode"},
            "memory.kind must be none where a meta step is an episode",
        ),
        ({"memory": BeliefConfig(), "episode_windows": 2}, "episode_windows must be >= 3 with memory belief"),
    ],
)
def test_settings_that_leave_nothing_to_remember_are_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingError, match=said):
        TD3Config(**settings)


@pytest.mark.parametrize(("kind", "field", "value"), [("belief", "n_regimes", 1), ("stacked", "n_windows", 1)])
def test_one_regime_or_window_is_nothing_to_remember(kind: str, field: str, value: int) -> None:
    with pytest.raises(SettingError, match=rf"^{field} must be >= 2.*, got 1$"):
        dataclasses.replace(MEMORIES[kind], **{field: value})


def test_a_form_that_can_not_be_is_refused(config: ExperimentConfig, learner: Any) -> None:
    saved = learner.saved("upper")

    def with_memory(**changes: Any) -> Any:
        form = saved.description["form"]
        changed = {**form, "memory": {**form["memory"], **changes}}
        return config.upper.actor(saved._replace(description={**saved.description, "form": changed}))

    with pytest.raises(SettingError, match=r"^form.memory.kind must be one of stacked, belief, got none$"):
        with_memory(kind="none")
    with pytest.raises(
        SettingError, match=r"^form.context.sizes must be of \d+ entries observed with that memory, got \d+$"
    ):
        with_memory(size=7)
    with pytest.raises(SettingError, match=r"^form.memory.columns must be below n_features \(\d+\), got 999$"):
        with_memory(columns=[999])


@pytest.mark.parametrize("name", ALGORITHMS)
def test_every_algorithm_may_remember(name: str, config: ExperimentConfig, policy: PolicyActor) -> None:
    kind, given = ALGORITHMS[name], config.upper
    known = {one: getattr(given, one) for one in kind.__dataclass_fields__ if hasattr(given, one) and one != "algorithm"}
    config = dataclasses.replace(config, upper=kind(**known))
    learner: Any = upper.build(config, policy, memory=fitted(config, policy))
    learner.learn(config.upper.meta_steps)
    actor = config.upper.actor(learner.saved("upper"))
    assert_array_equal(actor.start(2).act(windows(config, 2)[0]), learner.actor.start(2).act(windows(config, 2)[0]))


def test_an_exported_model_remembers_likewise(config: ExperimentConfig, learner: Any) -> None:
    session = onnxruntime.InferenceSession(onnx_of(learner.actor))
    model, acting = learner.actor.model, learner.actor.start(7)
    remembered = model.examples["windows"].numpy()[:1].repeat(7, axis=0)
    keep = np.zeros((7, 1), np.float32)
    for window in windows(config, 7, 30):
        found, remembered = session.run(None, {"observation": window, "keep": keep, "windows": remembered})
        assert_allclose(found, acting.act(window), atol=1e-5)
        keep = np.ones((7, 1), np.float32)


def test_a_pair_of_tensors_remembers_windows_and_not_steps(
    config: ExperimentConfig, learner: Any, policy: PolicyActor
) -> None:
    """Over two episodes: what is remembered stands within a window, and is forgotten where an episode begins."""
    model = PairModel(policy.model, learner.actor.model, 3)
    inputs = {name: one[:1].repeat(3, *[1] * (one.ndim - 1)) for name, one in model.examples.items()}
    simulation = upper.simulation(config, "evaluate", [0, 1, 2], N_WINDOWS)
    simulation.reset()
    acting = learner.actor.start(3)
    pair = Pair(simulation.world, policy.start(3), Upper(acting), 4)
    contexts = set()
    for episode in range(2):
        simulation.reset()
        pair.reset()
        inputs |= {"keep": th.zeros(3, 1), "context": th.full((3, 3), 1 / 3)}
        window, lower = {}, pair._lower.act

        def act(observation: np.ndarray, lower: Any = lower, window: Any = window) -> Any:
            window["observation"] = observation
            return lower(observation)

        pair._lower.act = act  # type: ignore[method-assign]
        setter = pair._setter.contexts

        def observe(one: Any, setter: Any = setter, window: Any = window) -> Any:
            window["window"] = one.observation
            return setter(one)

        pair._setter.contexts = observe  # type: ignore[method-assign]
        while not simulation.ended.all():
            window.clear()
            setting = pair.decide(simulation.measurements)
            inputs["begins"] = th.full((3, 1), float("window" in window))
            if "window" in window:
                inputs["window"] = th.from_numpy(window["window"][:, :-3])
            inputs["observation"] = th.from_numpy(window["observation"][:, :-3])
            with th.no_grad():
                found = dict(zip(model.outputs, model(*inputs.values()), strict=True))
            assert_allclose(found["context"], pair.context, atol=1e-6)
            assert_allclose(found["next_windows"], acting.get_state()["remembered"], atol=1e-6)
            inputs |= {name.removeprefix("next_"): one for name, one in found.items() if name != "action"}
            inputs["keep"] = th.ones(3, 1)
            contexts.add(pair.context.tobytes())
            simulation.advance(setting)
        del pair._lower.act, pair._setter.contexts  # type: ignore[attr-defined]
        assert episode < 2
    assert len(contexts) > 3


def test_no_zip_holds_a_memory(config: ExperimentConfig, learner: Any) -> None:
    saved = learner.saved("upper")
    with pytest.raises(SettingError, match=r"^format must be bundle or onnx for an upper agent that remembers windows"):
        zips_of(Parts(saved, saved, {}, Path()), config)


def test_what_moved_the_mix_is_told_of_what_is_remembered_too(config: ExperimentConfig, learner: Any) -> None:
    seen, spec = windows(config, 1)[:, 0], envs.describe(config.env)
    acting = learner.actor.start(1)
    contexts = np.concatenate([acting.act(one[None]) for one in seen])

    class Told:
        observations, features = seen[:, None], 2 * seen[:, None]

    Told.contexts = contexts[:, None]  # type: ignore[attr-defined]
    episode = recorded(Told)  # type: ignore[arg-type]
    whole = move_of(learner.actor, spec, episode, 3, n_parts=10_000)
    assert_allclose(np.sum([part["share"] for part in whole["parts"]], axis=0), contexts[3] - contexts[2], atol=1e-3)
    told = {part["name"]: part for part in whole["parts"]}
    assert len(told) == len(whole["parts"]) == learner.agent.observation_space.shape[0]
    name = spec.observed[0]
    assert told[name]["after"] == pytest.approx(2 * seen[3, 0])
    if config.upper.memory.kind == "stacked":
        assert told[f"{name} 2 before"]["after"] == pytest.approx(2 * seen[1, 0])
    else:
        assert sum(told[f"belief/{n}"]["after"] for n in range(N_REGIMES)) == pytest.approx(1.0)
