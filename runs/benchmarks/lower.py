"""Phase 1: whole iterations, the update alone, rollouts alone."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import get_args

import torch as th
from gymnasium import spaces
from sb3_contrib import RecurrentPPO
from stable_baselines3.common.callbacks import BaseCallback
from torch import nn

from envs.load_balancing.config import LoadBalancingConfig
from hierarchy.building import lower
from hierarchy.config import ExperimentConfig
from hierarchy.lower.contextual_ppo import ContextualPPO
from hierarchy.lower.recurrent_ppo import RecurrentPPOConfig
from hierarchy.nets.context_gate import ContextGate
from hierarchy.sb3.learner import SB3Learner
from runs.benchmarks import stock
from runs.benchmarks.plan import Case, Curve, Plan, Ratio, Target

N_EPOCHS = 10
HIDDEN = 64
ROLLOUT_ENVS = 128
LONG_EPISODE, SHORT_EPISODE = 2000, 100
"""Steps of an episode: the default, and one so short that an episode begins in every minibatch of 128 steps."""
MEMORY_BATCH = 2048
WIDTHS = (1, 2, 8, 32, 128, 512)
HIDDEN_SIZES = (32, 64, 128, 256)


@dataclass(frozen=True)
class Shape:
    """Size of an iteration."""

    n_envs: int
    n_steps: int
    batch_size: int
    episode_steps: int = LONG_EPISODE

    @property
    def name(self) -> str:
        """How it is shown."""
        episodes = "" if self.episode_steps == LONG_EPISODE else f", episodes of {self.episode_steps}"
        return f"{self.n_envs}x{self.n_steps}/{self.batch_size}{episodes}"

    def config(self, hidden_size: int = HIDDEN) -> ExperimentConfig:
        """The default experiment in this shape."""
        return ExperimentConfig(
            env=LoadBalancingConfig(episode_steps=self.episode_steps),
            lower=RecurrentPPOConfig(
                n_envs=self.n_envs,
                n_steps=self.n_steps,
                batch_size=self.batch_size,
                n_epochs=N_EPOCHS,
                hidden_size=hidden_size,
            ),
        )


SMALL, LARGE = Shape(8, 256, 128), Shape(64, 128, 2048)


class Iterations:
    """An agent made when first used, and its two halves of an iteration."""

    def __init__(self, build: Callable[[], RecurrentPPO]) -> None:
        self._build = build
        self._agent: RecurrentPPO | None = None
        self._callback: BaseCallback

    @property
    def agent(self) -> RecurrentPPO:
        """The agent, ready to collect."""
        if self._agent is None:
            self._agent = self._build()
            _, self._callback = self._agent._setup_learn(sys.maxsize, None)
        return self._agent

    def collect(self) -> float:
        """One rollout: env steps per second."""
        agent = self.agent
        assert agent.env is not None
        started_s = time.perf_counter()
        agent.collect_rollouts(agent.env, self._callback, agent.rollout_buffer, agent.n_steps)
        return agent.n_steps * agent.n_envs / (time.perf_counter() - started_s)

    def update(self) -> float:
        """One update with the rollout at hand: samples per second."""
        agent = self.agent
        started_s = time.perf_counter()
        agent.train()
        return agent.n_steps * agent.n_envs * agent.n_epochs / (time.perf_counter() - started_s)

    def iterate(self) -> float:
        """A rollout and its update: env steps per second."""
        collected, updated = self.collect(), self.update()
        return 1.0 / (1.0 / collected + self.agent.n_epochs / updated)


class Bare(nn.Module):
    """The networks of the lower agent and nothing else."""

    def __init__(self, agent: ContextualPPO) -> None:
        super().__init__()
        policy, space = agent.policy, agent.observation_space
        assert isinstance(space, spaces.Box)
        assert isinstance(policy.features_extractor, ContextGate)
        assert isinstance(policy.action_net, nn.Linear)
        n_actions, hidden = policy.action_net.out_features, policy.lstm_actor.hidden_size
        self.gate = ContextGate(space, agent.n_terms, hidden)
        self.actor, self.critic = nn.LSTM(hidden, hidden), nn.LSTM(hidden, hidden)
        self.actor_head = nn.Sequential(nn.Linear(hidden, hidden), nn.Tanh(), nn.Linear(hidden, n_actions))
        self.critic_head = nn.Sequential(nn.Linear(hidden, hidden), nn.Tanh(), nn.Linear(hidden, 1))
        self.n_features = space.shape[0]

    def forward(self, observations: th.Tensor) -> th.Tensor:
        """``(length, n_sequences, n_features)`` to a loss."""
        features = self.gate(observations.flatten(end_dim=1)).view(*observations.shape[:2], -1)
        logits = self.actor_head(self.actor(features)[0])
        values = self.critic_head(self.critic(features)[0])
        loss: th.Tensor = logits.square().mean() + values.square().mean()
        return loss


def _agent(shape: Shape, hidden_size: int) -> ContextualPPO:
    learner = lower.build(shape.config(hidden_size))
    assert isinstance(learner, SB3Learner)
    assert isinstance(learner.agent, ContextualPPO)
    return learner.agent


def bare_update(shape: Shape, hidden_size: int = HIDDEN) -> Callable[[], float]:
    """Samples per second of forward, backward and Adam over sequences that lie ready, whole and of one length."""
    made: list[tuple[Bare, th.optim.Adam, th.Tensor]] = []
    length = min(shape.n_steps, shape.batch_size)

    def measure() -> float:
        if not made:
            agent = _agent(shape, hidden_size)
            bare = Bare(agent)
            adam = th.optim.Adam(bare.parameters(), fused=True)
            made.append((bare, adam, th.randn(length, shape.batch_size // length, bare.n_features)))
        bare, adam, observations = made[0]
        n = N_EPOCHS * shape.n_envs * shape.n_steps // shape.batch_size
        started_s = time.perf_counter()
        for _ in range(n):
            adam.zero_grad()
            bare(observations).backward()
            adam.step()
        return n * shape.batch_size / (time.perf_counter() - started_s)

    return measure


def _ours(shape: Shape, hidden_size: int = HIDDEN) -> Iterations:
    return Iterations(lambda: _agent(shape, hidden_size))


def _stock(shape: Shape, backend: stock.Backend) -> Iterations:
    config = shape.config()
    return Iterations(lambda: stock.agent(config, stock.vec_env(config, backend)))


def _update_with(iterations: Iterations) -> Callable[[], float]:
    def measure() -> float:
        if iterations.agent._n_updates == 0:
            iterations.collect()
        return iterations.update()

    return measure


def _ms_per_minibatch(samples_per_s: Callable[[], float], shape: Shape) -> Callable[[], float]:
    return lambda: 1e3 * shape.batch_size / samples_per_s()


def peak_memory_mb(n_envs: int, n_steps: int) -> float:
    """Peak resident memory of a process that does one iteration of this size, with one epoch."""
    code = (
        "from runs.benchmarks.lower import Shape, _ours; from runs.benchmarks.memory import peak_mb; "
        f"one = _ours(Shape({n_envs}, {n_steps}, {min(n_envs * n_steps, MEMORY_BATCH)})); "
        "one.agent.n_epochs = 1; one.iterate(); print(peak_mb())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


def _memory(n_envs: int, n_steps: int) -> Callable[[], float]:
    return lambda: peak_memory_mb(n_envs, n_steps)


def _shrunk(shape: Shape, scale: float) -> Shape:
    """Fewer envs, so that sequences keep their length."""
    n_envs = max(1, round(shape.n_envs * scale))
    return replace(shape, n_envs=n_envs, batch_size=min(shape.batch_size, n_envs * shape.n_steps))


def plan(scale: float) -> Plan:
    """Both published shapes against both stock vec envs; the update against its ceiling; what grows with what."""
    cases, ratios, targets = [], [], {}
    for full, factor in ((SMALL, 10.0), (LARGE, 8.0)):
        for episode_steps in (SHORT_EPISODE, LONG_EPISODE):
            shape = replace(_shrunk(full, scale), episode_steps=episode_steps)
            name = f"{shape.name}: metabalance"
            cases.append(Case(name, "steps/s", _ours(shape).iterate))
            for backend in get_args(stock.Backend):
                cases.append(Case(f"{shape.name}: stock {backend}", "steps/s", _stock(shape, backend).iterate))
                ratios.append(Ratio(name, cases[-1].name, Target("at least", factor)))
        update, bare = f"{shape.name}: update", f"{shape.name}: bare torch"
        cases.append(Case(update, "samples/s", _update_with(_ours(shape))))
        cases.append(Case(bare, "samples/s", bare_update(shape)))
        ratios.append(Ratio(update, bare, Target("at least", 0.8)))
    n_envs = max(1, round(ROLLOUT_ENVS * scale))
    rollout = f"rollout of {n_envs} envs"
    cases.append(Case(rollout, "steps/s", _ours(Shape(n_envs, 128, n_envs * 128)).collect))
    targets[rollout] = Target("at least", 30_000)
    return Plan(cases, ratios, targets, _curves(scale))


def _curves(scale: float) -> list[Curve]:
    widths = [n for n in WIDTHS if n <= max(2, scale * WIDTHS[-1])]
    hidden_sizes = [n for n in HIDDEN_SIZES if n <= max(32, scale * HIDDEN_SIZES[-1])]
    shape = _shrunk(LARGE, scale)
    ours = {h: _ms_per_minibatch(_update_with(_ours(shape, h)), shape) for h in hidden_sizes}
    bare = {h: _ms_per_minibatch(bare_update(shape, h), shape) for h in hidden_sizes}
    steps = "env steps per second (1/s)"
    return [
        Curve("rollout_speed", "envs (1)", steps, {"rollout": {n: _ours(Shape(n, 128, n * 128)).collect for n in widths}}),
        Curve("update_time", "hidden size (1)", "time per minibatch (ms)", {"metabalance": ours, "bare torch": bare}),
        Curve(
            "peak_memory",
            "envs (1)",
            "peak memory (MB)",
            {f"{n_steps} steps": {n: _memory(n, n_steps) for n in widths} for n_steps in (64, 256)},
        ),
    ]
