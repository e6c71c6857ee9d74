"""An interrupt leaves what was there before, an error no agent."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from hierarchy import experiment as experiments
from hierarchy.evidence import results
from hierarchy.experiment import Experiment
from tests.hierarchy.experiments import Recorded, names


def test_an_interrupt_spares_the_agent_of_an_earlier_run(make: Callable[..., Experiment]) -> None:
    experiments.train_lower(make())
    before = (make().out / "lower.safetensors").read_bytes()
    with pytest.raises(KeyboardInterrupt):
        experiments.train_lower(make(progress=Recorded("lower"), seed=3))
    assert (make().out / "lower.safetensors").read_bytes() == before


def test_an_interrupted_comparison_leaves_the_results_before(
    make: Callable[..., Experiment], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = experiments.train(make("again"))

    def interrupted(*_: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr("hierarchy.arms.ablation.Ablation.run", interrupted)
    with pytest.raises(KeyboardInterrupt):
        experiments.ablate(make("again"))
    assert results.read(make("again").out) == json.loads(json.dumps(before))


def test_an_error_leaves_no_agent(make: Callable[..., Experiment]) -> None:
    experiment = make(progress=Recorded("lower", ZeroDivisionError))
    with pytest.raises(ZeroDivisionError):
        experiments.train(experiment)
    assert names(experiment.out) == {".progress", "config.json"}
