"""What a job of a study returns is kept, and comes back as it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hierarchy.storage.ledger import Ledger


def comes_back(study: Any, result: Any, folder: Path) -> bool:
    """Whether a result is the same once it was kept in a folder."""
    ledger = Ledger(folder / "kept", getattr(study, "records", ()))
    ledger.put("one", result)
    return repr(ledger.get("one")) == repr(result)
