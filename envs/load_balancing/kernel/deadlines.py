"""Which flow passes its deadline next: per lane, the flows in flight in the order of arrival.

A lane has one deadline, so the order of arrival is the order of deadlines, and the flows that are late already are the
first of their list. Entering, leaving and finding the next overdue flow take constant time whatever is in flight.
"""

from __future__ import annotations

from typing import Annotated, NamedTuple

from envs.core.arrays import IntArray32
from envs.core.jit import inlined, kernel

NOBODY = -1


class InFlight(NamedTuple):
    """Linked lists. A flow is named by its place, server times `max_flows` plus slot."""

    next: Annotated[IntArray32, "n_envs n_places", NOBODY]
    previous: Annotated[IntArray32, "n_envs n_places", NOBODY]
    first: Annotated[IntArray32, "n_envs n_lanes", NOBODY]  # the oldest
    last: Annotated[IntArray32, "n_envs n_lanes", NOBODY]
    in_time: Annotated[IntArray32, "n_envs n_lanes", NOBODY]  # the oldest that does not count as late


@kernel
def clear_in_flight(flows, env):
    """Forget all flows of an env."""
    for lane in range(flows.first.shape[1]):
        flows.first[env, lane] = NOBODY
        flows.last[env, lane] = NOBODY
        flows.in_time[env, lane] = NOBODY


@inlined
def enter(flows, env, lane, place):
    """Add the flow that has just arrived."""
    last = flows.last[env, lane]
    flows.previous[env, place] = last
    flows.next[env, place] = NOBODY
    flows.last[env, lane] = place
    if last == NOBODY:
        flows.first[env, lane] = place
    else:
        flows.next[env, last] = place
    if flows.in_time[env, lane] == NOBODY:
        flows.in_time[env, lane] = place


@inlined
def leave(flows, env, lane, place):
    """Take out a flow that ended."""
    before, after = flows.previous[env, place], flows.next[env, place]
    if before == NOBODY:
        flows.first[env, lane] = after
    else:
        flows.next[env, before] = after
    if after == NOBODY:
        flows.last[env, lane] = before
    else:
        flows.previous[env, after] = before
    if flows.in_time[env, lane] == place:
        flows.in_time[env, lane] = after


@inlined
def count_late(flows, env, lane):
    """The oldest flow that was in time counts as late from now on."""
    flows.in_time[env, lane] = flows.next[env, flows.in_time[env, lane]]
