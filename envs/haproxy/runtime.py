"""The Runtime API of HAProxy over its stats socket: several commands in one round trip, errors as exceptions.

HAProxy ends every answer with an empty line, and closes the connection after the last; with numbers of severity before them,
refusals are told from what was asked for (HAProxy 2.6, management guide, sections 9.3 and 9.4).
"""

from __future__ import annotations

import csv
import re
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from envs.core.validation import SettingError
from envs.haproxy.addresses import host_and_port, is_path

TIMEOUT_S = 1.0
MAX_WEIGHT = 256
"""Weights are integers from 0, which drains, to this."""
WITH_SEVERITIES = "set severity-output number"
REFUSAL = re.compile(r"\[(\d)\]: (.*)", re.DOTALL)
WORST_INFORMATION = 4
"""Severities up to warning, which is this, are refusals; notices and information are not."""
UNKNOWN = "Unknown command"
"""How HAProxy begins its help, which it gives as information."""
NAME = re.compile(r"[\w.:-]+")
"""What names of proxies and servers are made of; nothing else is let into a command."""


class RuntimeApiError(Exception):
    """HAProxy refused a command."""


class NoSuchProxyError(RuntimeApiError):
    """There is no such backend."""


class NoSuchServerError(RuntimeApiError):
    """There is no such server in the backend."""


class NotPermittedError(RuntimeApiError):
    """The socket does not let one do this; setting weights takes level admin."""


class BadWeightError(RuntimeApiError):
    """The weight is none that HAProxy takes, for the way in which the backend balances at least."""


class UnknownCommandError(RuntimeApiError):
    """This version has no such command."""


class UnreachableError(RuntimeApiError):
    """Nobody answers at the socket, or not in time."""


KINDS: tuple[tuple[str, type[RuntimeApiError]], ...] = (
    (UNKNOWN, UnknownCommandError),
    ("Permission denied", NotPermittedError),
    ("No such server", NoSuchServerError),
    ("No such backend", NoSuchProxyError),
    ("No such proxy", NoSuchProxyError),
    ("Can't find backend", NoSuchProxyError),
    ("Proxy is disabled", NoSuchProxyError),
    ("Absolute weight", BadWeightError),
    ("Relative weight", BadWeightError),
    ("Backend is using a static LB algorithm", BadWeightError),
    ("Require <weight>", BadWeightError),
)
"""What refusals begin with."""


class Place(NamedTuple):
    """A server of a backend, by their names."""

    backend: str
    server: str

    def checked(self) -> str:
        """As commands have it.

        Raises
        ------
        SettingError
            A name is none.
        """
        return f"{checked(self.backend)}/{checked(self.server)}"


class Weight(NamedTuple):
    """Of a server: as it is, and as the configuration file has it."""

    now: int
    initial: int


class RuntimeApi:
    """A client; every call is a connection of its own, so a HAProxy that was started again is found again.

    Parameters
    ----------
    address
        Path of a Unix socket, or HOST:PORT.
    timeout_s
        For a whole round trip.

    Raises
    ------
    SettingError
        The address is none.
    """

    def __init__(self, address: str, timeout_s: float = TIMEOUT_S) -> None:
        self.address, self._timeout_s = address, timeout_s
        self._place = address if is_path(address) else host_and_port(address, "socket")

    def ask(self, *commands: str) -> list[str]:
        """The answers to commands, given together.

        Raises
        ------
        RuntimeApiError
            One is refused, of which the first is told; or HAProxy can't be reached.
        """
        answers = list(_answers(self._exchange(";".join((WITH_SEVERITIES, *commands)) + "\n")))[1:]
        if len(answers) != len(commands):
            raise UnreachableError(f"{self.address} gave {len(answers)} answers to {len(commands)} commands")
        for command, answer in zip(commands, answers, strict=True):
            _check(command, answer)
        return answers

    def _exchange(self, line: str) -> str:
        kind = socket.AF_UNIX if isinstance(self._place, str) else socket.AF_INET
        if isinstance(self._place, tuple) and ":" in self._place[0]:
            kind = socket.AF_INET6
        data, until_s = b"", time.monotonic() + self._timeout_s
        try:
            with socket.socket(kind, socket.SOCK_STREAM) as connection:
                connection.settimeout(self._timeout_s)
                connection.connect(self._place)
                connection.sendall(line.encode())
                while part := connection.recv(1 << 16):
                    data += part
                    connection.settimeout(max(until_s - time.monotonic(), 1e-3))
        except OSError as error:
            raise UnreachableError(f"{self.address} can't be reached ({error})") from None
        return data.decode(errors="replace")

    def set_weights(self, weights: Mapping[Place, int]) -> dict[Place, Weight]:
        """Set weights of servers, and read back what they are then; the largest first, so that none is drained before
        another one has weight.

        Raises
        ------
        RuntimeApiError
            One is refused, while others may be set.
        """
        weights = dict(sorted(weights.items(), key=lambda item: -item[1]))
        commands = [f"set weight {place.checked()} {int(weight)}" for place, weight in weights.items()]
        answers = self.ask(*commands, *(f"get weight {place.checked()}" for place in weights))[len(commands) :]
        return {place: _weight_of(answer) for place, answer in zip(weights, answers, strict=True)}

    def weights(self, places: Sequence[Place]) -> dict[Place, Weight]:
        """Weights of servers.

        Raises
        ------
        RuntimeApiError
            There is no such server.
        """
        answers = self.ask(*(f"get weight {place.checked()}" for place in places))
        return {place: _weight_of(answer) for place, answer in zip(places, answers, strict=True)}

    def statistics(self, *backends: str) -> list[dict[str, str]]:
        """Rows of `show stat` for backends and their servers, by the names of its columns.

        Raises
        ------
        RuntimeApiError
            There is no such backend.
        """
        return [
            row for answer in self.ask(*(f"show stat {checked(name)} 6 -1" for name in backends)) for row in table(answer)
        ]

    def process(self) -> dict[str, str]:
        """`show info`: what there is to know of the process, its `Pid` among it."""
        (answer,) = self.ask("show info")
        return pairs(answer)


def _answers(data: str) -> Iterator[str]:
    """Answers one by one, the newline at the end of each left out."""
    while data:
        if data.startswith("\n"):
            answer, data = "", data[1:]
        else:
            answer, _, data = data.partition("\n\n")
        yield answer


def _check(command: str, answer: str) -> None:
    refusal = REFUSAL.fullmatch(answer)
    if refusal is None or (int(refusal[1]) > WORST_INFORMATION and not refusal[2].startswith(UNKNOWN)):
        return
    said = refusal[2].strip()
    kind = next((kind for start, kind in KINDS if said.startswith(start)), RuntimeApiError)
    raise kind(f"{command}: {said.splitlines()[0]}")


def _weight_of(answer: str) -> Weight:
    found = re.fullmatch(r"(\d+) \(initial (\d+)\)", answer.strip())
    if found is None:
        raise RuntimeApiError(f"get weight: {answer.strip()!r} is no weight")
    return Weight(int(found[1]), int(found[2]))


def table(answer: str) -> list[dict[str, str]]:
    """Rows of `show stat`, by the names of its columns."""
    return list(csv.DictReader(answer.removeprefix("# ").splitlines()))


def states(answer: str) -> list[dict[str, str]]:
    """Rows of `show servers state`, by the names of its columns.

    Raises
    ------
    RuntimeApiError
        They can't be read.
    """
    try:
        names, *rows = [line.removeprefix("# ").split(" ") for line in answer.splitlines()[1:]]
        return [dict(zip(names, row, strict=True)) for row in rows]
    except ValueError as error:
        raise RuntimeApiError(f"show servers state: its answer can't be read ({error})") from None


def pairs(answer: str) -> dict[str, str]:
    """What `show info` says, by name."""
    split = (line.partition(": ") for line in answer.splitlines())
    return {name: value for name, _, value in split}


def checked(name: str) -> str:
    """A name that is nothing but one: it goes into a command.

    Raises
    ------
    SettingError
        It has other letters.
    """
    if not NAME.fullmatch(name):
        raise SettingError("name", "letters, digits and _ . : -", name)
    return name
