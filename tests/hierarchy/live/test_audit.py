"""Whatever is changed in an audit file is found, whatever was cut is gone on from, and nothing of it is ever lost."""

from __future__ import annotations

import json
import os
import resource
import stat
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from envs.core.validation import SettingError
from hierarchy.live.audit import FIRST, Audit, BrokenChainError, digest_of, verify
from tests.docs.pages import rows
from tests.hierarchy.live.told import DRAINED, SUBJECT, report


def written(path: Path, *numbers: int) -> list[bytes]:
    """Lines of a file that a controller has written, of which these were steps."""
    audit = Audit(path, SUBJECT)
    for number in numbers:
        audit.observe(report(number))
    audit.close()
    return path.read_bytes().splitlines(keepends=True)


def test_a_line_tells_what_was_measured_proposed_and_done_and_why(tmp_path: Path) -> None:
    audit = Audit(tmp_path / "audit", SUBJECT)
    audit.observe(report(7, interventions=(DRAINED,)))
    audit.observe(report(8, asked=np.array([[np.nan, 1.0], [0.0, 1.0]]), held_because="no answer"))
    audit.close()
    begin, first, second, end = map(json.loads, (tmp_path / "audit").read_text().splitlines())
    assert (begin["event"], begin["pair"], begin["applies"]) == ("begin", "runs/out/bundle", True)
    assert end["event"] == "end"
    assert [one["seq"] for one in (begin, first, second, end)] == [1, 2, 3, 4]
    assert first["at"] == "2023-11-14T22:13:27.000+00:00"
    assert first["measured"] == "d" * 64
    assert (first["proposed"], first["weights"]) == ([[1.0, 0.5], [0.25, 0.0]], [[256, 128], [64, 0]])
    assert first["interventions"] == [DRAINED._asdict()]
    assert (second["proposed"][0], second["held_because"]) == ([None, 1.0], "no answer")


def test_every_line_has_the_digest_of_the_one_before(tmp_path: Path) -> None:
    lines = written(tmp_path / "audit", 1, 2, 3)
    before = [json.loads(line)["before"] for line in lines]
    assert before == [FIRST, *(digest_of(line.rstrip(b"\n")) for line in lines[:-1])]
    assert verify(tmp_path / "audit").head.digest == digest_of(lines[-1].rstrip(b"\n"))


def test_every_line_is_on_disk_before_the_next_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fdatasync", lambda file: synced.append(os.fstat(file).st_size))
    lines = written(tmp_path / "audit", 1, 2)
    assert synced == [sum(map(len, lines[: at + 1])) for at in range(4)]


def test_only_its_owner_may_read_it(tmp_path: Path) -> None:
    written(tmp_path / "audit", 1)
    assert stat.S_IMODE((tmp_path / "audit").stat().st_mode) == 0o600


def test_a_controller_that_starts_again_goes_on(tmp_path: Path) -> None:
    first = written(tmp_path / "audit", 1, 2)
    both = written(tmp_path / "audit", 1)
    assert both[: len(first)] == first
    checked = verify(tmp_path / "audit")
    assert (checked.n_lines, checked.head.number, checked.n_cut) == (7, 7, 0)


def test_a_long_line_at_the_end_is_found(tmp_path: Path) -> None:
    written(tmp_path / "audit", 1)
    audit = Audit(tmp_path / "audit", SUBJECT)
    audit.observe(report(2, held_because="x" * 300_000))
    os.close(audit._file)  # as a process that is killed
    assert verify(tmp_path / "audit").n_lines == 5
    written(tmp_path / "audit", 3)
    assert verify(tmp_path / "audit").n_lines == 8


def test_every_change_of_a_line_is_found(tmp_path: Path) -> None:
    path = tmp_path / "audit"
    lines = written(path, 1, 2, 3)
    changed = [line.replace(b'"weights": [[256', b'"weights": [[255') for line in lines]
    for at in (1, 2, 3):
        path.write_bytes(b"".join([*lines[:at], changed[at], *lines[at + 1 :]]))
        with pytest.raises(BrokenChainError) as broken:
            verify(path)
        assert broken.value.line == at + 2, "the line after it is the first that does not fit"


@pytest.mark.parametrize("at", range(4))
def test_a_line_that_is_taken_out_or_put_in_is_found(tmp_path: Path, at: int) -> None:
    path = tmp_path / "audit"
    lines = written(path, 1, 2, 3)
    for others in (lines[:at] + lines[at + 1 :], lines[: at + 1] + lines[at:]):
        path.write_bytes(b"".join(others))
        with pytest.raises(BrokenChainError) as broken:
            verify(path)
        assert broken.value.line in (at + 1, at + 2)


def test_a_line_that_was_counted_wrong_is_found(tmp_path: Path) -> None:
    path = tmp_path / "audit"
    *lines, last = written(path, 1)
    path.write_bytes(b"".join([*lines, last.replace(b'"seq": 3', b'"seq": 4')]))
    with pytest.raises(BrokenChainError, match="line 3 has number 4 in place of 3"):
        verify(path)


@given(st.data())
def test_a_file_that_was_cut_anywhere_is_gone_on_with(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    path = tmp_path_factory.mktemp("cut") / "audit"
    whole = b"".join(written(path, 1, 2))
    for _ in range(data.draw(st.integers(1, 3))):
        size = path.stat().st_size
        path.write_bytes(path.read_bytes()[: data.draw(st.integers(0, size))])
        before = path.read_bytes()
        written(path, 3)
        assert path.read_bytes().startswith(before), "what is there stays"
        assert verify(path).head.number >= 3
    assert path.read_bytes()[:1] == whole[:1]


def test_behind_a_cut_a_change_before_it_is_found_too(tmp_path: Path) -> None:
    path = tmp_path / "audit"
    lines = written(path, 1, 2)
    path.write_bytes(b"".join(lines)[:-20])
    written(path, 3)
    assert verify(path).n_cut == 1
    for old, new in ((b'"step": 2, ', b'"step": 5, '), (b'{"seq": 4', b'{"seq": 9')):
        damaged = path.read_bytes().replace(old, new, 1)
        assert damaged != path.read_bytes()
        (tmp_path / "other").write_bytes(damaged)
        with pytest.raises(BrokenChainError):
            verify(tmp_path / "other")


def test_what_is_no_json_where_nothing_was_cut_is_found(tmp_path: Path) -> None:
    path = tmp_path / "audit"
    lines = written(path, 1, 2)
    for at in range(len(lines) + 1):
        path.write_bytes(b"".join([*lines[:at], b"nothing\nat all\n", *lines[at:]]))
        with pytest.raises(BrokenChainError, match=f"line {at + 1} is no line of JSON"):
            verify(path)


def test_a_full_disk_fails_and_what_follows_fits_again(tmp_path: Path) -> None:
    """A limit on the size of files stands for the disk."""
    path = tmp_path / "audit"
    audit = Audit(path, SUBJECT)
    audit.observe(report(1))
    kept = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 30, kept[1]))
    try:
        for number in (2, 3):
            with pytest.raises(OSError, match=r"bytes were written|File too large"):
                audit.observe(report(number))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, kept)
    audit.observe(report(4))
    audit.close()
    lines = path.read_bytes().splitlines()
    assert json.loads(lines[3])["after_cut"] is True
    assert verify(path).n_cut == 1
    assert [json.loads(line).get("step") for line in (lines[1], lines[3])] == [1, 4]


REFUSED = {
    "text": b"something else\n",
    "no end": b"something",
    "json": b'{"a": 1}\n',
}


@pytest.mark.parametrize("name", REFUSED)
def test_another_file_is_refused_and_stays(tmp_path: Path, name: str) -> None:
    path = tmp_path / "mine"
    path.write_bytes(REFUSED[name])
    with pytest.raises(SettingError, match="audit must be a new file, or one that this command has written"):
        Audit(path, SUBJECT)
    assert path.read_bytes() == REFUSED[name]


def test_a_file_that_is_in_use_is_refused(tmp_path: Path) -> None:
    audit = Audit(tmp_path / "audit", SUBJECT)
    with pytest.raises(SettingError, match="a file that nobody else writes to"):
        Audit(tmp_path / "audit", SUBJECT)
    audit.close()
    written(tmp_path / "audit", 1)


@pytest.mark.parametrize(
    ("path", "why"), [("/nowhere/audit", "No such file"), ("/tmp", "Is a directory"), ("/dev/null", "a plain file")]
)
def test_what_can_not_be_written_is_refused(path: str, why: str) -> None:
    with pytest.raises(SettingError, match=why):
        Audit(Path(path), SUBJECT)


def test_the_page_has_all_fields(tmp_path: Path) -> None:
    path = tmp_path / "audit"
    path.write_bytes(b"".join(written(path, 1))[:-20])
    written(path, 2)
    said = [name.strip(" `") for row in rows("docs/live.md", "field of a step") for name in row[0].split(",")]
    found = [json.loads(line) for line in path.read_bytes().splitlines()[-3:]]
    assert set(said) == {name for one in found if one["event"] == "step" for name in one} | {"after_cut"}
    assert any("after_cut" in one for one in found)
