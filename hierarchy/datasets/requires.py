"""Datasets need Minari and learners from them d3rlpy, which are not installed with the rest."""

from __future__ import annotations

from hierarchy.extras import check_extra

EXTRA = "offline"
FORMAT = ("minari", "h5py")
LEARNERS = (*FORMAT, "d3rlpy")


def check_minari(path: str, value: object) -> None:
    """Whether what reads and writes datasets is installed; for ``path`` and ``value`` see `check_extra`.

    Raises
    ------
    SettingError
        It isn't; the extra that installs it is named.
    """
    check_extra(EXTRA, FORMAT, path, value)


def check_d3rlpy(algorithm: str) -> None:
    """Whether what learns from datasets is installed.

    Raises
    ------
    SettingError
        It isn't; the extra that installs it is named.
    """
    check_extra(EXTRA, LEARNERS, "algorithm", algorithm)
