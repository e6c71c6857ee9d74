"""The first server that takes part, always."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from envs.core.jit import inlined
from envs.load_balancing.kernel.dispatch.eligible import nth_eligible
from envs.load_balancing.kernel.dispatch.rule import DispatchConfig, Rule


@dataclass(frozen=True)
class First(DispatchConfig):
    """No balancing at all."""

    rule: Literal["first"] = "first"
    """name of the dispatch rule"""


@inlined
def _choose(params, memory, servers, stream, env, backend, t):
    return nth_eligible(servers, env, backend, 0)


RULE = Rule(First, _choose)
