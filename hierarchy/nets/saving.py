"""Networks as arrays by name and back: what is missing, too much, of another shape or no number is refused."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import numpy as np
import torch as th
from torch import nn

from envs.core.arrays import Array
from envs.core.validation import SettingError, build
from hierarchy.protocols import SavedAgent

ACTING = "acting."
"""What acts is named so among the arrays of an agent; the rest is there for training to go on with."""

Form = TypeVar("Form")
Module = TypeVar("Module", bound=nn.Module)
Tensors = dict[str, th.Tensor]


def described(algorithm: str, form: Any) -> dict[str, Any]:
    """What an agent is, as plain values."""
    return {"algorithm": algorithm, "form": dataclasses.asdict(form)}


def check_algorithm(saved: SavedAgent, algorithm: str) -> None:
    """An agent was trained by an algorithm.

    Raises
    ------
    SettingError
        By another one.
    """
    found = saved.description.get("algorithm")
    if found != algorithm:
        raise SettingError("algorithm", f"{found}, that of {saved.name}", algorithm)


def check_form(saved: SavedAgent, form: Mapping[str, Any]) -> None:
    """The networks of an agent are those that a form describes.

    Raises
    ------
    SettingError
        They are others; the first part of the form that differs is named.
    """
    found = saved.description.get("form")
    if found == form:
        return
    others = found if isinstance(found, Mapping) else {}
    name = next(name for name in (*form, *others) if others.get(name) != form.get(name))
    said = f"one with {name} {others.get(name)}, not {form.get(name)}"
    raise SettingError(saved.name, "an agent whose networks have the same form", said)


def form_in(saved: SavedAgent, form_type: type[Form]) -> Form:
    """What an agent's networks are.

    Raises
    ------
    SettingError
        It doesn't say, or something that can't be.
    """
    form: Form = build(form_type, saved.description.get("form", None), "form")
    return form


def unfilled(make: Callable[[], Module]) -> Module:
    """A module whose parameters take no memory."""
    with th.device("meta"):
        return make()


def filled(module: Module, saved: SavedAgent) -> Module:
    """A module of :func:`unfilled` with the parameters of a saved agent.

    Raises
    ------
    SettingError
        They don't fit.
    """
    acting = {name: array for name, array in saved.arrays.items() if name.startswith(ACTING)}
    wanted = {ACTING + name: tensor for name, tensor in module.state_dict().items()}
    check_arrays(wanted, acting, saved.name)
    values = {name.removeprefix(ACTING): th.from_numpy(array.copy()) for name, array in acting.items()}
    module.load_state_dict(values, assign=True)
    return module.requires_grad_(False)


def fill(tensors: Tensors, arrays: Mapping[str, Array], name: str) -> None:
    """Give tensors other values, in place.

    Raises
    ------
    SettingError
        They don't fit; nothing has changed.
    """
    check_arrays(tensors, arrays, name)
    with th.no_grad():
        for key, tensor in tensors.items():
            tensor.copy_(th.from_numpy(arrays[key].copy()))


def take_over(tensors: Tensors, saved: SavedAgent, description: Mapping[str, Any]) -> bool:
    """Give tensors, those of an agent that a description tells of, what a saved one has learned: all of it, or what acts
    where that is all that was kept.

    Returns
    -------
    Whether it was all.

    Raises
    ------
    SettingError
        It is of another algorithm, its networks have another form, or they don't fit; nothing has changed.
    """
    check_algorithm(saved, description["algorithm"])
    check_form(saved, description["form"])
    has_rest = any(not name.startswith(ACTING) for name in saved.arrays)
    taken = {name: tensor for name, tensor in tensors.items() if has_rest or name.startswith(ACTING)}
    fill(taken, saved.arrays, saved.name)
    return len(taken) == len(tensors)


def check_arrays(wanted: Mapping[str, th.Tensor], found: Mapping[str, Array], name: str) -> None:
    """Arrays are those of a network: all of them and no others, of the same shapes and kinds, of finite numbers.

    Raises
    ------
    SettingError
        The first that is not.
    """
    missing, extra = sorted(wanted.keys() - found.keys()), sorted(found.keys() - wanted.keys())
    if missing or extra:
        said = f"without {missing[0]}" if missing else f"with {extra[0]}"
        raise SettingError(name, "the parameters of its networks and no others", said)
    for key, tensor in wanted.items():
        array = found[key]
        shape, kind = tuple(tensor.shape), str(tensor.dtype).removeprefix("torch.")
        if (array.shape, str(array.dtype)) != (shape, kind):
            raise SettingError(name, f"with {key} of {kind} {shape}", f"{array.dtype} {array.shape}")
        if not np.isfinite(array).all():
            raise SettingError(name, f"with numbers in {key} that are finite", "others")


def arrays_of(tensors: Tensors) -> dict[str, Array]:
    """Copies of tensors as arrays."""
    return {name: np.array(tensor.detach().numpy(), order="C") for name, tensor in tensors.items()}


def kept(name: str, algorithm: str, form: Any, module: nn.Module) -> SavedAgent:
    """What acts, to be kept by that name."""
    return SavedAgent(name, described(algorithm, form), arrays_of(acting_tensors(module)))


def acting_tensors(module: nn.Module) -> Tensors:
    """The parameters of what acts, by name."""
    return {ACTING + name: tensor for name, tensor in module.state_dict().items()}
