"""Progress on a terminal as a bar with rate and time left, elsewhere as plain lines."""

from __future__ import annotations

import time

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn, TimeRemainingColumn
from rich.text import Text

LINE_EVERY_S = 10.0


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed or 0.0
        return Text(f"{speed:,.0f} {task.fields['unit']}/s")


class TerminalProgress:
    """A bar per phase."""

    def __init__(self, console: Console) -> None:
        columns = (TextColumn("{task.description:<22}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"), _Rate())
        self._bars = Progress(*columns, TimeRemainingColumn(), console=console)
        self._task: TaskID | None = None

    def begin(self, phase: str, total: int, unit: str) -> None:
        self._finish()
        self._bars.start()
        self._task = self._bars.add_task(phase, total=total, unit=unit)

    def advance(self, n: int) -> None:
        if self._task is not None:
            self._bars.advance(self._task, n)

    def warn(self, line: str) -> None:
        self._bars.console.print(f"note: {line}", markup=False, highlight=False, soft_wrap=True)

    def _finish(self) -> None:
        """Fill the bar: training goes on to the end of a rollout, so totals are met or passed."""
        if self._task is not None:
            task = self._bars.tasks[self._task]
            self._bars.update(self._task, completed=task.total)

    def end(self) -> None:
        self._finish()
        self._task = None
        self._bars.stop()

    def close(self) -> None:
        self._bars.stop()


class PlainProgress:
    """A line when a phase begins, every ten seconds, and when it ends."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._phase, self._unit, self._total, self._done = "", "", 0, 0
        self._started_s = self._last_line_s = 0.0

    def begin(self, phase: str, total: int, unit: str) -> None:
        self.end()
        self._phase, self._unit, self._total, self._done = phase, unit, total, 0
        self._started_s = self._last_line_s = time.perf_counter()
        self._console.print(f"{phase}: {total:,} {unit}", highlight=False)

    def advance(self, n: int) -> None:
        self._done += n
        now_s = time.perf_counter()
        if now_s - self._last_line_s >= LINE_EVERY_S:
            self._last_line_s = now_s
            left_s = (self._total - self._done) * (now_s - self._started_s) / max(self._done, 1)
            self._console.print(f"{self._line(now_s)}, {max(left_s, 0):.0f} s left", highlight=False)

    def _line(self, now_s: float) -> str:
        rate = self._done / max(now_s - self._started_s, 1e-9)
        return f"{self._phase}: {self._done:,} of {self._total:,} {self._unit}, {rate:,.0f}/s"

    def warn(self, line: str) -> None:
        self._console.print(f"note: {line}", markup=False, highlight=False, soft_wrap=True)

    def end(self) -> None:
        if self._phase:
            self._console.print(f"{self._line(time.perf_counter())}, done", highlight=False)
        self._phase = ""

    def close(self) -> None:
        """Nothing is held."""


def progress(console: Console) -> TerminalProgress | PlainProgress:
    """What fits where the output goes."""
    return TerminalProgress(console) if console.is_terminal else PlainProgress(console)
