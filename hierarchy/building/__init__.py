"""What the settings of an experiment build: simulations, and agents over them."""
