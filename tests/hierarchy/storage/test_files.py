"""A file is as it was or as it is to be, whenever one looks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from envs.core.validation import SettingError
from hierarchy.storage import files


def test_arrays_come_back_as_they_were(tmp_path: Path) -> None:
    arrays = {"a/b": np.arange(6).reshape(2, 3), "c": np.array([np.nan, 1.0])}
    files.write_arrays(arrays, tmp_path / "x.npz")
    found = files.read_arrays(tmp_path / "x.npz")
    assert found.keys() == arrays.keys()
    for name, value in arrays.items():
        np.testing.assert_array_equal(found[name], value)


def test_what_fails_half_way_leaves_the_file_before(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    files.write_json({"a": 1}, path)

    def full_disk(file: object) -> None:
        raise OSError("no space left on device")

    with pytest.raises(OSError, match="no space"):
        files.write(path, full_disk)
    assert files.read_json(path) == {"a": 1}


@pytest.mark.parametrize("name", ["missing.npz", "damaged.npz"])
def test_arrays_that_cannot_be_read_are_named(tmp_path: Path, name: str) -> None:
    (tmp_path / "damaged.npz").write_bytes(b"PK\x03\x04 no archive")
    with pytest.raises(SettingError, match=rf"^{name} must be a file of arrays that can be read, got .+{name}"):
        files.read_arrays(tmp_path / name)


@pytest.mark.parametrize("name", ["missing.json", "damaged.json"])
def test_json_that_cannot_be_read_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / "damaged.json").write_text("{")
    with pytest.raises(SettingError, match=rf"^{name} must be a JSON file that can be read, got .+{name}"):
        files.read_json(tmp_path / name)
