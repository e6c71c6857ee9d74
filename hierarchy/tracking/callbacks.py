"""From a learner to the progress that is shown and to what records its figures."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from hierarchy.tracking.progress import Progress

Tell = Callable[[Mapping[str, float], int], None]
"""Takes in metrics of a step of training."""


class Recorder:
    """An observer that advances a progress and passes figures on."""

    def __init__(self, progress: Progress, tell: Tell) -> None:
        self._progress, self._tell = progress, tell
        self._n_steps = 0

    def on_step(self, n_steps: int) -> None:
        """So many steps more than before are done."""
        self._progress.advance(n_steps - self._n_steps)
        self._n_steps = n_steps

    def on_metrics(self, values: Mapping[str, float], n_steps: int) -> None:
        """Figures to record."""
        self._tell(values, n_steps)
