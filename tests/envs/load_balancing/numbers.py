"""Numbers of rules that have some, for tests that run them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from envs.core.rules import Rule


class First:
    """A trial that draws given numbers, and checks that they lie where they are drawn from."""

    def __init__(self, numbers: Mapping[str, Any]) -> None:
        self.numbers, self.used = numbers, set[str]()

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        return float(self._within(name, low, high))

    def suggest_int(self, name: str, low: int, high: int, *, log: bool = False) -> int:
        return int(self._within(name, low, high))

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        assert self.numbers[name] in choices, (name, self.numbers[name], choices)
        self.used.add(name)
        return self.numbers[name]

    def _within(self, name: str, low: float, high: float) -> Any:
        assert low <= self.numbers[name] <= high, (name, self.numbers[name], low, high)
        self.used.add(name)
        return self.numbers[name]


def numbers_of(rule: Rule, config: Any, place: int = 0) -> dict[str, Any]:
    """The numbers that a search tries first, as the rule makes them of a trial."""
    return rule.suggest(First(rule.first(config)[place]), config)
