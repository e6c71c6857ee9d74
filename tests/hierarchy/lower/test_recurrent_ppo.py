"""Training is that of stock sb3-contrib: same minibatches, same gradients, same weights, and it learns as well."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch as th
from gymnasium import spaces
from numpy.typing import NDArray
from sb3_contrib import RecurrentPPO
from sb3_contrib.common.recurrent.type_aliases import RNNStates
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.vec_env.base_vec_env import VecEnvObs, VecEnvStepReturn

from hierarchy.lower.fused_ppo import FusedRecurrentPPO
from hierarchy.nets.recurrent import FusedLstmPolicy
from hierarchy.vec_env import ArrayVecEnv
from tests.hierarchy.nets.policies import ACTIONS, HIDDEN, N_FEATURES, assert_close, observation_space

GAMMA = 0.9


class Wandering(ArrayVecEnv):
    """Random observations and rewards; episodes end by themselves or by a time limit, at random."""

    def __init__(self, n_envs: int, action_space: spaces.Space[Any], end_probability: float = 0.1) -> None:
        super().__init__(n_envs, observation_space(), action_space)
        self._rng, self._end_probability = np.random.default_rng(0), end_probability
        self.rewards: list[NDArray[np.float32]] = []
        self.cut: list[NDArray[np.bool_]] = []
        self.last: list[NDArray[np.float32]] = []

    def _observe(self) -> NDArray[np.float32]:
        return self._rng.normal(size=(self.num_envs, N_FEATURES)).astype(np.float32)

    def reset(self) -> VecEnvObs:
        return self._observe()

    def step_wait(self) -> VecEnvStepReturn:
        done = self._rng.random(self.num_envs) < self._end_probability
        cut = done & (self._rng.random(self.num_envs) < 0.5)
        last, rewards = self._observe(), self._rng.normal(size=self.num_envs).astype(np.float32)
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        for env in np.flatnonzero(done):
            infos[env] = {"terminal_observation": last[env], "TimeLimit.truncated": bool(cut[env])}
        self.rewards.append(rewards.copy())
        self.cut.append(cut)
        self.last.append(last)
        return self._observe(), rewards, done, infos


class Silent(BaseCallback):
    def _on_step(self) -> bool:
        return True


def agents(
    n_envs: int, n_steps: int, batch_size: int, action_space: spaces.Space[Any], hidden: int = HIDDEN, n_epochs: int = 3
) -> tuple[RecurrentPPO, FusedRecurrentPPO]:
    """Stock and ours with the same weights."""
    settings: dict[str, Any] = {
        "n_steps": n_steps,
        "batch_size": batch_size,
        "n_epochs": n_epochs,
        "gamma": GAMMA,
        "gae_lambda": 0.8,
        "ent_coef": 0.01,
        "learning_rate": 1e-3,
        "policy_kwargs": {"net_arch": [hidden], "lstm_hidden_size": hidden},
        "seed": 0,
        "device": "cpu",
    }
    env = Wandering(n_envs, action_space)
    stock, ours = RecurrentPPO("MlpLstmPolicy", env, **settings), FusedRecurrentPPO(FusedLstmPolicy, env, **settings)
    ours.policy.load_state_dict(stock.policy.state_dict())
    for agent in (stock, ours):
        agent.set_logger(Logger(None, []))
    return stock, ours


def collect(agent: FusedRecurrentPPO) -> Wandering:
    _, callback = agent._setup_learn(10**6, Silent())
    assert agent.env is not None
    agent.collect_rollouts(agent.env, callback, agent.rollout_buffer, agent.n_steps)
    assert isinstance(agent.env, Wandering)
    return agent.env


def same_minibatches(ours: FusedRecurrentPPO, stock: RecurrentPPO) -> None:
    """Let the stock buffer go through its samples in the order that ours draws."""
    theirs = stock.rollout_buffer

    def get(batch_size: int | None = None) -> Iterator[Any]:
        n_steps, n_envs = ours.rollout_buffer.n_steps, ours.rollout_buffer.n_envs
        order = (np.random.permutation(n_envs)[:, None] * n_steps + np.arange(n_steps)).ravel()  # noqa: NPY002
        env_change = (np.arange(len(order)) % n_steps == 0).astype(np.float32)[:, None]
        assert batch_size is not None
        for start in range(0, len(order), batch_size):
            yield theirs._get_samples(order[start : start + batch_size], env_change)

    theirs.get = get  # type: ignore[method-assign]


def hand_over(ours: FusedRecurrentPPO, stock: RecurrentPPO) -> None:
    """Give the stock agent our rollout, step by step, as its own loop would."""
    mine, theirs = ours.rollout_buffer, stock.rollout_buffer
    theirs.reset()
    for n in range(mine.n_steps):
        states = [th.from_numpy(part[n])[None] for part in mine.memory]
        theirs.add(
            mine.observations[n],
            mine.actions[n],
            mine.rewards[n],
            mine.starts[n],
            th.from_numpy(mine.values[n]),
            th.from_numpy(mine.log_prob[n]),
            lstm_states=RNNStates((states[0], states[1]), (states[2], states[3])),
        )
    assert isinstance(ours._last_obs, np.ndarray)
    dones = np.asarray(ours._last_episode_starts)
    critic = tuple(part[None] for part in ours.memory[2:])
    with th.no_grad():
        last = stock.policy.predict_values(th.from_numpy(ours._last_obs), critic, th.from_numpy(dones.astype(np.float32)))
    theirs.compute_returns_and_advantage(last, dones)
    same_minibatches(ours, stock)


def train_alike(*agents: RecurrentPPO) -> None:
    for agent in agents:
        if not isinstance(agent, FusedRecurrentPPO):
            next(type(agent.rollout_buffer).get(agent.rollout_buffer, agent.batch_size))  # puts the rollout in its order
        np.random.seed(7)  # noqa: NPY002  # SB3 draws its minibatches from it
        agent.train()


SHAPES = [(4, 16, 16), (4, 16, 32), (3, 10, 7), (2, 8, 16), (1, 30, 12)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("actions", ACTIONS)
def test_one_update_leaves_the_weights_of_the_stock_agent(shape: tuple[int, int, int], actions: str) -> None:
    stock, ours = agents(*shape, ACTIONS[actions])
    before = {name: value.clone() for name, value in ours.policy.state_dict().items()}
    collect(ours)
    hand_over(ours, stock)
    train_alike(stock, ours)
    moved = ours.policy.state_dict()
    for name, value in stock.policy.state_dict().items():
        assert_close(moved[name], value, 1e-4)
        assert (value != before[name]).any()
    for name in ("loss", "policy_gradient_loss", "value_loss", "entropy_loss", "approx_kl", "clip_fraction"):
        told = [agent.logger.name_to_value[f"train/{name}"] for agent in (ours, stock)]
        assert told[0] == pytest.approx(told[1], abs=1e-4), name


def test_one_update_at_full_size_leaves_the_weights_of_the_stock_agent() -> None:
    stock, ours = agents(8, 256, 128, spaces.MultiDiscrete([4] * 4), hidden=64, n_epochs=2)
    collect(ours)
    hand_over(ours, stock)
    train_alike(stock, ours)
    for name, value in stock.policy.state_dict().items():
        assert_close(ours.policy.state_dict()[name], value, 1e-4)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_advantages_and_returns_are_those_of_the_stock_buffer(shape: tuple[int, int, int]) -> None:
    stock, ours = agents(*shape, ACTIONS["levels"])
    collect(ours)
    hand_over(ours, stock)
    np.testing.assert_allclose(ours.advantages(ours.rollout_buffer), stock.rollout_buffer.advantages, atol=1e-5)
    np.testing.assert_allclose(ours.rollout_buffer.returns, stock.rollout_buffer.returns, atol=1e-5)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_an_epoch_holds_every_sample_once_and_in_sequence(shape: tuple[int, int, int]) -> None:
    n_envs, n_steps, batch_size = shape
    _, ours = agents(*shape, ACTIONS["levels"])
    collect(ours)
    buffer = ours.rollout_buffer
    buffer.log_prob[:] = np.arange(n_envs) * n_steps + np.arange(n_steps)[:, None]
    seen = []
    for minibatch in buffer.minibatches(batch_size):
        samples = minibatch.old_log_prob.astype(int)
        env, step = np.divmod(samples, n_steps)
        seen += samples.tolist()
        place = np.arange(len(samples)) if minibatch.place is None else minibatch.place.numpy()
        np.testing.assert_array_equal(minibatch.observations[place].numpy(), buffer.observations[step, env])
        at = dict(zip(place.tolist(), samples.tolist(), strict=True))
        for here, sample in at.items():
            if here >= minibatch.n_sequences:
                assert at[here - minibatch.n_sequences] == sample - 1
                assert sample % n_steps > 0
                assert buffer.starts[sample % n_steps, sample // n_steps] == 0
        assert len(place) == len(minibatch.observations) or minibatch.place is not None
    assert sorted(seen) == list(range(n_envs * n_steps))


def test_only_episodes_cut_off_by_a_time_limit_go_on_to_be_valued() -> None:
    stock, ours = agents(4, 40, 16, ACTIONS["levels"])
    env = collect(ours)
    buffer, n_cut = ours.rollout_buffer, 0
    for n in range(buffer.n_steps - 1):
        for i in range(4):
            extra = 0.0
            if env.cut[n][i]:
                n_cut += 1
                critic = tuple(th.from_numpy(part[n + 1, i])[None, None] for part in buffer.memory[2:])
                with th.no_grad():
                    value = stock.policy.predict_values(th.from_numpy(env.last[n][i : i + 1]), critic, th.zeros(1))
                extra = GAMMA * float(value)
            assert buffer.rewards[n, i] == pytest.approx(env.rewards[n][i] + extra, abs=1e-5)
    assert n_cut > 3


def test_actions_outside_a_box_are_held_in_it_but_kept_as_drawn() -> None:
    _, ours = agents(4, 16, 16, ACTIONS["weights"])
    taken: list[NDArray[np.float32]] = []
    assert isinstance(ours.env, Wandering)
    step = ours.env.step
    ours.env.step = lambda actions: (taken.append(actions), step(actions))[1]  # type: ignore[method-assign]
    collect(ours)
    assert np.abs(taken).max() == 1.0
    assert np.abs(ours.rollout_buffer.actions).max() > 1.0
    np.testing.assert_array_equal(np.clip(ours.rollout_buffer.actions, -1.0, 1.0), taken)


@pytest.mark.parametrize("setting", [{"target_kl": 0.1}, {"clip_range_vf": 0.2}], ids=str)
def test_what_it_can_not_do_is_refused(setting: dict[str, float]) -> None:
    (name,) = setting
    with pytest.raises(ValueError, match=f"{name} must be None, got"):
        FusedRecurrentPPO(FusedLstmPolicy, Wandering(2, ACTIONS["levels"]), **setting)


# Does it learn?

N_CUES, LENGTH = 3, 4


class Recall(ArrayVecEnv):
    """A cue is shown at the first step alone; at the last one, naming it is rewarded."""

    def __init__(self, n_envs: int, seed: int) -> None:
        super().__init__(n_envs, spaces.Box(0.0, 1.0, (N_CUES + 1,), np.float32), spaces.MultiDiscrete([N_CUES]))
        self._rng = np.random.default_rng(seed)
        self._step = np.arange(n_envs) % LENGTH
        self._cue = self._rng.integers(N_CUES, size=n_envs)
        self.hits: list[float] = []

    def _observe(self) -> NDArray[np.float32]:
        shown = np.zeros((self.num_envs, N_CUES + 1), np.float32)
        first = self._step == 0
        shown[first, self._cue[first]] = 1.0
        shown[:, -1] = self._step == LENGTH - 1
        return shown

    def reset(self) -> VecEnvObs:
        return self._observe()

    def step_wait(self) -> VecEnvStepReturn:
        done = self._step == LENGTH - 1
        reward = (done & (self._actions[:, 0] == self._cue)).astype(np.float32)
        self.hits += reward[done].tolist()
        self._step = (self._step + 1) % LENGTH
        self._cue = np.where(done, self._rng.integers(N_CUES, size=self.num_envs), self._cue)
        return self._observe(), reward, done, [{} for _ in range(self.num_envs)]


def recall_curve(kind: type[RecurrentPPO], policy: Any, seed: int) -> NDArray[np.float64]:
    """Share of cues recalled in each fifth of training."""
    env = Recall(64, seed)
    agent = kind(
        policy,
        env,
        n_steps=8,
        batch_size=256,
        n_epochs=6,
        learning_rate=1e-2,
        gamma=0.95,
        policy_kwargs={"net_arch": [16], "lstm_hidden_size": 16},
        seed=seed,
        device="cpu",
    )
    agent.learn(10_240)
    return np.array([np.mean(part) for part in np.array_split(env.hits, 5)])


@pytest.mark.slow
def test_a_cue_is_recalled_as_well_and_as_soon_as_by_the_stock_agent() -> None:
    ours = np.stack([recall_curve(FusedRecurrentPPO, FusedLstmPolicy, seed) for seed in range(5)])
    stock = np.stack([recall_curve(RecurrentPPO, "MlpLstmPolicy", seed) for seed in range(5)])
    assert stock[:, -1].mean() > 0.9
    assert ours[:, -1].mean() > 0.9
    standard_error = np.sqrt((ours.var(0, ddof=1) + stock.var(0, ddof=1)) / 5)
    assert (np.abs(ours.mean(0) - stock.mean(0)) < 3 * standard_error + 0.03).all()
