"""Whether a store answers, asked in seconds: MLflow itself asks for minutes."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

ANSWER_S = 5
SERVERS = {"http": 80, "https": 443}
"""Schemes of tracking servers and their usual ports."""
DATABASES = {"postgresql": 5432, "mysql": 3306, "mssql": 1433, "sqlite": None}
"""Databases that MLflow writes to and their usual ports; None is a file."""


class NoAnswerError(Exception):
    """A store does not answer. The text is a kind of error: what others say of it may hold its address with the password."""


def kind_of(error: Exception) -> str:
    """What kind of error it is. Texts of others are not repeated, for they may hold an address with its password."""
    return str(error) if isinstance(error, NoAnswerError) else str(getattr(error, "error_code", type(error).__name__))


def listens(host: str, port: int) -> bool:
    """Whether something listens there."""
    try:
        socket.create_connection((host, port), ANSWER_S).close()
    except OSError:
        return False
    return True


def server_listens(host: str, port: int | None, scheme: str) -> bool:
    """Whether a tracking server listens there; where a proxy stands between, only that one knows."""
    is_direct = scheme not in getproxies() or bool(proxy_bypass(host))
    return not is_direct or listens(host, port or SERVERS[scheme])


def check_answers(uri: str) -> None:
    """Ask a server for a connection, and a database for the right to write; of other stores nothing is known.

    Raises
    ------
    NoAnswerError
        It gives none.
    """
    scheme = uri.partition(":")[0]
    if scheme in SERVERS:
        address = urlsplit(uri)
        if not server_listens(address.hostname or "", address.port, scheme):
            raise NoAnswerError("no connection")
    elif scheme.partition("+")[0] in DATABASES:
        _check_database(uri)


def _check_database(uri: str) -> None:
    from sqlalchemy import create_engine
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import SQLAlchemyError
    from sqlalchemy.pool import NullPool

    os.environ.setdefault("PGCONNECT_TIMEOUT", str(ANSWER_S))
    url = make_url(uri)
    is_file = url.get_backend_name() == "sqlite"
    if is_file and not Path(url.database or "").is_file():
        return
    engine = create_engine(url, poolclass=NullPool, connect_args={"timeout": ANSWER_S} if is_file else {})
    try:
        with engine.connect() as connection:
            connection.exec_driver_sql("BEGIN IMMEDIATE" if is_file else "SELECT 1")
            connection.rollback()
    except SQLAlchemyError as error:
        raise NoAnswerError(type(error).__name__) from None
