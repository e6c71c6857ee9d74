"""The same agents and mixes act in held-out worlds."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from envs.load_balancing.stories import HELD_OUT
from hierarchy.evaluation import evaluate_seed
from hierarchy.evidence import tables
from runs.studies import held_out


@pytest.mark.slow
def test_held_out_worlds_meet_the_same_arms_and_mixes(tiny_config: Any, trained: Any) -> None:
    worlds = held_out.worlds(tiny_config.env)
    assert list(worlds) == [name for name in HELD_OUT if name != "other_pool"], "two servers, not four"
    config = dataclasses.replace(tiny_config, env=worlds["short_dwell"])
    found = evaluate_seed(config, trained.out, "short_dwell")
    kept = json.loads((trained.out / "found.json").read_text())
    best = found["arms"]["fixed_best"]
    assert best is not None
    assert best["context"] is not None
    assert best["context"] == pytest.approx(kept["fixed_best"]["numbers"], abs=1e-3)
    assert {name for name, arm in found["arms"].items() if arm} >= {"learned", "fixed_best", "regime_oracle"}


def test_the_same_world_again_gives_the_same_results(tiny_config: Any, trained: Any) -> None:
    found = evaluate_seed(tiny_config, trained.out, "again")
    for name in ("learned", "fixed_best", "delayed_oracle"):
        again, before = found["arms"][name], trained.results["arms"][name]
        assert again is not None
        assert again["objective"]["per_seed"] == pytest.approx(before["objective"]["per_seed"]), name
    assert found["comparisons"].keys() <= trained.results["comparisons"].keys()
    assert tables.markdown(found).count("\n") > 5
