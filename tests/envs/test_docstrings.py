"""An env's docstring is its specification: what its table says, index by index, is what the env has."""

from __future__ import annotations

import inspect
import re

import numpy as np
import pytest

import envs
from envs.faces.registration import make_single
from envs.load_balancing.world import LoadBalancing
from envs.spark.world import Stream

DYNAMICS: dict[str, type] = {"load_balancing": LoadBalancing, "spark": Stream}
ROW = re.compile(r"^(?P<index>\d+) +(?P<name>\w+) +(?P<low>\S+) +(?P<high>\S+)")
SECTIONS = ("Observation", "Action", "Reward", "Episode end", "Info", "Randomness")

every_family = pytest.mark.parametrize("family", DYNAMICS)


def doc(family: str) -> str:
    return inspect.getdoc(DYNAMICS[family]) or ""


def rows(family: str) -> dict[int, tuple[str, float, float]]:
    """Name, least and greatest value by index."""
    found = [match for line in doc(family).splitlines() if (match := ROW.match(line))]
    return {int(row["index"]): (row["name"], float(row["low"]), float(row["high"])) for row in found}


@every_family
def test_the_table_of_an_observation_is_its_space_and_its_names(family: str) -> None:
    spec, env = envs.describe(envs.FAMILIES[family].config()), make_single(family=family)
    table, space = rows(family), env.observation_space
    n_features = len(spec.features)
    n_of_parts = n_features * max(spec.n_parts, 1)
    after = (*spec.shared, *spec.terms)
    expected = dict(enumerate(spec.features)) | {n_of_parts + i: name for i, name in enumerate(after)}
    assert {index: name for index, (name, _, _) in table.items()} == expected
    assert space.shape == (n_of_parts + len(after),)
    for index, (_, low, high) in table.items():
        alike = (
            [index + n_features * part for part in range(spec.n_parts)] if index < n_features and spec.n_parts else [index]
        )
        assert np.array_equal(space.low[alike], [low] * len(alike))  # type: ignore[attr-defined]
        assert np.array_equal(space.high[alike], [high] * len(alike))  # type: ignore[attr-defined]


@every_family
def test_a_specification_has_all_its_sections(family: str) -> None:
    assert re.findall(r"\*\*(.+?)\.\*\*", doc(family)) == list(SECTIONS)


@every_family
def test_spaces_terms_and_lengths_are_the_ones_told(family: str) -> None:
    env, text = make_single(family=family), " ".join(doc(family).split())
    spec, config = envs.describe(envs.FAMILIES[family].config()), envs.FAMILIES[family].config()
    action = {"discrete": "Discrete({n})", "multi_discrete": "MultiDiscrete({n})"}[spec.action_space["kind"]]
    sizes = spec.action_space["n"]
    told = f"[{sizes[0]}] * {len(sizes)}" if isinstance(sizes, list) else sizes
    assert f"``{action.format(n=told)}``" in text
    assert f"``({env.observation_space.shape[0]},)``" in text  # type: ignore[index]
    assert f"-({', '.join(spec.terms)}) . context" in text
    assert f"truncated after {config.episode_steps:,} steps" in text


@every_family
def test_an_info_holds_what_is_told_of_it(family: str) -> None:
    env, text = make_single(family=family), doc(family)
    env.reset(seed=0)
    info = env.step(env.action_space.sample())[-1]
    told = text[text.index("**Info.**") : text.index("**Randomness.**")]
    assert set(re.findall(r"``(\w+)", told)) - {"max_change"} == set(info)
    for name, shape in re.findall(r"``(\w+) \(([\d, ]+)\)``", told):
        assert np.shape(info[name]) == tuple(int(size) for size in shape.split(",") if size.strip()), name
