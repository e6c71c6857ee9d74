"""Speed, measured side by side with what people use today."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runs.benchmarks.plan import Plan

BENCHMARKS: Mapping[str, str] = {
    "world": "the simulator, against SimPy, Ciw and a bare event loop",
    "lower": "phase 1, against stock sb3-contrib and a bare torch loop",
    "upper": "phase 2, against a loop that calls `predict` on one env",
    "end-to-end": "the `seed` preset from process start, against the same experiment from stock parts",
    "checkpoints": "the share of training that checkpoints take",
    "tracking": "training with a server of MLflow, with one that is away for a while, and with none",
    "cluster": "training seeds on Ray, against plain processes, and with more workers and nodes",
    "balancers": "one pool behind 1 to 64 balancers: speed, and what each loses by seeing its own requests alone",
    "server": "experiments that write to one server of MLflow at once, against one alone",
    "serve": "one decision of the deployed pair",
    "live": "a pair that steers a real HAProxy: decisions, what it takes, its log",
    "fidelity": "the simulator against real servers behind a real HAProxy",
}
"""What can be measured. Each is a module of its name with a function `plan`."""


def plan_of(name: str) -> Callable[[float], Plan]:
    """The function that plans a benchmark; it takes the share of the full amount of work to do per measurement."""
    module = import_module(f"runs.benchmarks.{name.replace('-', '_')}")
    plan: Callable[[float], Plan] = module.plan
    return plan
