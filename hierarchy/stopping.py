"""How a process is asked to stop: an agent in training first comes to where it can go on from."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

INTERRUPTED = 130
"""Exit status of a process that was interrupted."""
STOP_WORKER = signal.SIGUSR1
"""What a process sends its workers. Signals for the whole group are its own to handle, and it may still need them."""


class PrunedError(Exception):
    """Work that is ended before it is over: it is not worth going on with."""


class Stopping:
    """Whether this process was asked to stop, and whether an agent is in training that will notice.

    Attributes
    ----------
    asked
        A trainer heeds it before every rollout, and calls :meth:`stop` once there is a checkpoint.
    """

    def __init__(self) -> None:
        self.asked = False
        self._n_in_training, self._is_worker = 0, False

    @contextmanager
    def in_training(self) -> Iterator[None]:
        """The block trains an agent, and heeds :attr:`asked`."""
        self._n_in_training += 1
        try:
            yield
        finally:
            self._n_in_training -= 1

    def stop(self) -> None:
        """Stop now: by an interrupt, or in a worker by its end.

        Raises
        ------
        KeyboardInterrupt
            Always, if it returns at all.
        """
        if self._is_worker:
            os._exit(INTERRUPTED)
        raise KeyboardInterrupt

    def listen(self) -> None:
        """Take SIGINT and SIGTERM as the wish to stop, also where a shell started the process with them ignored."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._ask_once)

    def listen_as_worker(self) -> None:
        """The same in a worker, which hears of it from its parent alone."""
        self._is_worker = True
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        signal.signal(STOP_WORKER, self._ask)

    def listen_to_interrupts_as_worker(self) -> None:
        """The same where the parent may be on another machine: it has its framework interrupt the main thread."""
        self._is_worker = True
        signal.signal(signal.SIGINT, self._ask)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self.asked = True
        if self._n_in_training == 0:
            self.stop()

    def _ask_once(self, number: int, frame: FrameType | None) -> None:
        """Who asks twice does not want to wait."""
        if self.asked:
            os._exit(INTERRUPTED)
        self._ask(number, frame)


STOPPING = Stopping()
"""Of this process, as signals are."""
