"""State trees: everything that moves as named arrays and numbers, taken out and put back exactly.

A part that remembers something in arrays, numbers or tuples of arrays among its attributes needs no code for it:
:func:`state_of` and :func:`restore` take and put back these. One that remembers otherwise, or holds arrays that never move,
has :meth:`get_state` and :meth:`set_state`. Names nest; nothing is pickled.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

Tree = dict[str, Any]
"""Name to array, number or tree."""

NUMBERS = (bool, int, float, np.generic)


@runtime_checkable
class Stateful(Protocol):
    """What remembers something."""

    def get_state(self) -> Tree:
        """A copy of all that moves."""

    def set_state(self, state: Tree) -> None:
        """Go back to it, exactly."""


def generator_state(generator: np.random.Generator) -> NDArray[np.uint64]:
    """The state of a PCG64 generator ``(6,)``: its two numbers of 128 bits in halves, and what it has left over."""
    state: Any = generator.bit_generator.state
    numbers = [half for name in ("state", "inc") for half in divmod(state["state"][name], 2**64)]
    return np.array([*numbers, state["has_uint32"], state["uinteger"]], np.uint64)


def set_generator_state(generator: np.random.Generator, state: NDArray[np.uint64]) -> None:
    """Go back to a state of :func:`generator_state`."""
    high, low, inc_high, inc_low, has_uint32, uinteger = map(int, state)
    numbers = {"state": (high << 64) + low, "inc": (inc_high << 64) + inc_low}
    generator.bit_generator.state = {
        "bit_generator": "PCG64",
        "state": numbers,
        "has_uint32": has_uint32,
        "uinteger": uinteger,
    }


def _is_arrays(value: object) -> bool:
    """Whether a value is an array, or a tuple of such."""
    fields = _fields_of(value)
    return isinstance(value, np.ndarray) if fields is None else all(map(_is_arrays, fields.values()))


def _fields_of(value: Any) -> dict[str, Any] | None:
    """The parts of a tuple by name, or else by number; None for anything else."""
    if not isinstance(value, tuple):
        return None
    names = getattr(value, "_fields", None) or map(str, range(len(value)))
    return dict(zip(names, value, strict=True))


def copied(value: Any) -> Any:
    """A copy of an array, or of a tuple of arrays as a tree; numbers as they are."""
    fields = _fields_of(value)
    if fields is not None:
        return {name: copied(part) for name, part in fields.items()}
    return value.copy() if isinstance(value, np.ndarray) else value


def _put(value: Any, state: Any, name: str) -> None:
    """Write a state into an array, or into the arrays of a tuple."""
    fields = _fields_of(value)
    if fields is not None:
        for field, part in fields.items():
            _put(part, state[field], f"{name}/{field}")
        return
    if value.shape != np.shape(state) or value.dtype != np.asarray(state).dtype:
        was = np.asarray(state)
        raise ValueError(f"state {name} must be {value.dtype} {value.shape}, got {was.dtype} {was.shape}")
    value[...] = state


def state_of(part: object) -> Tree:
    """The state of a part: its own, or else the arrays and numbers among its attributes."""
    if isinstance(part, Stateful):
        return part.get_state()
    return attributes_of(part)


def _moves(value: object) -> bool:
    return isinstance(value, NUMBERS) or _is_arrays(value)


def attributes_of(part: object) -> Tree:
    """The arrays, tuples of arrays and numbers among the attributes of a part."""
    return {name: copied(value) for name, value in getattr(part, "__dict__", {}).items() if _moves(value)}


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
    restore_attributes(part, state, [name for name, value in getattr(part, "__dict__", {}).items() if _moves(value)])


def restore_attributes(part: object, state: Mapping[str, Any], names: Iterable[str]) -> None:
    """Put back the attributes of these names; for errors see :func:`restore`."""
    if set(state) != set(names):
        wanted, given = (", ".join(sorted(one)) or "nothing" for one in (names, state))
        raise ValueError(f"state of {type(part).__name__} must hold {wanted}, got {given}")
    for name, value in state.items():
        now = getattr(part, name)
        if isinstance(now, np.ndarray) and np.shape(value) != now.shape:
            setattr(part, name, np.array(value))
        elif _is_arrays(now):
            _put(now, value, name)
        else:
            setattr(part, name, copied(value))


def rows_of(tree: Mapping[str, Any], rows: NDArray[np.int64], n_envs: int) -> Tree:
    """The same tree of other envs: env ``i`` is what env ``rows[i]`` was. Arrays lead with ``n_envs``, numbers stay.

    Raises
    ------
    ValueError
        An array does not lead with the envs, so its rows can't be told apart.
    """
    taken: Tree = {}
    for name, value in tree.items():
        if isinstance(value, Mapping):
            taken[name] = rows_of(value, rows, n_envs)
        elif isinstance(value, np.ndarray):
            if value.shape[:1] != (n_envs,):
                raise ValueError(f"state {name} must lead with the {n_envs} envs, got shape {value.shape}")
            taken[name] = value[rows]
        else:
            taken[name] = value
    return taken


def merged(mask: NDArray[np.bool_], ours: Any, theirs: Any) -> Any:
    """What is ``ours`` where ``mask (n_envs,)`` is set and ``theirs`` elsewhere.

    Arrays that lead with the envs, and named tuples and trees of them; a number is ours.
    """
    if isinstance(ours, Mapping):
        return {name: merged(mask, value, theirs[name]) for name, value in ours.items()}
    if isinstance(ours, tuple):
        return type(ours)(*(merged(mask, *pair) for pair in zip(ours, theirs, strict=True)))
    if isinstance(ours, np.ndarray):
        return np.where(mask.reshape(-1, *(1,) * (ours.ndim - 1)), ours, theirs)
    return ours


def states_of(parts: Iterable[object]) -> Tree:
    """The states of several parts, by their number."""
    return {str(index): state_of(part) for index, part in enumerate(parts)}


def restore_all(parts: Iterable[object], state: Mapping[str, Any]) -> None:
    """Put several parts back, see :func:`states_of`."""
    for index, part in enumerate(parts):
        restore(part, state[str(index)])


def flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """The leaves of a tree by their path, names joined by ``/``; an empty branch is an empty array at ``path/``."""
    leaves: dict[str, Any] = {} if tree or not prefix else {prefix: np.zeros(0)}
    for name, value in tree.items():
        path = f"{prefix}{name}"
        leaves |= flatten(value, f"{path}/") if isinstance(value, Mapping) else {path: value}
    return leaves


def nested(leaves: Mapping[str, Any]) -> Tree:
    """The tree of leaves by path: the inverse of :func:`flatten`."""
    tree: Tree = {}
    for path, value in leaves.items():
        *branches, name = path.split("/")
        place = tree
        for branch in branches:
            place = place.setdefault(branch, {})
        if name:
            place[name] = value
    return tree
