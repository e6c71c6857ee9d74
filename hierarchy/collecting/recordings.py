"""What a real balancer has left in files, and why no dataset can be made of it."""

from __future__ import annotations

from pathlib import Path

from envs.core.validation import SettingError
from envs.haproxy.log import FORMAT
from hierarchy.live.audit import START

FOLDER = "the folder of an experiment or a bundle"
WITHOUT = {
    "an audit file of serve": "no observations, only a digest of what was measured, and no reward terms",
    "a log of HAProxy": "no mixes, no weights and no states of servers, only requests that have ended",
}
"""What such a file lacks of a dataset."""


def check_no_recording(path: Path) -> None:
    """A dataset is not to be made of a file.

    Raises
    ------
    SettingError
        It is; what the file lacks is told if it is one of a real balancer.
    """
    if not path.is_file():
        return
    with path.open("rb") as file:
        first = file.readline(1 << 16)
    kind = _kind_of(first)
    lacks = f" ({kind} has {WITHOUT[kind]})" if kind else ""
    raise SettingError("folder", f"{FOLDER}{lacks}", path)


def _kind_of(line: bytes) -> str | None:
    """What a file is whose first line that is."""
    if line.startswith(START):
        return "an audit file of serve"
    return "a log of HAProxy" if f"{FORMAT} ".encode() in line else None
