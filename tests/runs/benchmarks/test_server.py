"""Experiments that write at once are measured together, and what they wrote is there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hierarchy.tracking.mlflow_store import STORE_VARIABLE, store_uri
from runs.benchmarks import server
from runs.benchmarks.writers import EXPERIMENT, NAMES, Writers
from tests.hierarchy.tracking.filling import stored
from tests.runs.server.places import done, place

SIZES = (1, 2)
"""Two are enough to tell one from several."""


def test_every_experiment_is_measured_until_the_store_has_it_all(out_root: Path) -> None:
    uri = store_uri(out_root)
    with Writers() as writers:
        elapsed_s = writers.write(3, 5 * len(NAMES), out_root / "first", {STORE_VARIABLE: uri})
        assert len(elapsed_s) == 3
        assert min(elapsed_s) > 0.0
        points = list(stored(uri, EXPERIMENT).values())
        assert [sorted({name for name, _, _ in one}) for one in points] == 3 * [sorted(NAMES)]
        assert [one.total() for one in points] == 3 * [5 * len(NAMES)]
        with pytest.raises(RuntimeError, match="2 experiments were to write, 0 did"):
            writers.write(2, 10, out_root / "mlflow.db", {STORE_VARIABLE: uri})


@pytest.mark.slow
def test_what_each_writes_and_what_all_do_is_told_by_the_server_and_past_it() -> None:
    with place() as home:
        words = ["--rounds", 1, "--scale", 0.001, "--tracking", "false", "--out", home / "out"]
        few = f"import runs.benchmarks.server as one; one.SIZES = {SIZES}"
        status, _, errors = done("bench", "server", *words, home=home, before=few)
        assert status == 0, errors
        report = json.loads((home / "out" / "bench" / "server.json").read_text())
    figures = {one["name"]: one["median"] for one in report["cases"]}
    for way in (server.BY_SERVER, server.DIRECT):
        for n in SIZES:
            each, together = figures.pop(f"{n} {way}, each"), figures.pop(f"{n} {way}, together")
            assert 0.0 < each <= together * (1 + 1e-9)
            assert together <= n * each * (1 + 1e-9)
    assert not figures
    assert len(report["ratios"]) == 2 * 2 * (len(SIZES) - 1)
