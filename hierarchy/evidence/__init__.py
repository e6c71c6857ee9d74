"""What comparisons show."""
