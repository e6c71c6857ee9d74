"""A search for settings of both levels: whole experiments are its trials."""
