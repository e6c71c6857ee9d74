"""Every setting of an experiment, in one tree. Importing it costs no torch and no MLflow."""

from __future__ import annotations

from dataclasses import dataclass, field

from envs import FAMILIES, EnvConfig, LoadBalancingConfig
from envs.core.validation import SettingError, check, chosen, setting
from hierarchy import lower as lower_agents
from hierarchy import upper as upper_agents
from hierarchy.executors import EXECUTORS
from hierarchy.meta.config import MetaConfig
from hierarchy.protocols import LowerAlgorithm, UpperAlgorithm


@dataclass(frozen=True)
class AblationConfig:
    """How the arms are compared."""

    n_seeds: int = setting(20, gt=0)
    """evaluation seeds, paired over all arms"""
    episode_windows: int = setting(200, gt=0)
    """windows of an evaluation episode"""
    n_select_seeds: int = setting(64, gt=0)
    """selection seeds of the last round for the best fixed mix, and as many others for the choice of `gated`"""
    select_windows: int = setting(100, gt=0)
    """windows of a selection episode"""
    grid_points: int = setting(7, ge=2)
    """mixes along an edge of the simplex grid that fixed_best is chosen from, corners included"""
    n_trials: int = setting(100, gt=0)
    """trials of a search: for the numbers of a rule that has any, and for the mix of tuned_static"""
    n_trial_seeds: int = setting(32, gt=0)
    """selection seeds of a trial that is not cut short"""
    fixed: list[float] | None = setting(None, ge=0)
    """one more arm, `fixed_custom`: these weights, one per reward term"""
    tuned_static: bool = False
    """one more arm: the fixed mix that Optuna's TPE finds, in as many trials as it has for the numbers of a rule"""
    flat: bool = False
    """one more arm: the lower algorithm trained on the objective itself, for as many lower steps as both agents together"""
    constants: bool = False
    """one more arm: the best of all constant actions on selection seeds, in worlds with few discrete actions"""
    heuristics: bool = True
    """also run the rules that need no learning, those with numbers to be found by search among them, and `gated`: the
    learned pair or a rule, whichever is best on selection seeds that no search has met"""
    distilled: bool = True
    """one more arm: a decision tree in place of the upper agent, fitted to what it sets on selection seeds"""
    tree_depth: int = setting(4, gt=0)
    """splits between the root of that tree and a leaf, at most"""
    oracles: bool = False
    """more arms: oracles that are told the regime, and the best fixed mix in hindsight"""
    n_table_seeds: int = setting(16, gt=0)
    """selection seeds of the oracles' table"""
    table_points: int = setting(4, ge=2)
    """mixes along an edge of the simplex grid for each regime of the oracles' table"""

    def __post_init__(self) -> None:
        check(self)
        if self.fixed is not None and sum(self.fixed) <= 0:
            raise SettingError("fixed", "weights of which one is > 0", self.fixed)


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
    lower: LowerAlgorithm = chosen(lambda: lower_agents.ALGORITHMS, by="algorithm", default_factory=lower_agents.DEFAULT)
    meta: MetaConfig = field(default_factory=MetaConfig)
    upper: UpperAlgorithm = chosen(lambda: upper_agents.ALGORITHMS, by="algorithm", default_factory=upper_agents.DEFAULT)
    ablation: AblationConfig = field(default_factory=AblationConfig)
    tracking: TrackingConfig = field(default_factory=TrackingConfig)
    seed: int = setting(0, ge=0)
    """master seed of training; evaluation seeds are their own role"""
    executor: str = setting("processes", one_of=lambda: EXECUTORS)
    """what runs arms and training seeds side by side: processes, one per core; ray, one per core of a cluster; inline, one
    after the other in this process"""
    threads: int = setting(1, gt=0)
    """torch threads; more helps little at these sizes, and hurts when other programs want the cores"""
    checkpoint_s: float = setting(30.0, ge=0)
    """seconds of training between two checkpoints, from the last of which `resume` goes on"""

    def __post_init__(self) -> None:
        check(self)
