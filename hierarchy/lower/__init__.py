"""Lower agents: every algorithm by name. Importing it costs no torch."""

from __future__ import annotations

from hierarchy.lower.bc import BCConfig
from hierarchy.lower.bcq import BCQConfig
from hierarchy.lower.constrained_ppo import ConstrainedPPOConfig
from hierarchy.lower.cql import CQLConfig
from hierarchy.lower.recurrent_ppo import RecurrentPPOConfig
from hierarchy.lower.sac_gru import SACGRUConfig
from hierarchy.lower.team import TeamLowerConfig
from hierarchy.protocols import LowerAlgorithm

ALGORITHMS: dict[str, type[LowerAlgorithm]] = {
    "recurrent_ppo": RecurrentPPOConfig,
    "constrained_ppo": ConstrainedPPOConfig,
    "sac_gru": SACGRUConfig,
    "team": TeamLowerConfig,
    "cql": CQLConfig,
    "bcq": BCQConfig,
    "bc": BCConfig,
}
"""The settings of each algorithm, which build it."""
DEFAULT = RecurrentPPOConfig
