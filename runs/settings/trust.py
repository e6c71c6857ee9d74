"""Whom a command that takes settings from a folder is told to trust."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hierarchy.storage.settings import TRUST_OPTION
from runs.settings.options import switch


@dataclass(frozen=True, kw_only=True)
class TrustOptions:
    """The option of all commands that take settings from a folder."""

    trust_factory: bool = switch()
    """import the factory that the settings of the folder name: code that whoever made the folder chose"""


def trusts_factory(arguments: Sequence[str]) -> bool:
    """Whether a command line trusts the factory that a folder names, asked before there is a parser."""
    return TRUST_OPTION in arguments
