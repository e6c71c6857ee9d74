"""Learners of teams: every algorithm by name. Importing it costs no torch."""

from __future__ import annotations

from hierarchy.team.iddpg import IDDPGConfig
from hierarchy.team.ippo import IPPOConfig
from hierarchy.team.joint_q import JointQConfig
from hierarchy.team.maddpg import MADDPGConfig
from hierarchy.team.mappo import MAPPOConfig
from hierarchy.team.protocols import TeamAlgorithm
from hierarchy.team.qmix import QMIXConfig
from hierarchy.team.vdn import VDNConfig

TEAM_ALGORITHMS: dict[str, type[TeamAlgorithm]] = {
    "qmix": QMIXConfig,
    "vdn": VDNConfig,
    "mappo": MAPPOConfig,
    "ippo": IPPOConfig,
    "maddpg": MADDPGConfig,
    "iddpg": IDDPGConfig,
    "joint_q": JointQConfig,
}
"""The settings of each algorithm, which build it."""
DEFAULT = MAPPOConfig
