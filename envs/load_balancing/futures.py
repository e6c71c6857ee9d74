"""Many futures of one past, for studies that ask what foresight would be worth. No agent and no rule is given any of it."""

from __future__ import annotations

from collections.abc import Sequence

from envs.core.arrays import IntArray
from envs.core.rng import streams
from envs.core.simulation import Simulation
from envs.core.state import rows_of
from envs.load_balancing.kernel.redraw import redraw
from envs.load_balancing.world import LoadBalancing


def branch(simulation: Simulation, into: Simulation, rows: IntArray, futures: Sequence[int], seed: int) -> None:
    """Put envs of a batch, as they stand now, into another batch of the same world, each with a future of its own.

    Two envs of ``into`` with the same future get the same requests and faults from now on, whatever is done.

    Parameters
    ----------
    simulation
        Whose envs are copied; it stays as it is.
    into
        Takes the copies.
    rows
        The env of ``simulation`` that each env of ``into`` becomes, ``(n,)``.
    futures
        Names of the futures, ``(n,)``.
    seed
        With the names it fixes what comes.
    """
    dynamics = into.dynamics
    assert isinstance(dynamics, LoadBalancing)
    into.set_state(rows_of(simulation.get_state(), rows, simulation.n_envs))
    dynamics.streams[:] = streams(seed, "train", futures)
    redraw(dynamics.params, dynamics.state)
