"""Renaming the parts renames what is done to them, and parts that aren't there change nothing."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch as th
from gymnasium import spaces
from policies import assert_close
from stable_baselines3.common.vec_env.base_vec_env import VecEnvObs, VecEnvStepReturn

import envs
from envs.compose import BatchEnv
from envs.load_balancing.config import ServerPool
from hierarchy import experiment as experiments
from hierarchy import lower
from hierarchy.config import ExperimentConfig, LowerConfig
from hierarchy.equivariant import EquivariantLstmPolicy, PartEncoder, fitted, standing
from hierarchy.experiment import Experiment, NotTrainedError
from hierarchy.progress import Silent
from hierarchy.recurrent import FusedLstmPolicy, Memories
from hierarchy.recurrent_ppo import FusedRecurrentPPO
from hierarchy.sequences import Minibatch
from hierarchy.vec_env import ArrayVecEnv

N_PARTS, N_FEATURES, N_TERMS, N_LEVELS, HIDDEN = 4, 6, 3, 5, 8
N_ENVS, N_STEPS = 7, 6
MARGIN = 1e-5
KWARGS: dict[str, Any] = {
    "net_arch": [HIDDEN],
    "lstm_hidden_size": HIDDEN,
    "features_extractor_class": PartEncoder,
    "features_extractor_kwargs": {"n_terms": N_TERMS, "features_dim": HIDDEN},
}


def seen_space(n_parts: int = N_PARTS, n_features: int = N_FEATURES, n_terms: int = N_TERMS) -> spaces.Box:
    return spaces.Box(-5.0, 20.0, (n_parts * n_features + n_terms,), np.float32)


def done_space(n_parts: int = N_PARTS, n_levels: int = N_LEVELS) -> spaces.MultiDiscrete:
    return spaces.MultiDiscrete([n_levels] * n_parts)


def fresh(n_parts: int = N_PARTS) -> EquivariantLstmPolicy:
    return EquivariantLstmPolicy(seen_space(n_parts), done_space(n_parts), lambda _: 1e-3, **KWARGS)


@pytest.fixture
def policy() -> EquivariantLstmPolicy:
    """With parameters that are large enough for everything to matter."""
    found, generator = fresh(), th.Generator().manual_seed(0)
    with th.no_grad():
        for parameter in found.parameters():
            parameter.copy_(0.5 * th.randn(parameter.shape, generator=generator))
    return found


def observed(rng: np.random.Generator, n: int = N_ENVS, n_parts: int = N_PARTS, share: float = 0.7) -> th.Tensor:
    """Observations ``(n, n_features)`` where that share of the parts is there, the first one always."""
    parts = rng.exponential(2.0, (n, n_parts, N_FEATURES))
    parts[..., 0] = 0.5  # the same for all
    parts[..., -1] = rng.random((n, n_parts)) < share
    parts[:, 0, -1] = 1.0
    return joined(parts, rng.dirichlet(np.ones(N_TERMS), n))


def joined(parts: np.ndarray, contexts: np.ndarray) -> th.Tensor:
    return th.from_numpy(np.concatenate([parts.reshape(len(parts), -1), contexts], axis=1).astype(np.float32))


def parts_of(observations: th.Tensor) -> np.ndarray:
    """``(n, n_parts, n_features)``, a copy."""
    return observations[:, :-N_TERMS].reshape(len(observations), -1, N_FEATURES).numpy().copy()


def renamed(observations: th.Tensor, order: np.ndarray) -> th.Tensor:
    return joined(parts_of(observations)[:, order], observations[:, -N_TERMS:].numpy())


def logits_of(parameters: th.Tensor) -> th.Tensor:
    """``(n, n_parts, n_levels)``."""
    return parameters.view(len(parameters), -1, N_LEVELS)


@th.no_grad()
def played(
    policy: EquivariantLstmPolicy, steps: list[th.Tensor], starts: np.ndarray | None = None
) -> tuple[th.Tensor, th.Tensor, list[Memories]]:
    """Logits ``(n_steps, n, n_parts, n_levels)``, values ``(n_steps, n)``, and the memories before every step."""
    memories = policy.no_memories(len(steps[0]))
    logits, values, before = [], [], []
    for n, observations in enumerate(steps):
        start = th.zeros(len(observations)) if starts is None else th.from_numpy(starts[n])
        before.append(memories)
        parameters, actor = policy.step_actor(observations, memories.actor, 1.0 - start[:, None])
        logits.append(logits_of(parameters))
        values.append(policy.values(observations, memories.critic, start))
        _, _, told, memories = policy.step(observations, memories, start)
        assert_close(told, values[-1])
        assert_close(memories.actor[0], actor[0])
    return th.stack(logits), th.stack(values), before


def steps_of(seed: int, n_steps: int = N_STEPS, **settings: Any) -> list[th.Tensor]:
    rng = np.random.default_rng(seed)
    return [observed(rng, **settings) for _ in range(n_steps)]


# Names of parts mean nothing.


@pytest.mark.parametrize("seed", range(5))
def test_renaming_parts_renames_logits_and_actions_and_keeps_values(policy: EquivariantLstmPolicy, seed: int) -> None:
    order = np.random.default_rng(seed).permutation(N_PARTS)
    steps = steps_of(seed)
    logits, values, _ = played(policy, steps)
    again, same, _ = played(policy, [renamed(step, order) for step in steps])
    assert_close(again, logits[:, :, order], MARGIN)
    assert_close(same, values, MARGIN)
    best = logits.topk(2, dim=-1).values
    clear = (best[..., 0] - best[..., 1] > MARGIN)[:, :, order]
    assert clear.float().mean() > 0.9
    assert th.equal(again.argmax(-1)[clear], logits.argmax(-1)[:, :, order][clear])
    assert (logits[:, :, 0] - logits[:, :, 1]).abs().mean() > 0.01  # parts differ, and so does what is done to them


def test_parts_that_are_alike_are_treated_alike(policy: EquivariantLstmPolicy) -> None:
    steps = steps_of(0)
    for step in steps:
        step[:, N_FEATURES : 2 * N_FEATURES] = step[:, :N_FEATURES]
    logits, _, _ = played(policy, steps)
    assert_close(logits[:, :, 0], logits[:, :, 1], MARGIN)


def test_rounding_does_not_tell_equal_parts_apart() -> None:
    value = th.from_numpy(np.random.default_rng(0).uniform(0.0, 20.0, (1, 100, 1)).astype(np.float32))
    stands = standing(value.expand(7, 100, 1), th.ones(7, 100, 1))
    assert stands.abs().max() < 1e-6


def minibatch_of(steps: list[th.Tensor], memories: Memories, actions: th.Tensor, lengths: list[int]) -> Minibatch:
    """Sequences of those lengths, side by side; padding repeats the first sample."""
    n_sequences = len(lengths)
    kept = th.tensor([[n < length for length in lengths] for n in range(max(lengths))])
    shown = th.stack(steps)[: max(lengths), :n_sequences].clone()
    shown[~kept] = shown[0, 0].clone()
    none = np.zeros(int(kept.sum()), np.float32)
    return Minibatch(
        observations=shown.flatten(end_dim=1),
        place=None if bool(kept.all()) else kept.flatten().nonzero()[:, 0],
        n_sequences=n_sequences,
        actor=memories.actor,
        critic=memories.critic,
        actions=actions[: max(lengths), :n_sequences][kept],
        old_log_prob=none,
        advantages=none,
        returns=none,
    )


def begun(policy: EquivariantLstmPolicy, n: int) -> Memories:
    """Memories in the middle of an episode."""
    _, _, before = played(policy, steps_of(9, 3, n=n))
    return before[-1]


def drawn(seed: int = 5) -> th.Tensor:
    """Actions ``(n_steps, n_envs, n_parts)``."""
    return th.from_numpy(np.random.default_rng(seed).integers(0, N_LEVELS, (N_STEPS, N_ENVS, N_PARTS)))


LENGTHS = [[6, 2, 4, 1], [5, 5, 5], [1]]


@pytest.mark.parametrize("lengths", LENGTHS, ids=str)
@th.no_grad()
def test_whole_sequences_are_judged_as_step_by_step(policy: EquivariantLstmPolicy, lengths: list[int]) -> None:
    steps, actions = steps_of(1), drawn()
    memories = begun(policy, len(lengths))
    found = policy.evaluate(minibatch_of(steps, memories, actions, lengths))
    values, log_prob, entropy = [], [], []
    for n in range(max(lengths)):
        alive, shown = th.tensor([n < length for length in lengths]), steps[n][: len(lengths)]
        parameters, _ = policy.step_actor(shown, memories.actor, th.ones(len(shown), 1))
        log_p = logits_of(parameters).log_softmax(-1)
        taken = actions[n, : len(shown), :, None]
        log_prob.append(log_p.gather(-1, taken).sum((1, 2))[alive])
        entropy.append(-(log_p.exp() * log_p).sum((1, 2))[alive])
        _, _, told, memories = policy.step(shown, memories, th.zeros(len(shown)))
        values.append(told[alive])
    for ours, expected in zip(found, (values, log_prob, entropy), strict=True):
        assert_close(ours, th.cat(expected))


@pytest.mark.parametrize("lengths", LENGTHS, ids=str)
@th.no_grad()
def test_renaming_parts_changes_nothing_in_an_update(policy: EquivariantLstmPolicy, lengths: list[int]) -> None:
    steps, actions, order = steps_of(2), drawn(), np.array([2, 0, 3, 1])
    memories = begun(policy, len(lengths))
    found = policy.evaluate(minibatch_of(steps, memories, actions, lengths))
    turned = [renamed(step, order) for step in steps]
    again = policy.evaluate(minibatch_of(turned, memories, actions[..., order], lengths))
    wrong = policy.evaluate(minibatch_of(turned, memories, actions, lengths))
    for ours, theirs in zip(again, found, strict=True):
        assert_close(ours, theirs)
    assert not th.allclose(wrong.log_prob, found.log_prob, atol=1e-3)


# Parts that aren't there.


@pytest.mark.parametrize("noise", [1.0, 1e3])
def test_what_an_absent_part_says_changes_nothing_for_others(policy: EquivariantLstmPolicy, noise: float) -> None:
    rng, steps, told = np.random.default_rng(3), steps_of(3), []
    for step in steps:
        parts = parts_of(step)
        absent = parts[..., -1] == 0
        said = noise * rng.normal(size=parts.shape)
        said[..., -1] = 0.0
        told.append(joined(np.where(absent[..., None], said, parts), step[:, -N_TERMS:].numpy()))
    there = th.from_numpy(np.stack([parts_of(step)[..., -1] > 0 for step in steps]))
    assert 0.1 < (~there).float().mean() < 0.5
    logits, values, _ = played(policy, steps)
    again, same, _ = played(policy, told)
    assert_close(again[there], logits[there], MARGIN)
    assert_close(same, values, MARGIN)
    assert again.isfinite().all()


def test_a_part_that_is_there_matters_to_the_others(policy: EquivariantLstmPolicy) -> None:
    steps = steps_of(4, 1, share=1.0)
    gone = steps[0].clone()
    gone[:, 2 * N_FEATURES - 1] = 0.0
    logits, values, _ = played(policy, steps)
    without, other, _ = played(policy, [gone])
    assert (logits - without)[:, :, [0, 2, 3]].abs().amax((0, 2, 3)).min() > 1e-3
    assert (values - other).abs().min() > 1e-3


def test_nothing_there_is_nothing_undefined(policy: EquivariantLstmPolicy) -> None:
    steps = steps_of(6)
    for step in steps:
        step[:, N_FEATURES - 1 : -N_TERMS : N_FEATURES] = 0.0
    logits, values, _ = played(policy, steps)
    assert logits.isfinite().all()
    assert values.isfinite().all()
    assert (policy.features_extractor(steps[0]) == 0).all()
    found = policy.evaluate(minibatch_of(steps, policy.no_memories(2), drawn(), [3, 2]))
    (found.values.sum() + found.log_prob.sum()).backward()
    assert all(parameter.grad is None or parameter.grad.isfinite().all() for parameter in policy.parameters())


# Other numbers of parts.


def test_no_parameter_knows_how_many_parts_there_are() -> None:
    shapes = [{name: value.shape for name, value in fresh(n).state_dict().items()} for n in (1, 4, 12)]
    assert shapes[0] == shapes[1] == shapes[2]


def test_the_same_parts_among_absent_ones_are_treated_the_same(policy: EquivariantLstmPolicy) -> None:
    n_parts, rng = 12, np.random.default_rng(7)
    other = fitted(policy, seen_space(n_parts), done_space(n_parts))
    steps, where = steps_of(7), rng.permutation(n_parts)[:N_PARTS]
    among = []
    for step in steps:
        parts = rng.exponential(2.0, (N_ENVS, n_parts, N_FEATURES))
        parts[..., -1] = 0.0
        parts[:, where] = parts_of(step)
        among.append(joined(parts, step[:, -N_TERMS:].numpy()))
    logits, values, _ = played(policy, steps)
    again, same, _ = played(other, among)
    assert_close(again[:, :, where], logits, MARGIN)
    assert_close(same, values, MARGIN)
    frozen = lower.FrozenLower(other, N_ENVS)
    for step, expected in zip(among, again, strict=True):
        action = frozen.act(step.numpy())
        np.testing.assert_array_equal(action, expected.argmax(-1))
        assert all(other.action_space.contains(one) for one in action)


def test_a_fitted_policy_is_a_copy(policy: EquivariantLstmPolicy) -> None:
    before = copy.deepcopy(policy.state_dict())
    other = fitted(policy, seen_space(2), done_space(2))
    with th.no_grad():
        for parameter in other.parameters():
            parameter.add_(1.0)
    assert all(th.equal(value, before[name]) for name, value in policy.state_dict().items())
    assert (policy.observation_space, policy.action_space) == (seen_space(), done_space())


@pytest.mark.parametrize(
    ("seen", "done", "line"),
    [
        (seen_space(6, N_FEATURES + 1), done_space(6), r"observation_space must have shape \(39,\) .*, got \(45,\)"),
        (seen_space(6, n_terms=2), done_space(6), r"observation_space must have shape \(39,\) .*, got \(38,\)"),
        (seen_space(6), done_space(5), r"observation_space must have shape \(33,\) .*, got \(39,\)"),
        (seen_space(6), done_space(6, 4), r"action_space must be a choice of 5 levels per part, got 4"),
        (seen_space(2), spaces.MultiDiscrete([5, 4]), r"action_space must be a choice of equally many levels per part, got"),
        (
            seen_space(),
            spaces.Box(0.0, 1.0, (4,)),
            r"action_space must be a choice of equally many levels per part, got Box",
        ),
    ],
    ids=["features", "context", "parts", "levels", "unequal", "box"],
)
def test_a_world_of_other_parts_is_refused(
    policy: EquivariantLstmPolicy, seen: spaces.Box, done: spaces.Space[Any], line: str
) -> None:
    with pytest.raises(ValueError, match=line) as raised:
        fitted(policy, seen, done)
    assert "\n" not in str(raised.value)


def test_an_observation_that_is_no_row_of_parts_is_refused() -> None:
    with pytest.raises(ValueError, match=r"observation_space must be 4 equal parts and 3 weights, got shape \(28,\)"):
        EquivariantLstmPolicy(spaces.Box(0.0, 1.0, (28,)), done_space(), lambda _: 1e-3, **KWARGS)


# Learning.


@th.no_grad()
def test_a_policy_that_begins_near_a_level_prefers_it_for_every_part() -> None:
    policy = fresh()
    policy.begin_near(np.full(N_PARTS, 3), 1.0)
    logits, _, _ = played(policy, steps_of(8))
    assert (logits.argmax(-1) == 3).all()
    others = logits.softmax(-1) / logits.softmax(-1)[..., 3:4]
    np.testing.assert_allclose(others[..., [0, 1, 2, 4]], np.exp(-1.0), atol=0.03)
    with pytest.raises(ValueError, match="action must be the same level for all parts, got"):
        policy.begin_near(np.array([1, 1, 2, 1]), 1.0)


def test_the_gradient_reaches_every_parameter(policy: EquivariantLstmPolicy) -> None:
    found = policy.evaluate(minibatch_of(steps_of(1), begun(policy, 4), drawn(), [6, 2, 4, 1]))
    (found.values.square().sum() + found.log_prob.sum()).backward()
    for name, parameter in policy.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


class Best(ArrayVecEnv):
    """Naming the level 1 for the part that has most, and 0 for others, is rewarded; parts come and go."""

    def __init__(self, n_envs: int) -> None:
        super().__init__(n_envs, seen_space(), done_space(n_levels=2))
        self._rng = np.random.default_rng(0)
        self.rewards: list[float] = []

    def _observe(self) -> np.ndarray:
        seen = observed(self._rng, self.num_envs)
        parts = parts_of(seen)
        most = (parts[..., 1] * parts[..., -1]).argmax(-1)
        self._wanted = np.arange(N_PARTS) == most[:, None]
        self._there = parts[..., -1] > 0
        return seen.numpy()

    def reset(self) -> VecEnvObs:
        return self._observe()

    def step_wait(self) -> VecEnvStepReturn:
        right = (self._actions == self._wanted) | ~self._there
        self.rewards.append(float(right.all(-1).mean()))
        done = self._rng.random(self.num_envs) < 0.1
        infos = [
            {"terminal_observation": seen, "TimeLimit.truncated": True} for seen in observed(self._rng, len(done)).numpy()
        ]
        return self._observe(), right.all(-1).astype(np.float32), done, infos


def agent_over(env: ArrayVecEnv, **settings: Any) -> FusedRecurrentPPO:
    wider = KWARGS | {"features_extractor_kwargs": {"n_terms": N_TERMS, "features_dim": 32}}
    arguments = {"n_steps": 32, "batch_size": 128, "n_epochs": 8, "learning_rate": 5e-3, "gamma": 0.5} | settings
    return FusedRecurrentPPO(EquivariantLstmPolicy, env, policy_kwargs=wider, seed=0, device="cpu", **arguments)


def test_training_finds_which_part_is_best_among_those_that_are_there() -> None:
    env = Best(16)
    agent = agent_over(env)
    before = copy.deepcopy(agent.policy.state_dict())
    agent.learn(16 * 32 * 20)
    assert all((value != before[name]).any() for name, value in agent.policy.state_dict().items())
    assert np.mean(env.rewards[:32]) < 0.4
    assert np.mean(env.rewards[-32:]) > 0.85


def test_a_saved_agent_acts_as_before(tmp_path: Path) -> None:
    agent = agent_over(Best(4), n_steps=16, batch_size=64)
    agent.learn(64)
    lower.save(agent, tmp_path / "lower.zip")
    again = lower.load(tmp_path / "lower.zip")
    assert isinstance(again.policy, EquivariantLstmPolicy)
    seen = observed(np.random.default_rng(0)).numpy()
    state, start = None, np.ones(N_ENVS, bool)
    frozen = lower.FrozenLower(again.policy, N_ENVS)
    for _ in range(3):
        action, state = agent.predict(seen, state, start, deterministic=True)
        np.testing.assert_array_equal(frozen.act(seen), action)
        start = np.zeros(N_ENVS, bool)


# As a setting.


@pytest.fixture
def equivariant_config(untracked_config: ExperimentConfig) -> ExperimentConfig:
    return dataclasses.replace(untracked_config, lower=dataclasses.replace(untracked_config.lower, policy="equivariant"))


def larger(config: ExperimentConfig, **telemetry: Any) -> ExperimentConfig:
    """With three servers for two."""
    pool = ServerPool(cores=[2, 1, 2], speed=[1.0, 1.0, 0.5], price_usd_per_h=[0.2, 0.1, 0.1], memory_gb=[4.0, 4.0, 4.0])
    seen = dataclasses.replace(config.env.telemetry, **telemetry)
    return dataclasses.replace(config, env=dataclasses.replace(config.env, pool=pool, telemetry=seen))


def test_the_setting_chooses_the_policy(untracked_config: ExperimentConfig, equivariant_config: ExperimentConfig) -> None:
    assert type(lower.build(untracked_config).policy) is FusedLstmPolicy
    agent = lower.build(equivariant_config)
    assert type(agent.policy) is EquivariantLstmPolicy
    agent.learn(64)
    with pytest.raises(ValueError, match=r"lower.policy must be one of joint, equivariant, got 'equal'"):
        LowerConfig(policy="equal")  # type: ignore[arg-type]


REFUSED = r"^lower.policy must be joint in a world without interchangeable parts, got equivariant$"


@pytest.mark.parametrize("mode", ["weights", "deltas"])
def test_a_world_without_a_choice_per_part_is_refused(equivariant_config: ExperimentConfig, mode: Any) -> None:
    actions = dataclasses.replace(equivariant_config.env.actions, mode=mode)
    env = dataclasses.replace(equivariant_config.env, actions=actions)
    with pytest.raises(ValueError, match=REFUSED):
        lower.build(dataclasses.replace(equivariant_config, env=env))


@pytest.mark.parametrize("n_parts", [0, 1, 3])
def test_a_world_without_as_many_parts_is_refused(n_parts: int) -> None:
    with pytest.raises(ValueError, match=REFUSED):
        lower.check_parts(n_parts, done_space(2))


def test_an_agent_runs_in_a_world_of_another_number_of_parts(
    equivariant_config: ExperimentConfig, tmp_path: Path, batch_of: Callable[..., BatchEnv]
) -> None:
    experiments.train_lower(Experiment(equivariant_config, tmp_path, "tiny", Silent()))
    moved = larger(equivariant_config)
    experiments.train_upper(Experiment(moved, tmp_path, "tiny", Silent()))
    policy, _ = experiments.saved_agents(Experiment(moved, tmp_path, "tiny", Silent()))
    trained = lower.load(tmp_path / "lower.zip").policy.state_dict()
    assert all(th.equal(value, trained[name]) for name, value in policy.state_dict().items())
    assert policy.action_space == envs.make(moved.env, 1).action_space
    found = experiments.ablate(Experiment(moved, tmp_path, "tiny", Silent()))
    assert found["arms"]["td3"] is not None


def test_an_agent_is_refused_where_parts_have_other_features(equivariant_config: ExperimentConfig, tmp_path: Path) -> None:
    experiments.train_lower(Experiment(equivariant_config, tmp_path, "tiny", Silent()))
    other = larger(equivariant_config, ground_truth=True)
    with pytest.raises(NotTrainedError, match=r"lower.zip must be trained for .*: observation_space must have shape"):
        experiments.saved_agents(Experiment(other, tmp_path, "tiny", Silent()))


def test_a_joint_agent_is_still_refused(untracked_config: ExperimentConfig, tmp_path: Path) -> None:
    experiments.train_lower(Experiment(untracked_config, tmp_path, "tiny", Silent()))
    with pytest.raises(NotTrainedError, match=r"lower.zip must be trained for observations and actions"):
        experiments.train_upper(Experiment(larger(untracked_config), tmp_path, "tiny", Silent()))
