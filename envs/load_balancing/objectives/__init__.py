"""What one may want of a pool: a config a file, one entry in :data:`OBJECTIVES`."""

from __future__ import annotations

from envs.core.objectives import Satisfaction
from envs.load_balancing.objectives.profit import Profit
from envs.load_balancing.objectives.slo import Slo

__all__ = ["OBJECTIVES", "Profit", "Satisfaction", "Slo"]

OBJECTIVES: dict[str, type] = {"profit": Profit, "satisfaction": Satisfaction, "slo": Slo}
"""The objectives by name."""
