"""What an arrival source is: its settings, its memory, and how it comes by the next request."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, NamedTuple

from envs.core.arrays import BoolArray, FloatArray, IntArray
from envs.core.jit import Kernel, inlined, nothing
from envs.core.numbers import no_numbers, numbers
from envs.core.validation import check


@dataclass(frozen=True)
class ArrivalConfig:
    """Settings of an arrival source, told by its name; kernels read those that are numbers."""

    source: str

    recorded: ClassVar[bool] = False
    """whether requests come from a recording, with regimes of its own, instead of the configured regimes"""

    def __post_init__(self) -> None:
        check(self)

    @property
    def peak(self) -> float:
        """Largest rate, as a multiple of the mean rate of a regime."""
        return 1.0


class Demand(NamedTuple):
    """What the requests of a recording are scaled to."""

    rate_hz: float | None  # mean over the whole recording; None goes by the capacity that is asked for
    capacity: float  # seconds of work a second
    work_s: float  # mean work of an interactive request
    held_out: bool  # whether the part of the recording that is kept from training is to be replayed


class Source(NamedTuple):
    """Where each env stands in its arrivals. The next request is always drawn already.

    The first six hold for an episode: what is drawn for it (:mod:`envs.load_balancing.randomisation`), and what follows.
    """

    load: Annotated[FloatArray, "n_envs n_regimes"]  # offered, as a share of the capacity present
    interactive_share: Annotated[FloatArray, "n_envs n_regimes"]
    mean_work_s: Annotated[FloatArray, "n_envs n_classes"]
    regime_rate_hz: Annotated[FloatArray, "n_envs n_regimes"]  # mean rate in each regime
    mean_rate_hz: Annotated[FloatArray, "n_envs"]  # over the regimes
    stretch: Annotated[FloatArray, "n_envs"]  # factor on the times of a recording
    time_s: Annotated[FloatArray, "n_envs"]  # of the next request, or of the next change of rate
    is_request: Annotated[BoolArray, "n_envs"]  # false when a change of rate comes first
    work_s: Annotated[FloatArray, "n_envs"]
    flow_class: Annotated[IntArray, "n_envs"]
    odds: Annotated[FloatArray, "n_envs", 1.0]  # factor on the odds that the next request is interactive
    regime: Annotated[IntArray, "n_envs"]  # now
    stage: Annotated[IntArray, "n_envs"]  # that the regime is in
    stage_until_s: Annotated[FloatArray, "n_envs"]
    memories: tuple[Any, ...]  # one entry a source


def _numbers(config: Any, demand: Demand) -> Any:
    return numbers(config)


def _nowhere(params: Any, memory: Any) -> FloatArray | None:
    return None


@inlined
def _no_days(params, memory, source, env, now_s):
    return 0.0


class ArrivalSource(NamedTuple):
    """An arrival source: one module that holds its parts, and one entry in `envs.load_balancing.kernel.arrivals.SOURCES`.

    Every kernel is given `params`, `memory`, where the env stands (`source`) and the env's stream of arrivals.
    """

    config: type[ArrivalConfig]
    draw_next: Kernel
    """``(params, memory, source, stream, env, now_s)``: set time and kind of the next event; whether a request comes of
    which class and work are yet to be drawn"""
    memory: type | None = None
    """arrays (:func:`envs.core.arrays.new_arrays`) over `n_envs`; None for none"""
    start: Kernel = nothing
    """``(params, memory, source, stream, env, first, second)``: an episode begins; with two uniforms of the stream of
    regimes, which are drawn for every source, so that regimes are the same under all"""
    change: Kernel = nothing
    """``(params, memory, source, stream, env)``: the time of a change of rate has come; the stream is that of regimes"""
    redraw: Kernel = nothing
    """``(params, memory, source, stream, env, now_s)``: what comes after now is drawn anew, see `kernel.redraw`; the
    stream is that of regimes"""
    time_of_day: Kernel = _no_days
    """``(params, memory, source, env, now_s)``: in [0, 1); 0 where there are no days"""
    params: Callable[[Any, Demand], Any] = _numbers
    """``(config, demand)``: named tuple that kernels read"""
    no_params: Any = None
    """what they read while another source is chosen, if not the same with 0 in it"""
    position: Callable[[Any, Any], FloatArray | None] = _nowhere
    """``(params, memory)``: how far into a recording each env is, ``(n_envs,)`` in [0, 1)"""

    @property
    def unused_params(self) -> Any:
        """What kernels read while another source is chosen."""
        return no_numbers(self.config) if self.no_params is None else self.no_params


@inlined
def set_next(source, env, request_s, until_s):
    """Let a request come at ``request_s``, or a change of rate at ``until_s``; returns whether it is a request."""
    is_request = request_s < until_s
    source.time_s[env] = request_s if is_request else until_s
    source.is_request[env] = is_request
    return is_request
