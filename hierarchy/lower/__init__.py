"""Lower agents."""
