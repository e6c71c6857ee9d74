"""An `info` of a batch in the forms that Gymnasium has for it."""

from __future__ import annotations

from envs.core.arrays import BoolArray
from envs.core.dynamics import Info


def of_env(info: Info, env: int) -> Info:
    """The info of one env."""
    out: Info = {}
    for key, value in info.items():
        if isinstance(value, dict):
            out[key] = of_env(value, env)
        else:
            out[key] = None if value is None else value[env]
    return out


def masked(info: Info, mask: BoolArray) -> Info:
    """Each entry with a mask ``_entry (n_envs,)`` of where it holds."""
    out: Info = {}
    for key, value in info.items():
        out[key] = masked(value, mask) if isinstance(value, dict) else value
        out[f"_{key}"] = mask.copy()
    return out
