"""What is found for arms on selection seeds, before any evaluation seed is met."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, is_dataclass
from typing import Any

import numpy as np

from envs.core.arrays import FloatArray
from envs.core.rules import Numbers
from envs.core.spec import WorldSpec
from hierarchy.arms.racing import standard_error
from hierarchy.arms.scores import Scores, ranking
from hierarchy.arms.selection import Selection
from hierarchy.config import ExperimentConfig


@dataclass(frozen=True)
class Chosen:
    """Numbers that were chosen among many, and what is known of them.

    Attributes
    ----------
    numbers
        By name; of a mix the weight of every reward term.
    mean
        Objective on the selection seeds that they met.
    standard_error
        Of the mean; None after one seed.
    n_trials
        How many there were to choose from.
    n_cut_short
        How many of them did not meet as many seeds as the best.
    n_lower_steps
        Env steps that the choice took.
    beyond
        What mean costs exceeded their bounds by there, as a share of these; 0 within them.
    """

    numbers: Numbers
    mean: float
    standard_error: float | None
    n_trials: int
    n_cut_short: int
    n_lower_steps: int
    beyond: float = 0.0

    def mix(self, terms: Sequence[str]) -> FloatArray:
        """The numbers as a mix of reward terms ``(k,)``."""
        return np.array([self.numbers[term] for term in terms])


def chosen(candidates: Sequence[Numbers], scores: Sequence[Scores], n_cut_short: int, n_lower_steps: int) -> Chosen:
    """The best candidate by its scores, of those that met the most seeds."""
    place = ranking(scores)[0]
    best = scores[place]
    error = standard_error(best.objective) if len(best) > 1 else None
    return Chosen(candidates[place], best.mean, error, len(candidates), n_cut_short, n_lower_steps, best.beyond)


def is_record(value: Any) -> bool:
    """Whether it says by name what is known of it: a :class:`Chosen`, or another dataclass of plain values."""
    return is_dataclass(value) and not isinstance(value, type)


def to_plain(value: Any) -> Any:
    """What was found as plain values: a mapping of a record, a list of an array."""
    return asdict(value) if is_record(value) else np.asarray(value).tolist()


def no_steps(config: ExperimentConfig, spec: WorldSpec) -> int:
    """What costs nothing to find."""
    return 0


def fits_everywhere(value: Any, spec: WorldSpec) -> bool:
    """Means the same in all worlds of the agents."""
    return True


def has_its_terms(value: Chosen, spec: WorldSpec) -> bool:
    """A mix of other terms says nothing."""
    return value.numbers.keys() == set(spec.terms)


@dataclass(frozen=True)
class Found:
    """Something to be found; arms may share it.

    Attributes
    ----------
    name
        By which arms know it, and by which it is kept in the output folder.
    find
        From a selection and what was found before to numbers, an array, or what others are found from; a function of a
        module, since it may run in another process.
    n_lower_steps
        Env steps that it takes at most.
    needs
        What must be found before.
    one_job
        Whether it is one stretch of work that runs beside others, rather than many candidates side by side.
    kept
        Whether it is written to the output folder; then it is a record or an array.
    fits
        Whether what was found in one world says anything in another one.
    record
        The dataclass that it is, unless it is an array.
    """

    name: str
    find: Callable[[Selection, Mapping[str, Any]], Any]
    n_lower_steps: Callable[[ExperimentConfig, WorldSpec], int] = no_steps
    needs: tuple[Found, ...] = ()
    one_job: bool = False
    kept: bool = True
    fits: Callable[[Any, WorldSpec], bool] = fits_everywhere
    record: Callable[..., Any] = Chosen

    def from_plain(self, plain: Any) -> Any:
        """What was found, from plain values."""
        return self.record(**plain) if isinstance(plain, Mapping) else np.array(plain)


def dependencies_first(needs: Iterable[Found]) -> list[Found]:
    """All that must be found, each once, what others need first."""
    ordered: dict[str, Found] = {}
    for found in needs:
        for before in dependencies_first(found.needs):
            ordered.setdefault(before.name, before)
        ordered.setdefault(found.name, found)
    return list(ordered.values())
