"""The last two states are kept, and one that is damaged gives way to the one before."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hierarchy.storage.checkpoints import N_KEPT, Checkpoints


def written(folder: Path, n: int) -> Checkpoints:
    checkpoints = Checkpoints(folder)
    for number in range(n):
        checkpoints.save({"n": number, "values": np.full(100, number)})
    return checkpoints


def test_the_last_two_are_kept(tmp_path: Path) -> None:
    checkpoints = written(tmp_path / "c", 5)
    assert checkpoints.latest()["n"] == 4
    assert len(list((tmp_path / "c").glob("*.safetensors"))) == len(list((tmp_path / "c").glob("*.json"))) == N_KEPT


def test_there_is_none_before_the_first(tmp_path: Path) -> None:
    assert Checkpoints(tmp_path / "c").latest() is None


def damages(path: Path) -> dict[str, bytes]:
    whole = path.read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 1
    return {"cut short": whole[: len(whole) // 2], "one bit": bytes(flipped), "empty": b"", "other": b"x" * len(whole)}


@pytest.mark.parametrize("damage", ["cut short", "one bit", "empty", "other"])
@pytest.mark.parametrize("suffix", ["safetensors", "json"])
def test_a_damaged_newest_one_gives_way_to_the_one_before(tmp_path: Path, damage: str, suffix: str) -> None:
    checkpoints = written(tmp_path, 3)
    newest = tmp_path / f"3.{suffix}"
    newest.write_bytes(damages(newest)[damage])
    with pytest.warns(UserWarning, match="checkpoint 3 is not used"):
        assert checkpoints.latest()["n"] == 1
    checkpoints.save({"n": 9})
    assert checkpoints.latest()["n"] == 9
    for left in tmp_path.glob("3.*"):
        left.unlink()
    assert checkpoints.latest()["n"] == 1, "what is damaged takes no place of one that is not"


def test_one_whose_writing_was_cut_off_is_not_there(tmp_path: Path) -> None:
    checkpoints = written(tmp_path, 2)
    (tmp_path / "3.safetensors").write_bytes(b"half")  # its entry would have come next
    (tmp_path / ".3.json").write_bytes(b"{")
    assert checkpoints.latest()["n"] == 1
