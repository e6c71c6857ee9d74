"""Learners of teams need TorchRL, which is not installed with the rest."""

from __future__ import annotations

from importlib.util import find_spec

from envs.core.validation import SettingError


def check_torchrl(algorithm: str) -> None:
    """Whether TorchRL is installed.

    Raises
    ------
    SettingError
        It isn't; the extra that installs it is named.
    """
    if find_spec("torchrl") is None:
        raise SettingError("algorithm", "one whose packages are installed (pip install 'metabalance[team]')", algorithm)
