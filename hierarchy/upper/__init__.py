"""Upper agents."""
