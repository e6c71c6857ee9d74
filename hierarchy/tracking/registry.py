"""Pairs that MLflow has registered, for those who use them: one is promoted, one is fetched."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from envs.core.validation import SettingError
from hierarchy.storage.bundle import is_bundle
from hierarchy.storage.folder import OutputFolder
from hierarchy.tracking.addresses import shown
from hierarchy.tracking.answering import NoAnswerError
from hierarchy.tracking.history import History
from hierarchy.tracking.mlflow_models import download, named, set_champion, version_of
from hierarchy.tracking.mlflow_store import STORE_VARIABLE, answering, store_exists, store_uri
from hierarchy.tracking.store import check_store
from hierarchy.tracking.syncing import sync
from hierarchy.tracking.tracked import store_of

ADDRESS = re.compile(r"models:/([^/@:'\"]+)(?:@([^/@:]+)|/(\d{1,9}|latest))")
FORMS = "models:/NAME@ALIAS, models:/NAME/VERSION or models:/NAME/latest"


@contextmanager
def _asked(uri: str) -> Iterator[None]:
    """Say which store it is that does not answer."""
    try:
        yield
    except NoAnswerError as error:
        raise SettingError(STORE_VARIABLE, f"a store that answers ({error})", shown(uri)) from None


def check_there(uri: str) -> None:
    """Whether a store is there and answers.

    Raises
    ------
    SettingError
        It isn't, or doesn't.
    """
    if not store_exists(uri):
        raise SettingError(STORE_VARIABLE, "set where the store is not beside the output folders", f"no {shown(uri)}")
    if not check_store(uri):
        raise SettingError(STORE_VARIABLE, "a store that answers", shown(uri))


def promote(out: Path) -> str:
    """Give the alias `champion` to the version that the pair in a folder is registered as, delivered first if it waits.

    Returns
    -------
    The version.

    Raises
    ------
    SettingError
        There is none, or the store does not answer.
    """
    journal = OutputFolder(out).journal
    if not journal.is_file():
        raise SettingError("folder", f"one that holds {journal.name} (an experiment, or one training seed of several)", out)
    synced = sync(out)
    if synced.n_waiting:
        raise SettingError("folder", f"one that MLflow has all figures of ({synced.failure or 'no answer'})", out)
    history = History.of(journal)
    assert history.session is not None
    uri, key = store_of(out, history.session.above).uri, history.last_run
    check_there(uri)
    with _asked(uri), answering(uri) as client:
        version = None if key is None else version_of(client, key)
        if version is not None:
            set_champion(client, version)
    if version is None:
        allowed = f"one whose pair is registered in {shown(uri)} (an experiment, or one training seed of several)"
        raise SettingError("folder", allowed, out)
    return str(version.version)


@contextmanager
def fetched(address: str, out_root: Path) -> Iterator[Path]:
    """The bundle of a registered pair, in a folder that goes with the block; nothing of it is run.

    Parameters
    ----------
    address
        Like `models:/metabalance@champion`.
    out_root
        Folder of all outputs, which has the store unless the environment names one.

    Raises
    ------
    SettingError
        There is no such version, it holds no bundle, or the store does not answer.
    """
    form = ADDRESS.fullmatch(address)
    if form is None:
        raise SettingError("folder", FORMS, address)
    uri = store_uri(out_root)
    check_there(uri)
    with TemporaryDirectory(prefix="metabalance-") as to:
        with _asked(uri), answering(uri) as client:
            version = named(client, form[1], form[2], form[3] or "")
            folder = None if version is None else download(client, version, uri, Path(to))
        if version is None:
            raise SettingError("folder", f"a model that is registered in {shown(uri)}", address)
        if folder is None or not is_bundle(folder):
            raise SettingError("folder", "a registered model that holds a bundle", address)
        yield folder
