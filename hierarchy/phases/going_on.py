"""Training that goes on from its last checkpoint, if there is one, as if it had never been cut short."""

from __future__ import annotations

import math
import time

from hierarchy.phases.observers import Kept, Steps, ToSink, log
from hierarchy.protocols import Learner, Observer
from hierarchy.stopping import STOPPING
from hierarchy.storage.checkpoints import Checkpoints
from hierarchy.storage.ledger import Ledger
from hierarchy.tracking.sinks import Sink


class Keeping(Observer):
    """Checkpoints of an agent in training, at an interval and before it stops.

    Parameters
    ----------
    learner
        The agent.
    kept
        Figures of training so far, kept with its state.
    checkpoints
        None where nothing is kept.
    every_s
        Seconds of training between two.
    """

    def __init__(self, learner: Learner, kept: Kept, checkpoints: Checkpoints | None, every_s: float) -> None:
        self._learner, self._kept, self._checkpoints, self._every_s = learner, kept, checkpoints, every_s
        self._saved_s = -math.inf  # the first as soon as there is anything to keep

    def go_on(self) -> None:
        """Put the agent and its figures back to the last checkpoint, if there is one."""
        before = None if self._checkpoints is None else self._checkpoints.latest()
        if before is not None:
            self._learner.set_state(before["learner"])
            self._kept.metrics = before["metrics"]

    def on_rollout(self, n_steps: int) -> None:
        is_due = STOPPING.asked or time.perf_counter() - self._saved_s >= self._every_s
        if is_due and n_steps > 0 and self._checkpoints is not None:
            self._checkpoints.save({"learner": self._learner.get_state(), "metrics": self._kept.metrics})
            self._saved_s = time.perf_counter()
        if STOPPING.asked:
            STOPPING.stop()


def train(
    learner: Learner, n_steps: int, kept: Kept, ledger: Ledger, every_s: float, sink: Sink, shows_figures: bool = True
) -> int:
    """Train an agent that was just built up to ``n_steps``, or on from the last checkpoint in a ledger.

    A sink takes in steps, and figures as they come if it ``shows_figures``.

    Returns
    -------
    Steps that it had been trained for before.

    Raises
    ------
    KeyboardInterrupt
        The process was asked to stop; there is a checkpoint of where it did.
    """
    keeping = Keeping(learner, kept, ledger.checkpoints, every_s)
    keeping.go_on()
    n_before = learner.n_steps
    sink.advance(n_before)
    if shows_figures:
        log(kept.metrics, sink)
    shown = (ToSink if shows_figures else Steps)(sink, n_before)
    with STOPPING.in_training():
        learner.learn(n_steps - n_before, kept, shown, keeping)
    return n_before
