"""What one should know of a world before its figures are read."""

from __future__ import annotations

from envs.load_balancing.config import LoadBalancingConfig
from envs.load_balancing.kernel.arrivals.trace import Replay
from envs.load_balancing.params import traffic_of


def notes(config: LoadBalancingConfig, episode_steps: int) -> tuple[str, ...]:
    """That the part of a recording that evaluates is shorter than an episode, if it is.

    Raises
    ------
    TraceError
        The recording can't be read.
    """
    if not config.workload.arrivals.recorded:
        return ()
    traffic = traffic_of(config, held_out=True)
    replay = traffic.sources[traffic.source]
    assert isinstance(replay, Replay)
    episode_s = episode_steps * config.dt_s
    if replay.period_s >= episode_s:
        return ()
    part = f"the part of the recording that evaluates lasts {replay.period_s:,.0f} s ({len(replay.time_s):,} requests)"
    return (f"{part}, an episode {episode_s:,.0f} s: it is replayed {episode_s / replay.period_s:.1f} times",)
