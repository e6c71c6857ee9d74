"""What is found for arms on selection seeds, before any evaluation seed is met."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from envs.core.arrays import Array
from envs.core.spec import WorldSpec
from hierarchy.arms.selection import Selection
from hierarchy.config import ExperimentConfig


def no_steps(config: ExperimentConfig, spec: WorldSpec) -> int:
    """What costs nothing to find."""
    return 0


def fits_everywhere(value: Array, spec: WorldSpec) -> bool:
    """Means the same in all worlds of the agents: a mix, for one."""
    return True


@dataclass(frozen=True)
class Found:
    """Something to be found; arms may share it.

    Attributes
    ----------
    name
        By which arms know it, and by which it is kept in the output folder.
    find
        From a selection and what was found before to an array, or to what others are found from; a function of a module,
        since it may run in another process.
    n_lower_steps
        Env steps that it takes.
    needs
        What must be found before.
    one_job
        Whether it is one stretch of work that runs beside others, rather than many candidates side by side.
    kept
        Whether it is written to the output folder; then it is an array.
    fits
        Whether what was found in one world says anything in another one.
    """

    name: str
    find: Callable[[Selection, Mapping[str, Any]], Any]
    n_lower_steps: Callable[[ExperimentConfig, WorldSpec], int] = no_steps
    needs: tuple[Found, ...] = ()
    one_job: bool = False
    kept: bool = True
    fits: Callable[[Array, WorldSpec], bool] = fits_everywhere


def dependencies_first(needs: Iterable[Found]) -> list[Found]:
    """All that must be found, each once, what others need first."""
    ordered: dict[str, Found] = {}
    for found in needs:
        for before in dependencies_first(found.needs):
            ordered.setdefault(before.name, before)
        ordered.setdefault(found.name, found)
    return list(ordered.values())
