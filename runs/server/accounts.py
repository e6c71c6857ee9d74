"""Who may sign in: the first password, MLflow's settings of accounts, and the key that it signs sessions with."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from envs.core.validation import SettingError
from runs.server.folder import ServerFolder

ADMIN = "admin"
N_MIN = 12
"""Letters of a password; MLflow refuses fewer."""
PERMISSION = "EDIT"
"""What who signs in may do with what others have made: read and add, not delete."""
CACHE_S = 60
"""How long a worker of MLflow takes a password without computing its hash anew."""
SETTINGS = """[mlflow]
default_permission = {permission}
database_uri = {uri}
admin_username = {admin}
authorization_function = mlflow.server.auth:authenticate_request_basic_auth
auth_cache_ttl_seconds = {cache_s}
"""


def write_private(path: Path, text: str) -> None:
    """Write a file that nobody but its owner reads, whole or not at all."""
    draft = path.with_name(f".{path.name}")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(draft, path)


def secret_in(path: Path) -> str:
    """What a file keeps secret, drawn at random if there is none.

    Raises
    ------
    SettingError
        It is too short, or others can read it.
    """
    if not path.is_file():
        write_private(path, secrets.token_urlsafe(24) + "\n")
    if path.stat().st_mode & 0o077:
        raise SettingError(path.name, "a file of mode 600", f"{path} of mode {path.stat().st_mode & 0o777:o}")
    text = path.read_text(encoding="utf-8").strip()
    if len(text) < N_MIN:
        raise SettingError(path.name, f"a file with at least {N_MIN} letters", f"{path} with {len(text)}")
    return text


def write_settings(folder: ServerFolder, uri: str) -> None:
    """Write MLflow's settings of accounts; a percent sign stands twice there."""
    values = {"permission": PERMISSION, "uri": uri.replace("%", "%%"), "admin": ADMIN, "cache_s": CACHE_S}
    write_private(folder.accounts, SETTINGS.format(**values))


def environment(folder: ServerFolder) -> dict[str, str]:
    """What MLflow is told of it."""
    return {
        "MLFLOW_AUTH_CONFIG_PATH": str(folder.accounts),
        "MLFLOW_AUTH_ADMIN_USERNAME": ADMIN,
        "MLFLOW_AUTH_ADMIN_PASSWORD": secret_in(folder.password),
        "MLFLOW_FLASK_SERVER_SECRET_KEY": secret_in(folder.key),
    }
