"""Every setting of an experiment, in one tree. Importing it costs no torch and no MLflow."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, get_args

from envs import FAMILIES, EnvConfig, LoadBalancingConfig
from envs.core.context import ContextSampling
from envs.core.validation import chosen, non_negative, one_of, positive, share
from hierarchy.objectives import OBJECTIVES

CONFIG_NAME = "config.json"
"""File of an output folder that holds every setting."""

MetaStep = Literal["window", "episode"]
LowerPolicy = Literal["joint", "equivariant"]


@dataclass(frozen=True)
class LowerConfig:
    """The lower agent: recurrent PPO, its context part of what it observes."""

    timesteps: int = 300_000
    """env steps to train for, over all envs"""
    n_envs: int = 32
    """envs side by side"""
    n_steps: int = 64
    """steps of every env in a rollout"""
    batch_size: int = 512
    """samples in a minibatch"""
    n_epochs: int = 10
    """passes over a rollout"""
    learning_rate: float = 1e-3
    """of Adam at the start; it falls in a line to a fiftieth"""
    gamma: float = 0.98
    """discount per step; 0.98 looks some 12 seconds ahead"""
    gae_lambda: float = 0.9
    """bias against variance in advantages"""
    clip_range: float = 0.2
    """of PPO's ratio"""
    ent_coef: float = 0.002
    """weight of the entropy bonus"""
    hidden_size: int = 64
    """LSTM and layer width"""
    policy: LowerPolicy = "joint"
    """joint sees all parts of the observation at once; equivariant treats parts alike and runs on any number of them"""
    nominal_logit: float = 1.0
    """head start of the nominal action: equal weights, which is to say shortest expected delay"""
    normalise_observations: bool = False
    """shift and scale observations by their running moments, kept with the agent and frozen once it is trained"""
    clip_reward: float | None = None
    """divide rewards by the running spread of returns and hold them within this bound; None leaves them as they are"""
    history: int = 1
    """observations that the agent sees at once, the newest last"""
    context: ContextSampling = field(default_factory=ContextSampling)

    def __post_init__(self) -> None:
        one_of(get_args(LowerPolicy), **{"lower.policy": self.policy})
        for name in ("timesteps", "n_envs", "n_steps", "batch_size", "n_epochs", "learning_rate", "hidden_size", "history"):
            positive(**{f"lower.{name}": getattr(self, name)})
        for name in ("gamma", "gae_lambda", "clip_range"):
            share(**{f"lower.{name}": getattr(self, name)})
        non_negative(**{"lower.ent_coef": self.ent_coef, "lower.nominal_logit": self.nominal_logit})
        if self.policy == "equivariant" and (self.history > 1 or self.normalise_observations):
            raise ValueError(
                "lower.policy must be joint with lower.history > 1 or lower.normalise_observations, got equivariant"
            )
        if self.clip_reward is not None:
            positive(**{"lower.clip_reward": self.clip_reward})
        if self.batch_size > self.n_envs * self.n_steps:
            raise ValueError(
                f"lower.batch_size must be <= n_envs * n_steps ({self.n_envs * self.n_steps}), got {self.batch_size}"
            )


@dataclass(frozen=True)
class UpperConfig:
    """The upper agent: TD3 over windows of the running simulation."""

    objective: str | None = None
    """what it is paid for: profit, satisfaction, slo, or another of `hierarchy.objectives`; None takes the world's own"""
    slo_ms: float = 500.0
    """objective slo: bound on the 95th percentile of latency"""
    slo_price_usd_per_h: float = 5.0
    """objective slo: price of exceeding the bound by its own size"""
    meta_step: MetaStep = "window"
    """window runs `meta_period` lower steps, episode a whole episode"""
    meta_period: int = 20
    """lower steps in a window"""
    meta_steps: int = 8_000
    """meta steps to train for, over all envs"""
    episode_windows: int = 100
    """windows after which the simulation starts again"""
    n_envs: int = 16
    """meta envs side by side"""
    learning_rate: float = 1e-3
    """of Adam"""
    buffer_size: int = 20_000
    """transitions kept"""
    batch_size: int = 128
    """transitions in a gradient step"""
    learning_starts: int = 1_600
    """meta steps of random contexts before the first gradient step"""
    tau: float = 0.005
    """of the target networks"""
    gamma: float = 0.8
    """discount per meta step"""
    action_noise: float = 0.2
    """standard deviation of the Gaussian exploration noise"""
    hidden_size: int = 64
    """width of the two layers of actor and critics"""

    def __post_init__(self) -> None:
        if self.objective is not None:
            one_of(OBJECTIVES, **{"upper.objective": self.objective})
        one_of(get_args(MetaStep), **{"upper.meta_step": self.meta_step})
        for name in (
            "slo_ms",
            "meta_period",
            "meta_steps",
            "episode_windows",
            "n_envs",
            "learning_rate",
            "buffer_size",
            "batch_size",
            "hidden_size",
        ):
            positive(**{f"upper.{name}": getattr(self, name)})
        for name in ("learning_starts", "action_noise", "slo_price_usd_per_h"):
            non_negative(**{f"upper.{name}": getattr(self, name)})
        share(**{"upper.tau": self.tau, "upper.gamma": self.gamma})
        if self.buffer_size < self.n_envs:
            raise ValueError(f"upper.buffer_size must be >= upper.n_envs ({self.n_envs}), got {self.buffer_size}")


@dataclass(frozen=True)
class AblationConfig:
    """How the arms are compared."""

    n_seeds: int = 20
    """evaluation seeds, paired over all arms"""
    episode_windows: int = 200
    """windows of an evaluation episode"""
    n_select_seeds: int = 16
    """selection seeds, for the best fixed mix and the oracles' table"""
    select_windows: int = 100
    """windows of a selection episode"""
    grid_points: int = 7
    """mixes along an edge of the simplex grid that fixed_best is chosen from, corners included"""
    table_points: int = 4
    """the same for each regime of the oracles' table"""
    fixed: list[float] | None = None
    """one more arm, `fixed_custom`: these weights, one per reward term"""
    tuned_static: bool = False
    """one more arm: the fixed mix that Optuna's TPE finds in as many lower steps as the upper agent trains for"""
    flat: bool = False
    """one more arm: recurrent PPO trained on the objective itself, for as many lower steps as both agents together"""
    constants: bool = False
    """one more arm: the best of all constant actions on selection seeds, in worlds with few discrete actions"""
    heuristics: bool = True
    """also run the balancing rules that need no learning"""

    def __post_init__(self) -> None:
        for name in ("n_seeds", "episode_windows", "n_select_seeds", "select_windows"):
            positive(**{f"ablation.{name}": getattr(self, name)})
        for name in ("grid_points", "table_points"):
            if getattr(self, name) < 2:
                raise ValueError(f"ablation.{name} must be >= 2, got {getattr(self, name)}")
        if self.fixed is not None:
            for weight in self.fixed:
                non_negative(**{"ablation.fixed": weight})
            if sum(self.fixed) <= 0:
                raise ValueError(f"ablation.fixed must hold a weight > 0, got {self.fixed}")


@dataclass(frozen=True)
class TrackingConfig:
    """Where MLflow keeps the experiment."""

    experiment: str = "metabalance"
    """name of the MLflow experiment"""
    enabled: bool = True
    """log to MLflow at all"""


@dataclass(frozen=True)
class ExperimentConfig:
    """One bi-level experiment."""

    env: EnvConfig = chosen(
        lambda: {name: family.config for name, family in FAMILIES.items()}, by="family", default_factory=LoadBalancingConfig
    )
    lower: LowerConfig = field(default_factory=LowerConfig)
    upper: UpperConfig = field(default_factory=UpperConfig)
    ablation: AblationConfig = field(default_factory=AblationConfig)
    tracking: TrackingConfig = field(default_factory=TrackingConfig)
    seed: int = 0
    """master seed of training; evaluation seeds are their own role"""
    threads: int = 1
    """torch threads; more helps little at these sizes, and hurts when other programs want the cores"""

    def __post_init__(self) -> None:
        non_negative(seed=self.seed)
        positive(threads=self.threads)
