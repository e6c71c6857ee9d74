"""Many futures of one past, to ask what foresight would be worth. No agent and no rule is given any of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from envs.core.arrays import FloatArray, IntArray
from envs.core.rng import streams
from envs.core.simulation import Simulation
from envs.core.state import rows_of


def branch(source: Simulation, into: Simulation, rows: IntArray, futures: Sequence[int], seed: int) -> None:
    """Put envs of a simulation, as they stand now, into another one of the same world, each with a future of its own.

    Two envs of ``into`` with the same future get the same luck from now on, whatever is done: in the load-balancing world
    the same requests and faults.

    Parameters
    ----------
    source
        Whose envs are copied; it stays as it is.
    into
        Takes the copies.
    rows
        The env of ``source`` that each env of ``into`` becomes, ``(n,)``.
    futures
        Names of the futures, ``(n,)``.
    seed
        With the names it fixes what comes.
    """
    into.set_state(rows_of(source.get_state(), rows, source.n_envs))
    into.world.dynamics.streams[:] = streams(seed, "train", futures)
    into.world.dynamics.redraw()


def credited(simulation: Simulation, totals: Any) -> FloatArray:
    """The objective since ``totals`` ``(n_envs,)``, as if what waits now went well: whoever acts would go on."""
    simulation.dynamics.credit()
    return simulation.objective(simulation.statistics(totals))
