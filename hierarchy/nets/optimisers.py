"""Parameters and what an optimiser has gathered, as trees of arrays and back."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch as th


def plain(values: Any) -> Any:
    """Parameters of a network or what an optimiser has gathered, by name: tensors as arrays."""
    if isinstance(values, th.Tensor):
        return values.detach().numpy().copy()
    if "param_groups" in values:
        rates = {str(n): group["lr"] for n, group in enumerate(values["param_groups"])}
        return {"gathered": {str(n): plain(of_one) for n, of_one in values["state"].items()}, "learning_rates": rates}
    return {name: plain(value) for name, value in values.items()}


def like(now: Any, kept: Any) -> Any:
    """The inverse of :func:`plain`; settings of an optimiser are those of now."""
    if isinstance(now, th.Tensor):
        return th.as_tensor(np.asarray(kept)).to(now.dtype)
    if "param_groups" in now:
        rates = kept["learning_rates"]
        groups = [{**group, "lr": rates[str(n)]} for n, group in enumerate(now["param_groups"])]
        gathered = {
            int(n): {name: th.as_tensor(np.asarray(value)) for name, value in of_one.items()}
            for n, of_one in kept["gathered"].items()
        }
        return {"state": gathered, "param_groups": groups}
    return {name: like(value, kept[name]) for name, value in now.items()}
