"""All arms in many worlds under several objectives, and what they lack of the best of each."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

import envs
from envs.load_balancing.config import LoadBalancingConfig
from envs.load_balancing.stories import SUITE
from hierarchy.storage.folder import NotTrainedError
from hierarchy.storage.trained import config_of
from runs.studies import suite
from runs.studies.running import run_study
from runs.studies.study import StudyOptions

pytestmark = pytest.mark.usefixtures("drawn")


def test_there_are_at_least_eight_worlds_and_they_can_be_made(traces: dict[str, Path]) -> None:
    made = suite.worlds(LoadBalancingConfig(), [traces["marllb"], traces["azure_llm"]])
    assert list(made) == [*SUITE, traces["marllb"].stem, traces["azure_llm"].stem]
    assert len(SUITE) >= 8
    assert made["default"] == LoadBalancingConfig()
    assert len({repr(world) for world in made.values()}) == len(made)
    for world in made.values():
        for changed in suite.OBJECTIVES.values():
            envs.simulate(changed(world), 1).reset()


def test_smaller_servers_have_the_capacity_and_the_prices_of_the_default() -> None:
    default, smaller = LoadBalancingConfig().pool, SUITE["twelve_servers"](LoadBalancingConfig()).pool
    assert smaller.n_servers == 12
    assert smaller.capacity.sum() == default.capacity.sum()
    assert sum(smaller.price_usd_per_h) == pytest.approx(sum(default.price_usd_per_h))


def test_prices_are_doubled_and_nothing_else() -> None:
    world = LoadBalancingConfig()
    doubled = suite.prices_doubled(world)
    assert_allclose(doubled.pool.price_usd_per_h, 2.0 * np.array(world.pool.price_usd_per_h))
    assert dataclasses.replace(doubled, pool=world.pool) == world


ON = {"sed": 0.0, "lsq": 2.0}


def test_regret_is_0_for_the_best_and_1_for_the_mean_of_all_servers_on() -> None:
    of_seeds = [{"learned": 5.0, "gated": 6.0, **ON}, {"learned": 7.0, "gated": 4.0, **ON}]
    regrets = suite.regrets_of(of_seeds)
    assert regrets["learned"] == [0.0, 0.0], "of means it is the best"
    assert_allclose(regrets["gated"], [-0.2, 0.6])
    assert np.mean(regrets["sed"] + regrets["lsq"]) == pytest.approx(1.0)


def test_regret_has_no_unit() -> None:
    of_seeds = [{"learned": 5.0, "gated": 6.0, **ON}, {"learned": 7.0, "gated": 4.0, **ON}]
    other = [{name: 3.0 * value - 11.0 for name, value in one.items()} for one in of_seeds]
    for name, regret in suite.regrets_of(of_seeds).items():
        assert_allclose(suite.regrets_of(other)[name], regret, atol=1e-12)


def test_where_nothing_is_at_stake_regret_is_finite() -> None:
    assert all(np.isfinite(one).all() for one in suite.regrets_of([{"learned": -9.0, "sed": 1.0, "lsq": 1.0}]).values())


def test_arms_are_ordered_by_mean_regret_and_those_missing_somewhere_are_left_out() -> None:
    cells = {
        "a": {"learned": [0.2, 0.4], "gated": [0.0, 0.0], "shifts": [0.0, 0.0]},
        "b": {"learned": [0.0, 0.2], "gated": [0.1, 0.1]},
    }
    found = suite.aggregate(cells)
    assert list(found) == ["gated", "learned"]
    assert found["learned"]["mean"] == pytest.approx(0.2)
    low, high = found["learned"]["ci95"]
    assert low < 0.2 < high


@pytest.fixture(scope="module")
def small(untracked_config: Any) -> Any:
    """Two worlds of one seed, as small as can be."""
    actions = dataclasses.replace(untracked_config.env.actions, mode="guided", every_steps=2)
    env = dataclasses.replace(untracked_config.env, actions=actions, backends="class")
    arms = dataclasses.replace(untracked_config.ablation, oracles=False, flat=False)
    return dataclasses.replace(untracked_config, env=env, ablation=arms, executor="inline")


@pytest.mark.slow
def test_cells_are_kept_and_share_their_lower_agent(small: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suite, "SUITE", {name: SUITE[name] for name in ("default", "surprises")})
    results = run_study("suite", small, tmp_path, StudyOptions(seeds=1), log=lambda line: None)
    assert list(results["cells"]) == [f"{world}, {name}" for world in ("default", "surprises") for name in suite.OBJECTIVES]
    folders = {name: suite.cell_folder(tmp_path, "surprises", name, small.seed) for name in suite.OBJECTIVES}
    agents = {name: (folder / "lower.safetensors").read_bytes() for name, folder in folders.items()}
    assert len(set(agents.values())) == 1
    uppers = {name: (folder / "upper.safetensors").read_bytes() for name, folder in folders.items()}
    assert len(set(uppers.values())) == 3
    assert config_of(folders["slo"]).env.objective.name == "slo"  # type: ignore[attr-defined]  # a load-balancing world
    rule = "autoscale_pools"
    for cell, one in results["cells"].items():
        assert min(np.mean(regret) for regret in one["regret"].values()) == pytest.approx(0.0, abs=1e-9), cell
        assert suite.ELSEWHERE.format(rule) in one["objective"]
    own, elsewhere = (results["cells"]["default, slo"]["objective"][name] for name in (rule, suite.ELSEWHERE.format(rule)))
    assert own == pytest.approx(elsewhere), "in the default world these are its own numbers"
    sections = suite.STUDY.sections(results)
    assert [row[0] for row in sections[1].rows[1:]] == list(results["cells"])
    assert (tmp_path / "suite.png").read_bytes().startswith(b"\x89PNG")
    kept = {path: path.stat().st_mtime_ns for path in tmp_path.glob("suite/**/*.safetensors")}
    again = run_study("suite", small, tmp_path, StudyOptions(seeds=1), log=lambda line: None)
    assert json.dumps(again) == json.dumps(results)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.glob("suite/**/*.safetensors")} == kept
    before = suite.transferred(tmp_path, "surprises", "profit", small.seed)
    found = suite.cell_folder(tmp_path, "default", "profit", small.seed) / "found.json"
    of_default = json.loads(found.read_text())
    of_default[rule]["numbers"] |= {f"{name}_{group}": 1 for name in ("least", "more") for group in (0, 1)}
    of_default[rule]["numbers"] |= {"up_0": 1e-9, "up_1": 1e-9}
    found.write_text(json.dumps(of_default))
    after = suite.transferred(tmp_path, "surprises", "profit", small.seed)
    assert after[rule] != before[rule], "all servers are on with the numbers of the default world now"
    assert {name for name in after if after[name] != before[name]} == {rule}
    longer = dataclasses.replace(small, lower=dataclasses.replace(small.lower, gamma=0.5))
    with pytest.raises(NotTrainedError, match=r"^out must be empty or trained with lower.gamma 0.5, got "):
        run_study("suite", longer, tmp_path, StudyOptions(seeds=1), log=lambda line: None)
