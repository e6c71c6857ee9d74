"""Settings of the load-balancing world: frozen, checked when built, the single place where a setting is declared.

Those of a dispatch rule and of an arrival source stand beside its kernels, in :mod:`envs.load_balancing.kernel`.
"""

from __future__ import annotations

from envs.load_balancing.config.actions import BEST, ActionMode, Actions
from envs.load_balancing.config.balancers import BalancersConfig
from envs.load_balancing.config.constraints import Constraints
from envs.load_balancing.config.drift import DriftConfig
from envs.load_balancing.config.pool import ServerPool
from envs.load_balancing.config.randomisation import Randomisation
from envs.load_balancing.config.reward import FairnessField, Reward
from envs.load_balancing.config.telemetry import Telemetry
from envs.load_balancing.config.workload import CLASSES, Regimes, Workload, WorkloadClass
from envs.load_balancing.config.world import LoadBalancingConfig
from envs.load_balancing.kernel.arrivals import ARRIVALS
from envs.load_balancing.kernel.arrivals.diurnal import Diurnal
from envs.load_balancing.kernel.arrivals.mmpp import MMPP
from envs.load_balancing.kernel.arrivals.poisson import Poisson
from envs.load_balancing.kernel.arrivals.source import ArrivalConfig
from envs.load_balancing.kernel.arrivals.trace import Trace
from envs.load_balancing.kernel.dispatch import DISPATCH_RULES
from envs.load_balancing.kernel.dispatch.leastconn import LeastConn
from envs.load_balancing.kernel.dispatch.peak_ewma import PeakEwma
from envs.load_balancing.kernel.dispatch.power_of_two import PowerOfTwo
from envs.load_balancing.kernel.dispatch.prequal import Prequal
from envs.load_balancing.kernel.dispatch.random_draws import RandomDraws
from envs.load_balancing.kernel.dispatch.rule import DispatchConfig
from envs.load_balancing.kernel.dispatch.sed import Sed
from envs.load_balancing.kernel.dispatch.weighted_random import WeightedRandom
from envs.load_balancing.kernel.dispatch.wrr import Wrr

__all__ = [
    "ARRIVALS",
    "BEST",
    "CLASSES",
    "DISPATCH_RULES",
    "MMPP",
    "ActionMode",
    "Actions",
    "ArrivalConfig",
    "BalancersConfig",
    "Constraints",
    "DispatchConfig",
    "Diurnal",
    "DriftConfig",
    "FairnessField",
    "LeastConn",
    "LoadBalancingConfig",
    "PeakEwma",
    "Poisson",
    "PowerOfTwo",
    "Prequal",
    "RandomDraws",
    "Randomisation",
    "Regimes",
    "Reward",
    "Sed",
    "ServerPool",
    "Telemetry",
    "Trace",
    "WeightedRandom",
    "Workload",
    "WorkloadClass",
    "Wrr",
]
