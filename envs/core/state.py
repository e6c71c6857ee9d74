"""State trees: everything that moves as named arrays and numbers, taken out and put back exactly.

A part of the world that remembers something has :meth:`get_state` and :meth:`set_state`. For a plain class
:func:`state_of` and :func:`restore` take its arrays, numbers and tuples of arrays. Names nest; nothing is pickled.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol, runtime_checkable

import numpy as np

Tree = dict[str, Any]
"""Name to array, number, text, None or tree."""

Plain = (bool, int, float, str, np.generic)


@runtime_checkable
class Stateful(Protocol):
    """What remembers something."""

    def get_state(self) -> Tree:
        """A copy of all that moves."""

    def set_state(self, state: Tree) -> None:
        """Go back to it, exactly."""


def _is_arrays(value: object) -> bool:
    """Whether a value is an array, or a tuple of such."""
    if isinstance(value, tuple):
        return all(_is_arrays(part) for part in value)
    return isinstance(value, np.ndarray)


def _named(value: tuple[Any, ...]) -> Iterable[tuple[str, Any]]:
    """The parts of a tuple by name, or else by number."""
    names = getattr(value, "_fields", None) or map(str, range(len(value)))
    return zip(names, value, strict=True)


def copied(value: Any) -> Any:
    """A copy of an array, or of a tuple of arrays as a tree; numbers as they are."""
    if isinstance(value, tuple):
        return {name: copied(part) for name, part in _named(value)}
    return value.copy() if isinstance(value, np.ndarray) else value


def _put(value: Any, state: Any, name: str) -> None:
    """Write a state into an array, or into the arrays of a tuple."""
    if isinstance(value, tuple):
        for field, part in _named(value):
            _put(part, state[field], f"{name}/{field}")
        return
    if value.shape != np.shape(state) or value.dtype != np.asarray(state).dtype:
        was = np.asarray(state)
        raise ValueError(f"state {name} must be {value.dtype} {value.shape}, got {was.dtype} {was.shape}")
    value[...] = state


def state_of(part: object) -> Tree:
    """The state of a part: what it says itself, or else the arrays and numbers among its attributes."""
    if isinstance(part, Stateful):
        return part.get_state()
    return attributes_of(part)


def attributes_of(part: object) -> Tree:
    """The arrays, tuples of arrays and numbers among the attributes of a part."""
    attributes = getattr(part, "__dict__", {})
    return {name: copied(value) for name, value in attributes.items() if _is_arrays(value) or isinstance(value, Plain)}


def restore(part: object, state: Mapping[str, Any]) -> None:
    """Put a part back into a state.

    Arrays of the same shape are written in place, so that what shares them keeps sharing them.

    Raises
    ------
    ValueError
        The state has other names, or arrays of another shape or type.
    """
    if isinstance(part, Stateful):
        part.set_state(dict(state))
        return
    restore_attributes(part, state)


def restore_attributes(part: object, state: Mapping[str, Any]) -> None:
    """:func:`restore` for the attributes of a plain class."""
    for name, value in state.items():
        now = getattr(part, name)
        if isinstance(now, np.ndarray) and np.shape(value) != now.shape:
            setattr(part, name, np.array(value))
        elif _is_arrays(now):
            _put(now, value, name)
        else:
            setattr(part, name, value)


def states_of(parts: Iterable[object]) -> Tree:
    """The states of several parts, by their number."""
    return {str(index): state_of(part) for index, part in enumerate(parts)}


def restore_all(parts: Iterable[object], state: Mapping[str, Any]) -> None:
    """Put several parts back, see :func:`states_of`."""
    for index, part in enumerate(parts):
        restore(part, state[str(index)])


def flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """The leaves of a tree by their path, names joined by ``/``."""
    leaves: dict[str, Any] = {}
    for name, value in tree.items():
        path = f"{prefix}{name}"
        leaves |= flatten(value, f"{path}/") if isinstance(value, Mapping) else {path: value}
    return leaves


def nested(leaves: Mapping[str, Any]) -> Tree:
    """The tree of leaves by path; the inverse of :func:`flatten` but for empty branches."""
    tree: Tree = {}
    for path, value in leaves.items():
        *branches, name = path.split("/")
        place = tree
        for branch in branches:
            place = place.setdefault(branch, {})
        place[name] = value
    return tree
