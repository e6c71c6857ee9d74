"""What every world is made of."""
