"""Requests of a HAProxy that was started again: they are lost, unless the process before it still serves them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from envs.core.arrays import FloatArray, IntArray
from envs.load_balancing.kernel.metering import UNANSWERED, Ended


class Left:
    """Requests of a process that another one has replaced.

    A process that was reloaded serves those that it has, and logs them; one that was killed has lost them. Which it is can
    be told on one machine: over TCP, and between containers, the process is taken for killed.

    Parameters
    ----------
    pid
        Of the process that was there.
    n
        Requests of each class ``(C,)`` that had come, and of whose end nothing was heard.
    is_local
        Whether it was on this machine.
    """

    def __init__(self, pid: int, n: IntArray, is_local: bool) -> None:
        self.pid, self._n, self._is_local = pid, n.copy(), is_local

    def heard(self, flow_classes: Sequence[int]) -> None:
        """Some of its requests were logged, of these classes."""
        np.subtract.at(self._n, np.asarray(flow_classes, np.int64), 1)

    def lost(self, now_s: float) -> Ended | None:
        """Its requests, which are lost; None as long as the process is there."""
        if self._is_local and is_running(self.pid):
            return None
        flow_class: IntArray = np.repeat(np.arange(len(self._n)), np.maximum(self._n, 0))
        nothing: FloatArray = np.zeros(len(flow_class))
        nobody = np.full(len(flow_class), -1)
        return Ended(nothing + now_s, flow_class, nobody, np.full(len(flow_class), UNANSWERED), nothing, nothing)


def is_running(pid: int) -> bool:
    """Whether a process of this machine has not ended."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"
