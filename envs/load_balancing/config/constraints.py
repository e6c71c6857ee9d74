"""What is to be kept within bounds, beside whatever is rewarded."""

from __future__ import annotations

from dataclasses import dataclass

from envs.core.validation import check, setting


@dataclass(frozen=True)
class Constraints:
    """Bounds on means over an episode; None leaves a thing unbounded."""

    load: float | None = setting(None, ge=0, le=1)
    """share of the steps with the most loaded server above `load_level`"""
    load_level: float = setting(0.8, gt=0, lt=1)
    """share of a server's cores in use, over the last `load_span_s`"""
    load_span_s: float = setting(10.0, gt=0, le=3600)
    """seconds that a server's load is the mean of"""
    late: float | None = setting(None, ge=0, le=1)
    """late requests, of those that come"""
    lost: float | None = setting(None, ge=0, le=1)
    """lost and rejected requests, of those that come"""
    spend_usd_per_h: float | None = setting(None, ge=0)
    """what servers cost"""

    def __post_init__(self) -> None:
        check(self)
