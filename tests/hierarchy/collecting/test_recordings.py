"""Files of a real balancer are no datasets, and it is told what they lack."""

from __future__ import annotations

from pathlib import Path

import pytest

from envs.core.validation import SettingError
from hierarchy.collecting.recordings import check_no_recording

AUDIT = '{"seq": 1, "at": "2026-01-01T00:00:00Z", "event": "begin", "before": "00"}\n'
LOG = "mb2 7 web_interactive s1 200 -- 0 0 0 3 5 1700000000000000\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (AUDIT, "an audit file of serve has no observations, only a digest of what was measured, and no reward terms"),
        (LOG, "a log of HAProxy has no mixes, no weights and no states of servers"),
        (f"<134>Jan  1 00:00:00 haproxy[7]: {LOG}", "a log of HAProxy has no mixes"),
        ("hello\n", "a bundle, got"),
        ("", "a bundle, got"),
    ],
)
def test_a_file_is_refused(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "file"
    path.write_text(text)
    with pytest.raises(SettingError, match=said) as refused:
        check_no_recording(path)
    assert str(refused.value).startswith("folder must be the folder of an experiment or a bundle")
    assert str(path) in str(refused.value)


def test_a_folder_is_none(tmp_path: Path) -> None:
    check_no_recording(tmp_path)
    check_no_recording(tmp_path / "nothing")
