"""Delivers journals that experiments have left, of a folder and of the training seeds or trials in it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from envs.core.validation import SettingError
from hierarchy.storage.folder import JOURNAL_NAME, SEED_FOLDER, TRIAL_FOLDER, OutputFolder
from hierarchy.tracking.journal import opened_alone
from hierarchy.tracking.shipper import Shipper, Synced
from hierarchy.tracking.store import check_store
from hierarchy.tracking.tracked import store_of

PARTS = (SEED_FOLDER, TRIAL_FOLDER)
"""Folders in that of a study or a sweep that have journals of their own."""


def sync(out: Path) -> Synced:
    """Deliver all that waits in a folder; once a store has not answered, what is left is counted only.

    Raises
    ------
    SettingError
        There is no journal, another process writes to one, a line of one is no record, or there never is such a store.
    """
    own = [out] if OutputFolder(out).journal.is_file() else []
    folders = [*own, *_seeds(out)]
    if not folders:
        raise SettingError("folder", f"one that holds {JOURNAL_NAME} (made by what is tracked)", out)
    return _sync_all(folders, tries=True)


def sync_seeds(out: Path, tries: bool) -> Synced:
    """Deliver what training seeds have left in a folder, or count it; a journal that is in use or damaged is left alone."""
    try:
        return _sync_all(_seeds(out), tries)
    except (SettingError, OSError):
        return Synced()


def _seeds(out: Path) -> list[Path]:
    return sorted(path.parent for name in PARTS for path in out.glob(f"{name.format('*')}/{JOURNAL_NAME}"))


def _sync_all(folders: Iterable[Path], tries: bool) -> Synced:
    whole = Synced()
    for folder in folders:
        file, history = opened_alone(OutputFolder(folder).journal)
        with file:
            if history.session is not None:
                store = store_of(folder, history.session.above)
                shipper = Shipper(folder, store)
                if tries and not whole.n_waiting and shipper.synced.n_waiting and check_store(store.uri):
                    shipper.start()
                    shipper.finish()
                whole = whole.and_then(shipper.synced)
    return whole
