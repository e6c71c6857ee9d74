"""Packages that are not installed with the rest, but by an extra."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.util import find_spec

from envs.core.validation import SettingError


def check_extra(extra: str, packages: Iterable[str], path: str, value: object) -> None:
    """Whether the packages of an extra are installed, which a setting at ``path`` needs for its ``value``.

    Raises
    ------
    SettingError
        One isn't; the extra that installs it is named.
    """
    if any(find_spec(package) is None for package in packages):
        raise SettingError(path, f"one whose packages are installed (pip install 'metabalance[{extra}]')", value)
