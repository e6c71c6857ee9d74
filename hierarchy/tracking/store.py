"""Whether there is such a store of experiments: asked before training, for MLflow opens it meanwhile or after."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import urlsplit

from envs.core.validation import SettingError
from hierarchy.tracking.addresses import shown
from hierarchy.tracking.answering import DATABASES, SERVERS, listens, server_listens
from hierarchy.tracking.mlflow_store import STORE_VARIABLE

EXTRAS = {"postgresql": "pip install 'metabalance[postgres]', for postgresql+psycopg"}
"""What brings the driver of a database."""


def check_store(uri: str) -> bool:
    """Whether a store answers now; one that is a file does.

    Raises
    ------
    SettingError
        It never will: the address is none, the driver of its database is missing, or MLflow knows no such store.
    """
    scheme = uri.partition(":")[0]
    if scheme in SERVERS:
        return _server_answers(uri)
    if scheme.partition("+")[0] in DATABASES:
        return _database_answers(uri)
    _check_other(uri)
    return True


def _server_answers(uri: str) -> bool:
    try:
        address = urlsplit(uri)
        host, port = address.hostname, address.port
    except ValueError:
        host = None
    if not host:
        raise SettingError(STORE_VARIABLE, "the address of a server", shown(uri))
    return server_listens(host, port, address.scheme)


def _database_answers(uri: str) -> bool:
    """SQLAlchemy loads the driver when it connects, which is after training."""
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError, NoSuchModuleError

    try:
        url = make_url(uri)
        url.get_dialect().import_dbapi()
    except ImportError as error:
        extra = EXTRAS.get(url.get_backend_name(), "pip install it")
        allowed = f"a database whose driver is installed (there is no {error.name}: {extra})"
        raise SettingError(STORE_VARIABLE, allowed, shown(uri)) from None
    except (ArgumentError, NoSuchModuleError, ValueError):
        raise SettingError(STORE_VARIABLE, "the address of a database that SQLAlchemy knows", shown(uri)) from None
    folder = Path(url.database or ".").parent
    if url.get_backend_name() == "sqlite" and STORE_VARIABLE in os.environ and not folder.is_dir():
        raise SettingError(STORE_VARIABLE, "a file in a folder that is there", shown(uri))
    port = url.port or DATABASES[url.get_backend_name()]
    return not url.host or not port or listens(url.host, port)


def _check_other(uri: str) -> None:
    """MLflow itself says which other stores there are."""
    from hierarchy.tracking.mlflow_store import refusal

    said = refusal(uri)
    if said is not None:
        raise SettingError(STORE_VARIABLE, f"a store that MLflow can open{said}", shown(uri))
