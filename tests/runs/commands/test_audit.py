"""`metabalance audit` says that a chain holds, or where it does not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from hierarchy.live.audit import Audit, digest_of
from runs.cli import main
from tests.hierarchy.live.told import SUBJECT, report

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    audit = Audit(tmp_path / "audit", SUBJECT)
    for number in (1, 2, 3):
        audit.observe(report(number))
    audit.close()
    return tmp_path / "audit"


def test_a_chain_that_holds(file: Path, capsys: Capture) -> None:
    assert main(["audit", str(file)]) == 0
    last = digest_of(file.read_bytes().splitlines()[-1])
    assert capsys.readouterr().out.splitlines() == [
        f"{file}: 5 lines, each after the one before; 0 that were cut",
        f"the last has sha256 {last}",
    ]


def test_the_first_line_that_does_not_fit_is_named(file: Path, capsys: Capture) -> None:
    file.write_bytes(file.read_bytes().replace(b'"step": 2', b'"step": 9'))
    assert main(["audit", str(file)]) == 1
    why = "line 4 has another digest than the line before: that was changed, or one is missing"
    assert capsys.readouterr() == ("", f"metabalance: {file}: {why}\n")


@pytest.mark.parametrize(("path", "why"), [("/nowhere/audit", "No such file"), ("/tmp", "Is a directory")])
def test_what_can_not_be_read_is_refused(refused: Callable[..., str], path: str, why: str) -> None:
    line = refused("audit", path)
    assert line.startswith(f"file must be an audit file that can be read ({why}")
    assert line.endswith(f"got {path}")
