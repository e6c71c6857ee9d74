"""Names of arrays, in one place, and tuples of arrays that are declared once.

A named tuple declares each of its arrays with the names of its axes, `Annotated[FloatArray, "n_envs n_servers"]`, and
with what is in it at first where that is not 0; :func:`new_arrays` makes one for given lengths of the axes.
"""

from __future__ import annotations

import typing
from collections.abc import Mapping
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
FloatArray = NDArray[np.float64]
FloatArray32 = NDArray[np.float32]
IntArray = NDArray[np.int64]
IntArray8 = NDArray[np.int8]
IntArray32 = NDArray[np.int32]
ByteArray = NDArray[np.uint8]
BoolArray = NDArray[np.bool_]
StreamArray = NDArray[np.uint64]

T = TypeVar("T")


def new_arrays(kind: type[T], sizes: Mapping[str, int], **given: Any) -> T:
    """A named tuple of new arrays, one within another where it holds such tuples.

    Parameters
    ----------
    kind
        The type of the tuple.
    sizes
        Length of every axis by name; an axis may also be named by its length.
    given
        Fields that are there already.
    """
    hints = typing.get_type_hints(kind, include_extras=True)
    return kind(**{name: given[name] if name in given else _new(hint, sizes) for name, hint in hints.items()})


def _new(hint: Any, sizes: Mapping[str, int]) -> Any:
    if not hasattr(hint, "__metadata__"):
        return new_arrays(hint, sizes)
    axes, *fill = hint.__metadata__
    dtype = typing.get_args(typing.get_args(hint.__origin__)[1])[0]
    shape = [int(axis) if axis.isdigit() else sizes[axis] for axis in axes.split()]
    return np.full(shape, fill[0] if fill else 0, dtype)
