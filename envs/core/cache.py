"""Where compiled code is kept: beside the package, in the user's cache or among temporary files, where one can write."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import platformdirs

NAME = "metabalance"


def cache_folder(package: Path) -> Path:
    """A folder for what is made once and used again.

    Parameters
    ----------
    package
        The folder of the package. Where that can't be written to, as in an installation for all users, the folder is in the
        user's cache; without a home that can be written to it is the user's own among temporary files.
    """
    for folder in (package / "__pycache__", Path(platformdirs.user_cache_dir(NAME))):
        if _is_writable(folder):
            return folder
    return _temporary_folder()


def _is_writable(folder: Path) -> bool:
    """Whether files can be put into a folder, which is made if need be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def _temporary_folder() -> Path:
    """One's own from run to run; a new one if somebody else took its name, since what lies in it is code."""
    user = os.getuid() if hasattr(os, "getuid") else 0
    folder = Path(tempfile.gettempdir()) / f"{NAME}-{user}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        is_own = folder.stat().st_uid == user and not folder.is_symlink() and not folder.stat().st_mode & 0o022
    except OSError:
        is_own = False
    return folder if is_own else Path(tempfile.mkdtemp(prefix=f"{NAME}-"))
