"""Upper agents: every algorithm by name. Importing it costs no torch."""

from __future__ import annotations

from hierarchy.protocols import UpperAlgorithm
from hierarchy.upper.sac import SACConfig
from hierarchy.upper.td3 import TD3Config

ALGORITHMS: dict[str, type[UpperAlgorithm]] = {"td3": TD3Config, "sac": SACConfig}
"""The settings of each algorithm, which build it."""
DEFAULT = TD3Config
