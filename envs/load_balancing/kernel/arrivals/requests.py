"""The requests of an episode without the servers that they are for."""

from __future__ import annotations

from envs.core.jit import kernel
from envs.load_balancing.kernel.arrivals.traffic import change_rate, draw_next


@kernel
def draw_requests(params, source, streams, env, until_s, time_s, flow_class, work_s):
    """Fill ``time_s``, ``flow_class`` and ``work_s``, each ``(n,)``, with the requests up to ``until_s``; returns how many.

    Where there are ``n``, the next call goes on after the last of them.
    """
    n = 0
    while n < time_s.shape[0] and source.time_s[env] <= until_s:
        now_s = source.time_s[env]
        if source.is_request[env]:
            time_s[n], flow_class[n], work_s[n] = now_s, source.flow_class[env], source.work_s[env]
            n += 1
        else:
            change_rate(params, source, streams, env)
        draw_next(params, source, streams, env, now_s)
    return n
