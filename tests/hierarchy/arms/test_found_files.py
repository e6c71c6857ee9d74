"""What was found for arms, as it is kept in a folder."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import envs
from envs.core.validation import SettingError
from hierarchy.arms import ablation
from hierarchy.config import ExperimentConfig
from tests.hierarchy.arms.toys import known


def test_what_was_found_is_kept_as_plain_values(tiny_config: ExperimentConfig) -> None:
    terms = envs.describe(tiny_config.env).terms
    best = known(terms, [0.2, 0.3, 0.5])
    found = {"fixed_best": best, "table": np.eye(3)[:2]}
    plain = json.loads(json.dumps(ablation.to_json(tiny_config, found)))
    kept = dataclasses.asdict(best)
    nothing = {name: None for name, rule in envs.rules(tiny_config.env).items() if rule.has_numbers} | {"gate": None}
    there = {"fixed_best": kept, "tuned_static": None, "table": np.eye(3)[:2].tolist(), "constant": None, "tree": None}
    assert plain == {**there, **nothing}
    assert kept["numbers"] == dict(zip(terms, [0.2, 0.3, 0.5], strict=True))
    again = ablation.from_json(tiny_config, plain)
    assert again.keys() == found.keys()
    assert again["fixed_best"] == best
    assert_array_equal(again["table"], found["table"])
    assert ablation.of_results(again) == {"fixed_best": kept}
    assert ablation.from_json(tiny_config, plain | {"table": np.eye(3).tolist()}).keys() == {"fixed_best"}, "other regimes"
    other_terms = plain | {"fixed_best": kept | {"numbers": {"cost": 1.0}}}
    assert ablation.from_json(tiny_config, other_terms).keys() == {"table"}


@pytest.mark.parametrize("found", [[0.2, 0.3, 0.5], {"numbers": {"cost": 1.0}}, "best", {"weights": [1.0]}])
def test_what_another_version_found_is_refused_by_its_path(
    found: Any, tiny_config: ExperimentConfig, tmp_path: Path
) -> None:
    path = tmp_path / "found.json"
    path.write_text(json.dumps({"fixed_best": found}))
    with pytest.raises(
        SettingError, match=rf"^found.json must be as this version of ablate writes it, got {path}: ablate again$"
    ):
        ablation.read_found(tiny_config, path)
