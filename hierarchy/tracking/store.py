"""Whether the store of experiments can be opened: asked before training, for MLflow opens it meanwhile or after."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from urllib.parse import urlsplit

from envs.core.validation import SettingError

STORE_VARIABLE = "MLFLOW_TRACKING_URI"
ANSWER_S = 5.0
SERVERS = {"http": 80, "https": 443}
"""Schemes of tracking servers and their usual ports."""
DATABASES = {"postgresql": 5432, "mysql": 3306, "mssql": 1433, "sqlite": None}
"""Databases that MLflow writes to and their usual ports; None is a file."""


def answers(host: str, port: int) -> bool:
    """Whether something listens there."""
    try:
        socket.create_connection((host, port), ANSWER_S).close()
    except OSError:
        return False
    return True


def check_store(uri: str) -> None:
    """Whether MLflow can open a store.

    Raises
    ------
    SettingError
        Its server doesn't answer, the driver of its database is missing, or MLflow knows no such store.
    """
    try:
        scheme, address = uri.partition(":")[0], urlsplit(uri)
        host, port = address.hostname, address.port
    except ValueError as error:
        raise SettingError(STORE_VARIABLE, f"an address ({error})", uri) from None
    if scheme in SERVERS:
        if host is None or not answers(host, port or SERVERS[scheme]):
            raise SettingError(STORE_VARIABLE, "a server that answers", uri)
    elif scheme.partition("+")[0] in DATABASES:
        _check_database(uri)
    else:
        _check_other(uri)


def _check_database(uri: str) -> None:
    """SQLAlchemy loads the driver when it connects, which is after training."""
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError, NoSuchModuleError

    try:
        url = make_url(uri)
        url.get_dialect().import_dbapi()
    except ModuleNotFoundError as error:
        raise SettingError(STORE_VARIABLE, f"a database whose driver is installed ({error})", _shown(uri)) from None
    except (ArgumentError, NoSuchModuleError, ValueError) as error:
        raise SettingError(STORE_VARIABLE, f"a database ({' '.join(str(error).split())})", _shown(uri)) from None
    port = url.port or DATABASES[url.get_backend_name()]
    if url.host and port and not answers(url.host, port):
        raise SettingError(STORE_VARIABLE, "a server that answers", _shown(uri))
    folder = Path(url.database or ".").parent
    if url.get_backend_name() == "sqlite" and STORE_VARIABLE in os.environ and not folder.is_dir():
        raise SettingError(STORE_VARIABLE, "a file in a folder that is there", _shown(uri))


def _shown(uri: str) -> str:
    """An address without its password."""
    address = urlsplit(uri)
    return uri if address.password is None else uri.replace(f":{address.password}@", ":***@")


def _check_other(uri: str) -> None:
    """MLflow itself says which other stores there are."""
    from hierarchy.tracking.mlflow_store import refusal

    said = refusal(uri)
    if said is not None:
        raise SettingError(STORE_VARIABLE, f"a store that MLflow can open ({said})", uri)
