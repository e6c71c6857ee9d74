"""`metabalance serve` before it steers everything: as a shadow, and with a share of the requests."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from hierarchy.config import ExperimentConfig
from runs.cli import main
from runs.testbed.bed import TestBed
from runs.testbed.proxy import ProxyConfig
from runs.testbed.sending import Sender
from tests.runs.commands.live.conftest import weights_of, words
from tests.runs.testbed.beds import at_random

pytestmark = pytest.mark.slow
Capture = pytest.CaptureFixture[str]
STEPS = 60


def test_a_shadow_writes_nothing_and_says_where_it_would_have_decided_otherwise(
    config: ExperimentConfig, folder: Path, capsys: Capture
) -> None:
    with TestBed(config.env) as bed:
        capsys.readouterr()
        assert main(words(bed, folder, "--steps", STEPS, "--shadow")) == 0
        assert weights_of(bed) == {100}
    shown = capsys.readouterr()
    lines = [json.loads(line) for line in shown.out.splitlines()]
    otherwise = sum(max(line["apart"]) > 0.05 for line in lines)
    for line in lines:
        weights = np.array(line["weights"])
        assert line["apart"] == pytest.approx(np.abs(weights / weights.sum(1, keepdims=True) - 0.5).sum(1) / 2, abs=1e-3)
    assert f"shadow: of {STEPS} decisions {otherwise} would have moved" in shown.err


def test_a_share_is_steered_and_compared_with_the_rest(config: ExperimentConfig, folder: Path, capsys: Capture) -> None:
    with Sender() as sender, TestBed(config.env, ProxyConfig(share=0.4)) as bed:
        sending = bed.begin(sender, at_random(700, 100.0, 0.004), (), time.monotonic() + 1.0)
        more = ["--haproxy.control", json.dumps(bed.backends), "--share", 0.9, "--apply", "--safety.highest", 50]
        capsys.readouterr()
        assert main(words(bed, folder, "--steps", STEPS, *more, backends=bed.canaries)) == 0
        assert weights_of(bed) == {100}
        assert sending.answers().is_ok.all()
    shown = capsys.readouterr()
    lines = [json.loads(line) for line in shown.out.splitlines()]
    assert all(line["held_because"] == "" for line in lines)
    assert max(np.max(line["weights"]) for line in lines) <= 50
    told = [line["canary"] for line in lines if line["canary"]]
    assert set(told[-1]) == {"latency_ms", "late_share", "unanswered_share", "value_usd_per_1000"}
    assert told[-1]["latency_ms"]["ci95"][0] <= told[-1]["latency_ms"]["difference"] <= told[-1]["latency_ms"]["ci95"][1]
    assert "canary: " in shown.err
    assert "requests were steered, 90.0% was said" in shown.err


REFUSED = {
    "both": (["--shadow", "--apply"], "shadow must be without apply"),
    "share": (["--share", "0.1"], "haproxy.control must be given with share"),
    "same": (
        ["--apply", "--haproxy.control", '["web_interactive","web_batch"]'],
        "haproxy.control must be another backend for each",
    ),
    "few": (["--apply", "--haproxy.control", '["other"]'], "haproxy.control must be another backend for each"),
    "power": (
        ["--haproxy.control", '["a","b"]', "--power.command", '["true"]'],
        "power.command must be [] where haproxy.control is given",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_can_not_be_is_refused(folder: Path, refused: Callable[..., str], name: str) -> None:
    more, said = REFUSED[name]
    where = ["--haproxy.socket", "/nowhere", "--haproxy.log", "/nowhere", "--haproxy.servers", '["s1","s2"]']
    assert said in refused("serve", folder, *where, "--haproxy.backends", '["web_interactive","web_batch"]', *more)
