"""Asks a controller how things stand."""

from __future__ import annotations

import http.client
import json
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from envs.core.validation import SettingError

PORT = 9180
"""That is asked where none is given."""
TIMEOUT_S = 2.0
MOST_BYTES = 1 << 24
KEYS = {"servers", "backends", "recent", "unready_because"}
"""Some of what a state has, by which it is known."""


class NoAnswerError(Exception):
    """Nobody answers, or somebody else."""


class Address(NamedTuple):
    """Where a controller is."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def address_of(text: str) -> Address:
    """An address as it is written.

    Raises
    ------
    SettingError
        It is none.
    """
    try:
        split = urlsplit(text if "://" in text else f"http://{text}")
        port = split.port
    except ValueError:
        split, port = urlsplit(""), None
    if split.scheme != "http" or not split.hostname or split.path.strip("/"):
        raise SettingError("address", "HOST:PORT", text)
    return Address(split.hostname, PORT if port is None else port)


def ask(address: Address) -> dict[str, Any]:
    """The state of the controller there.

    Raises
    ------
    NoAnswerError
        There is none.
    """
    connection = http.client.HTTPConnection(address.host, address.port, timeout=TIMEOUT_S)
    try:
        connection.request("GET", "/state")
        body = connection.getresponse().read(MOST_BYTES)
        state = json.loads(body)
    except OSError as error:
        raise NoAnswerError(error.strerror or str(error)) from None
    except (http.client.HTTPException, ValueError):
        raise NoAnswerError("it is no metabalance serve") from None
    finally:
        connection.close()
    if not isinstance(state, dict) or not state.keys() >= KEYS:
        raise NoAnswerError("it is no metabalance serve")
    return state
