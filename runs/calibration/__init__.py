"""The simulator's settings from a log of HAProxy: who served how long, told from when requests came and ended."""
