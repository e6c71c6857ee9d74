"""The metrics of training over its steps, read back from a real store."""

from __future__ import annotations

from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run as StoredRun


@pytest.mark.parametrize("name", ["reward/fairness", "reward/latency", "reward/cost", "lower/steps_per_s"])
def test_phase_one_has_a_history_over_env_steps(
    client: MlflowClient, runs: dict[str, StoredRun], trained: Any, name: str
) -> None:
    lower = trained.config.lower
    history = sorted(client.get_metric_history(runs["lower"].info.run_id, name), key=lambda metric: metric.step)
    rollout = lower.n_envs * lower.n_steps
    assert [metric.step for metric in history] == list(range(rollout, lower.timesteps + 1, rollout))
    assert all(metric.value > 0 for metric in history)
    if name.startswith("reward/"):
        assert all(metric.value <= 1 for metric in history)


def test_phase_one_says_what_ppo_says(runs: dict[str, StoredRun]) -> None:
    needed = {"lower/loss", "lower/value_loss", "lower/approx_kl", "lower/explained_variance"}
    assert needed <= runs["lower"].data.metrics.keys()


@pytest.mark.parametrize("name", ["upper/objective", "context/latency"])
def test_the_step_of_an_upper_metric_is_the_meta_step(
    client: MlflowClient, runs: dict[str, StoredRun], trained: Any, name: str
) -> None:
    upper = trained.config.upper
    history = client.get_metric_history(runs["upper"].info.run_id, name)
    assert sorted(metric.step for metric in history) == list(range(upper.n_envs, upper.meta_steps + 1, upper.n_envs))


def test_contexts_of_phase_two_are_on_the_simplex(client: MlflowClient, runs: dict[str, StoredRun]) -> None:
    run_id = runs["upper"].info.run_id
    totals: dict[int, float] = {}
    for name in ("fairness", "latency", "cost"):
        for metric in client.get_metric_history(run_id, f"context/{name}"):
            totals[metric.step] = totals.get(metric.step, 0.0) + metric.value
    assert len(totals) > 1
    assert list(totals.values()) == pytest.approx([1.0] * len(totals), abs=1e-6)
