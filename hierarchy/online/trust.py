"""A trust region around the mixes of a deployed agent."""

from __future__ import annotations

import numpy as np

from envs.core.arrays import FloatArray


def distance(one: FloatArray, other: FloatArray) -> FloatArray:
    """Total variation between mixes ``(..., k)``: the share of one that stands elsewhere in the other, in [0, 1]."""
    half: FloatArray = np.abs(one - other).sum(-1) / 2.0
    return half


def held_near(deployed: FloatArray, asked: FloatArray, trust: float) -> FloatArray:
    """The mixes ``(..., k)`` that are asked for, or where these are further off, those on the way to them that are ``trust``
    away from the deployed ones.
    """
    away = distance(deployed, asked)
    share = np.minimum(1.0, trust / np.maximum(away, 1e-12))
    held: FloatArray = deployed + share[..., None] * (asked - deployed)
    return held
