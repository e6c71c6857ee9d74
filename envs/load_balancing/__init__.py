"""The load-balancing world."""
