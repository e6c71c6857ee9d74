"""What runs a world without learning."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from envs.core.arrays import Array
from envs.core.validation import SettingError, is_finite
from envs.core.value_types import is_of

Numbers = Mapping[str, Any]
"""The numbers of a rule by name: plain values."""


class Controller(Protocol):
    """Measurements in, settings out, step by step: a rule, or a pair of trained agents."""

    def decide(self, measurements: Any) -> Array:
        """What to set until the next step, ``(n_envs, ...)``."""


class BaseRule(NamedTuple):
    """The rule that agents of a world start from, as far as settings say.

    Attributes
    ----------
    candidates
        Its name, or those of which the best is to be found.
    numbers
        Its numbers; none while they are to be found.
    knows
        What agents are told that start from it, see :attr:`Rule.knows`.
    """

    candidates: tuple[str, ...]
    numbers: Numbers
    knows: str


class Trial(Protocol):
    """Where a search has numbers drawn; each is named once."""

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        """A number of an interval, bounds included; on a logarithmic scale if ``log``."""

    def suggest_int(self, name: str, low: int, high: int, *, log: bool = False) -> int:
        """A whole number, bounds included."""

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """One of some choices."""


class Enqueued:
    """A trial that has all numbers as they are given; one that is not takes its lowest value, or the first choice."""

    def __init__(self, numbers: Numbers) -> None:
        self._numbers = numbers

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        return float(self._numbers.get(name, low))

    def suggest_int(self, name: str, low: int, high: int, *, log: bool = False) -> int:
        return int(self._numbers.get(name, low))

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        return self._numbers.get(name, choices[0])


class Given(Enqueued):
    """Numbers that settings give, held against what a search draws: one of its choices, an integer within its bounds, or a
    finite number not below 0 or the search's lower bound. A number may also go by another name there: :meth:`check_rest`.

    Raises
    ------
    SettingError
        One is not.
    """

    def __init__(self, numbers: Numbers) -> None:
        super().__init__(numbers)
        self._rest = dict(numbers)

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        return _number(name, self._rest.pop(name, low), min(low, 0.0))

    def suggest_int(self, name: str, low: int, high: int, *, log: bool = False) -> int:
        value = self._rest.pop(name, low)
        if not is_of(int, value) or not low <= value <= high:
            raise SettingError(f"actions.numbers.{name}", f"an integer >= {low} and <= {high}", repr(value))
        return int(value)

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        value = self._rest.pop(name, choices[0])
        if value not in choices:
            raise SettingError(f"actions.numbers.{name}", f"one of {', '.join(map(str, choices))}", repr(value))
        return value

    def check_rest(self) -> None:
        """Hold what the search has not asked for by its name against what numbers may be."""
        for name, value in self._rest.items():
            _number(name, value, 0.0)


def _number(name: str, value: object, least: float) -> float:
    if isinstance(value, (int, float)) and not isinstance(value, bool) and is_finite(value) and value >= least:
        return float(value)
    raise SettingError(f"actions.numbers.{name}", f"a finite number >= {least:g}", repr(value))


MEASUREMENTS = "measurements"
"""What is known to who is told nothing else."""


class Rule(Protocol):
    """A controller that needs no training; an entry in the `RULES` of a world's family.

    But for :meth:`configured`, ``config`` are the world's settings as the rule has them. Of a rule without numbers nobody
    calls :meth:`first` and :meth:`suggest`.
    """

    @property
    def has_numbers(self) -> bool:
        """Whether it has numbers that are to be found by search."""

    @property
    def knows(self) -> str:
        """What it is told beside its numbers: `MEASUREMENTS`, or in a word what else."""

    @property
    def is_oracle(self) -> bool:
        """Whether it is told what nobody is who acts in the world: it is compared with, and never chosen."""

    def suits(self, config: Any) -> bool:
        """Whether it has anything to go by in the world."""

    def configured(self, config: Any) -> Any:
        """The world's settings as the rule has them."""

    def first(self, config: Any) -> Sequence[Numbers]:
        """Numbers that a search tries first, by the names and within the ranges of :meth:`suggest`."""

    def suggest(self, trial: Trial, config: Any) -> dict[str, Any]:
        """Numbers for a trial of the search."""

    def start(self, config: Any, n_envs: int, values: Sequence[Numbers] = ()) -> Controller:
        """The rule from the beginning of the episodes of a batch on.

        ``values`` are its numbers: one mapping for all envs, or one per env; none for a rule without numbers.
        """
