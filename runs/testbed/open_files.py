"""How many files, which connections are too, this process may have open."""

from __future__ import annotations

import resource

from envs.core.validation import SettingError


def allow_most() -> int:
    """Raise the soft limit to the hard one; returns it."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return most


def allow(n: int, path: str) -> None:
    """Raise the soft limit to ``n`` if it is below.

    Raises
    ------
    SettingError
        The hard limit is lower; the error names the setting ``path`` that asks for so many.
    """
    now, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if n > most != resource.RLIM_INFINITY:
        raise SettingError(path, f"such that {most} open files are enough (ulimit -Hn)", n)
    if n > now != resource.RLIM_INFINITY:
        resource.setrlimit(resource.RLIMIT_NOFILE, (n, most))
