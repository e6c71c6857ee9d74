"""What is searched: settings by dotted name, each with the values that it may take. Importing it costs no torch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeGuard

from envs.core.validation import SettingError

if TYPE_CHECKING:
    from optuna.trial import BaseTrial

Values = dict[str, Any]
"""Of settings, by dotted name."""


class Dimension(Protocol):
    """The values that one setting may take."""

    @property
    def ends(self) -> tuple[Any, ...]:
        """Those that are held against what settings allow before anything runs."""

    @property
    def n_values(self) -> float:
        """How many there are; infinite for a range of real numbers."""

    def kept(self, value: object) -> float | None:
        """A value as Optuna keeps it; None if it is none of them."""

    def suggest(self, trial: BaseTrial, name: str) -> Any:
        """One of them for a trial: that which it has already, if it has."""

    def plain(self) -> dict[str, Any]:
        """As a file of a space has it."""


Space = Mapping[str, Dimension]


def is_number(value: object) -> TypeGuard[float]:
    """Whether a value is a number; true and false are none."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


@dataclass(frozen=True)
class Range:
    """Numbers from ``low`` to ``high``, both included; integers where both are.

    Attributes
    ----------
    log
        Drawn evenly over their logarithm.
    step
        Between two of them; None for all real numbers, 1 for integers.
    """

    low: float
    high: float
    log: bool = False
    step: float | None = None

    def __post_init__(self) -> None:
        if not all(math.isfinite(bound) for bound in (self.low, self.high)):
            raise SettingError("low", "finite, as high", f"{self.low} with high {self.high}")
        if self.low > self.high:
            raise SettingError("low", f"<= high ({self.high})", self.low)
        if self.log and self.low <= 0:
            raise SettingError("low", "> 0 with log", self.low)
        if self.step is not None:
            self._check_step(self.step)

    def _check_step(self, step: float) -> None:
        if self.log:
            raise SettingError("step", "left out with log", step)
        if not step > 0:
            raise SettingError("step", "> 0", step)
        n_steps = (self.high - self.low) / step
        if not math.isclose(n_steps, round(n_steps), abs_tol=1e-9):
            raise SettingError("step", f"a divisor of high - low ({self.high - self.low:g})", step)

    @property
    def is_whole(self) -> bool:
        """Whether these are integers."""
        return isinstance(self.low, int) and isinstance(self.high, int)

    @property
    def ends(self) -> tuple[float, ...]:
        return (self.low,) if self.low == self.high else (self.low, self.high)

    @property
    def n_values(self) -> float:
        step = self.step or (1 if self.is_whole else 0)
        return round((self.high - self.low) / step) + 1 if step else math.inf if self.high > self.low else 1

    def kept(self, value: object) -> float | None:
        if not is_number(value) or not self.low <= value <= self.high:
            return None
        n_steps = 0.0 if self.step is None else (value - self.low) / self.step
        return value if math.isclose(n_steps, round(n_steps), abs_tol=1e-9) else None

    def suggest(self, trial: BaseTrial, name: str) -> float:
        if self.is_whole:
            return trial.suggest_int(name, int(self.low), int(self.high), step=int(self.step or 1), log=self.log)
        return trial.suggest_float(name, self.low, self.high, step=self.step, log=self.log)

    def plain(self) -> dict[str, Any]:
        stepped = {} if self.step is None else {"step": self.step}
        return {"low": self.low, "high": self.high, **({"log": True} if self.log else {}), **stepped}


@dataclass(frozen=True)
class Choices:
    """Values of any kind, none of them nearer to one than to another."""

    choices: Sequence[Any]

    def __post_init__(self) -> None:
        if not self.choices:
            raise SettingError("choices", "a list of at least 1", "[]")
        if any(one in self.choices[:place] for place, one in enumerate(self.choices)):
            raise SettingError("choices", "values of which no two are the same", list(self.choices))

    @property
    def ends(self) -> tuple[Any, ...]:
        return tuple(self.choices)

    @property
    def n_values(self) -> float:
        return len(self.choices)

    def kept(self, value: object) -> float | None:
        return self.choices.index(value) if value in self.choices else None

    def suggest(self, trial: BaseTrial, name: str) -> Any:
        return self.choices[trial.suggest_categorical(name, range(len(self.choices)))]

    def plain(self) -> dict[str, Any]:
        return {"choices": list(self.choices)}


def dimension_of(plain: Mapping[str, Any]) -> Dimension:
    """The inverse of `Dimension.plain`.

    Raises
    ------
    SettingError
        A value is not allowed.
    """
    return Choices(plain["choices"]) if "choices" in plain else Range(**plain)


def corners(space: Space) -> list[Values]:
    """Every end of every setting, with the others at their first ends and at their last ones."""
    firsts, lasts = ({name: one.ends[place] for name, one in space.items()} for place in (0, -1))
    out = [firsts, lasts]
    for name, one in space.items():
        for end in one.ends:
            out += [{**others, name: end} for others in (firsts, lasts)]
    return [corner for place, corner in enumerate(out) if corner not in out[:place]]
