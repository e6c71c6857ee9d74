"""The study of steering measures one policy under contexts along an edge of the simplex, on the same seeds."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

from runs.studies import steering


def test_the_edge_goes_from_latency_first_to_cost_first() -> None:
    contexts = steering.edge(5)
    assert contexts[0].tolist() == [0.0, 1.0, 0.0]
    assert contexts[-1].tolist() == [0.0, 0.0, 1.0]
    assert_allclose(contexts.sum(-1), 1.0)
    assert_allclose(np.diff(contexts[:, 2]), 0.25)


def test_all_regimes_get_one_load_and_keep_their_mixes(trained: Any) -> None:
    regimes = trained.config.env.workload.regimes
    found = steering.at_load(trained.config.env, 0.4).workload.regimes
    assert found.loads == [0.4]
    assert found.interactive_shares == regimes.interactive_shares


def test_contexts_are_measured_on_the_same_seeds(trained: Any) -> None:
    policy = trained.config.lower.load(trained.out / "lower.zip").actor
    same = np.tile([0.0, 1.0, 0.0], (3, 1))
    for figures in steering.measure(trained.config, policy, same, 4, 12):
        assert figures.shape == (4, 3)
        assert_allclose(figures, figures[:, :1].repeat(3, axis=1), rtol=1e-6)
        assert len(np.unique(figures[:, 0])) > 1


def test_the_study_keeps_its_ratios_and_its_picture(
    trained: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("lower.zip", "lower.json", "config.json"):
        shutil.copy(trained.out / name, tmp_path)
    monkeypatch.setattr(steering, "N_SEEDS", 2)
    monkeypatch.setattr(steering, "N_STEPS", 20)
    steering.main(tmp_path)
    ratios = json.loads((tmp_path / "steering.json").read_text())
    assert ratios.keys() == {"cost_first_to_latency_first_cost", "latency_first_to_cost_first_latency"}
    assert all(ratio > 0 for ratio in ratios.values())
    assert (tmp_path / "steering.png").read_bytes().startswith(b"\x89PNG")
    assert capsys.readouterr().out.count("context ") == steering.N_POINTS
