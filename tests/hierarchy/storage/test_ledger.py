"""What is done is kept by name; what is damaged, or was never kept, has to be done again."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from hierarchy.storage.ledger import Ledger


def test_a_result_is_there_for_others_who_open_the_same_folder(tmp_path: Path) -> None:
    Ledger(tmp_path / "l").put("a", {"scores": np.arange(3)})
    there = pickle.loads(pickle.dumps(Ledger(tmp_path / "l")))  # as it gets to a worker
    assert there.get("a")["scores"].tolist() == [0, 1, 2]
    assert there.get("b") is None


def test_parts_of_the_work_have_names_of_their_own(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "l")
    ledger.below("one").put("a", 1)
    ledger.below("other").put("a", 2)
    assert (ledger.below("one").get("a"), ledger.below("other").get("a"), ledger.get("a")) == (1, 2, None)


@pytest.mark.parametrize("text", ["", "{}", '{"schema": 9}'])
def test_what_is_damaged_counts_as_not_done(tmp_path: Path, text: str) -> None:
    ledger = Ledger(tmp_path)
    ledger.put("a", 1)
    (tmp_path / "a.json").write_text(text)
    assert ledger.get("a") is None


def test_without_a_folder_nothing_is_kept(tmp_path: Path) -> None:
    ledger = Ledger().below("a")
    ledger.put("b", 1)
    assert ledger.get("b") is None
    assert ledger.checkpoints is None
    with ledger.drafts() as drafts:
        (drafts / "x").write_text("x")
    assert not drafts.exists()


def test_all_of_it_can_be_forgotten(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "l")
    ledger.put("a", 1)
    with ledger.drafts() as drafts:
        (drafts / "x").write_text("x")
    assert drafts.exists()
    ledger.clear()
    assert ledger.get("a") is None
    assert not (tmp_path / "l").exists()
