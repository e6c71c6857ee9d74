"""Addresses of stores as they may be shown: without who logs in there, and with what."""

from __future__ import annotations

import re

HIDDEN = "***"


def shown(uri: str) -> str:
    """An address without user, password and query, however it is malformed: where both may be, nothing but its scheme."""
    scheme, slashes, rest = uri.partition("://")
    if not slashes:
        return uri if re.fullmatch(r"[\w.+-]*:?[/\w.+-]*", uri) else f"{uri.partition(':')[0][:20]}:{HIDDEN}"
    place, *query = re.split(r"[?#;]", rest, maxsplit=1)
    if query and "@" in query[0]:
        return f"{scheme}://{HIDDEN}"
    user, at, host = place.rpartition("@")
    return f"{scheme}://{HIDDEN if user else ''}{at}{host}{f'?{HIDDEN}' if query else ''}"
