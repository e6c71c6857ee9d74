"""Learning to learn: an agent from which others fit a world that they have never met in few steps."""
