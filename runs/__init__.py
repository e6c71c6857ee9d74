"""Command line, presets and studies."""

import time

STARTED_S = time.perf_counter()
"""Process start, as near as Python code gets to it: nothing of the project is imported before."""
