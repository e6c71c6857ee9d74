"""Which flow passes its deadline next: per class, the flows in flight in the order of arrival.

A class has one deadline, so the order of arrival is the order of deadlines, and the flows that are late already are the
first of their list. Entering, leaving and finding the next overdue flow take constant time whatever is in flight.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from envs.core.jit import inlined, kernel

IndexArray = NDArray[np.int32]

NOBODY = -1


class InFlight(NamedTuple):
    """Linked lists. A flow is named by its place, server times M plus slot."""

    next: IndexArray  # (n_envs, n_servers * M)
    previous: IndexArray  # (n_envs, n_servers * M)
    first: IndexArray  # (n_envs, n_classes) the oldest
    last: IndexArray  # (n_envs, n_classes)
    in_time: IndexArray  # (n_envs, n_classes) the oldest that does not count as late


def new_in_flight(n_envs: int, n_places: int, n_classes: int) -> InFlight:
    """Empty lists."""
    return InFlight(
        next=np.full((n_envs, n_places), NOBODY, np.int32),
        previous=np.full((n_envs, n_places), NOBODY, np.int32),
        first=np.full((n_envs, n_classes), NOBODY, np.int32),
        last=np.full((n_envs, n_classes), NOBODY, np.int32),
        in_time=np.full((n_envs, n_classes), NOBODY, np.int32),
    )


@kernel
def clear_in_flight(fl, env):  # type: ignore[no-untyped-def]
    """Forget all flows of an env."""
    for flow_class in range(fl.first.shape[1]):
        fl.first[env, flow_class] = NOBODY
        fl.last[env, flow_class] = NOBODY
        fl.in_time[env, flow_class] = NOBODY


@inlined
def enter(fl, env, flow_class, place):  # type: ignore[no-untyped-def]
    """Add the flow that has just arrived."""
    last = fl.last[env, flow_class]
    fl.previous[env, place] = last
    fl.next[env, place] = NOBODY
    fl.last[env, flow_class] = place
    if last == NOBODY:
        fl.first[env, flow_class] = place
    else:
        fl.next[env, last] = place
    if fl.in_time[env, flow_class] == NOBODY:
        fl.in_time[env, flow_class] = place


@inlined
def leave(fl, env, flow_class, place):  # type: ignore[no-untyped-def]
    """Take out a flow that ended."""
    before, after = fl.previous[env, place], fl.next[env, place]
    if before == NOBODY:
        fl.first[env, flow_class] = after
    else:
        fl.next[env, before] = after
    if after == NOBODY:
        fl.last[env, flow_class] = before
    else:
        fl.previous[env, after] = before
    if fl.in_time[env, flow_class] == place:
        fl.in_time[env, flow_class] = after


@inlined
def count_late(fl, env, flow_class):  # type: ignore[no-untyped-def]
    """The oldest flow that was in time counts as late from now on."""
    fl.in_time[env, flow_class] = fl.next[env, fl.in_time[env, flow_class]]
