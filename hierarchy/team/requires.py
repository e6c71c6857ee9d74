"""Learners of teams need TorchRL, which is not installed with the rest."""

from __future__ import annotations

from hierarchy.extras import check_extra


def check_torchrl(algorithm: str) -> None:
    """Whether TorchRL is installed.

    Raises
    ------
    SettingError
        It isn't; the extra that installs it is named.
    """
    check_extra("team", ("torchrl",), "algorithm", algorithm)
