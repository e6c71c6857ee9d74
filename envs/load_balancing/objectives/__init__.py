"""What one may want of a pool: a config a file, one entry in :data:`OBJECTIVES`."""

from __future__ import annotations

from envs.core.objectives import Satisfaction
from envs.load_balancing.objectives.budget import Budget
from envs.load_balancing.objectives.profit import Profit
from envs.load_balancing.objectives.slo import Slo

__all__ = ["OBJECTIVES", "Budget", "Profit", "Satisfaction", "Slo"]

OBJECTIVES: dict[str, type] = {"profit": Profit, "satisfaction": Satisfaction, "slo": Slo, "budget": Budget}
"""The objectives by name."""
