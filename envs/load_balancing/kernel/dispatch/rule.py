"""What a dispatch rule is: its settings, its memory, and what it does when."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from envs.core.jit import Kernel, nothing
from envs.core.validation import check


@dataclass(frozen=True)
class DispatchConfig:
    """Settings of a dispatch rule, told by its name; kernels read those that are numbers."""

    rule: str

    def __post_init__(self) -> None:
        check(self)


class Rule(NamedTuple):
    """A dispatch rule: one module that holds its parts, and one entry in :data:`envs.load_balancing.kernel.dispatch.RULES`.

    Every kernel is given `params`, the numbers of the settings, and `memory`. The stream is that of the env's dispatcher.
    """

    config: type[DispatchConfig]
    choose: Kernel
    """``(params, memory, servers, stream, env, backend, t)``: the server of a flow that arrives at ``t``; -1 if no server
    takes part"""
    memory: type | None = None
    """arrays (:func:`envs.core.arrays.new_arrays`) over `n_envs`, `n_backends`, `n_servers`, `n_nodes` of a tournament and
    whole settings; None for none"""
    clear: Kernel = nothing
    """``(params, memory, env)``: an episode begins"""
    rank: Kernel = nothing
    """``(params, memory, servers, env, backend, server)``: weight, state or flows of a server have changed"""
    learn: Kernel = nothing
    """``(params, memory, env, backend, server, t, latency_s)``: a server has answered"""
