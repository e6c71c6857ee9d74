"""Settings that a folder holds, however they were changed, are settings or are refused in one line; they run no code."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import envs
from envs.load_balancing.config import Actions, LoadBalancingConfig
from envs.load_balancing.rules.base import numbers_of
from hierarchy.config import ExperimentConfig
from hierarchy.storage.files import plain_settings
from hierarchy.storage.trained import config_of
from runs.settings.experiment import load_config

N_MUTATIONS = 1_000
GUIDED = replace(LoadBalancingConfig(), actions=Actions(mode="guided", rule="autoscale_shifts"), backends="class")
WORLD = envs.with_numbers(GUIDED, "autoscale_shifts", numbers_of(GUIDED))
PLAIN = plain_settings(replace(ExperimentConfig(), env=WORLD))
odd = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.sampled_from([10**30, -(10**30), 10**400, 1e308, -1e308, 1e-308, math.nan, math.inf, -math.inf]),
    st.floats(-10, 10),
    st.sampled_from(["", "x", "levels", "hostile:make", "../../etc/passwd", "\0", "1", "nan", "a\nb"]),
    st.lists(st.one_of(st.none(), st.integers(-1, 2), st.text(max_size=2)), max_size=3),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)


def places(tree: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where there is a value, and what holds it."""
    for name in tree if isinstance(tree, dict) else range(len(tree)):
        yield (*above, name)
        if isinstance(tree[name], (dict, list)):
            yield from places(tree[name], (*above, name))


@st.composite
def changed(draw: st.DrawFn) -> Any:
    """Default settings of which one or two are something else, missing, or called otherwise."""
    tree = copy.deepcopy(PLAIN)
    for _ in range(draw(st.integers(1, 2))):
        *above, name = draw(st.sampled_from(list(places(tree))))
        holder = tree
        for one in above:
            holder = holder[one]
        kind = draw(st.sampled_from(["replaced", "replaced", "removed", "renamed"]))
        value = holder.pop(name)
        if kind == "removed":
            continue
        entry = draw(odd) if kind == "replaced" else value
        if isinstance(holder, dict):
            holder[name if kind == "replaced" else f"{name}_"] = entry
        else:
            holder.insert(name, entry)
    return tree


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a hostile factory is to be found."""
    (tmp_path / "hostile.py").write_text("open('run', 'w').close()\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def small(env: Any) -> Any:
    """The default world with the actions of another one: what else there is makes large worlds, too."""
    return replace(WORLD, actions=env.actions) if hasattr(env, "actions") and not isinstance(env.actions, str) else WORLD


def refusal(folder: Path, read: Any) -> str | None:
    """What is wrong with the settings that a folder holds; they make a world if nothing is."""
    try:
        config = read(folder)
        envs.describe(config.env)
        if getattr(config.env, "actions", None) != WORLD.actions:
            envs.simulate(small(config.env), 1)
    except ValueError as error:
        return str(error)
    return None


@settings(max_examples=N_MUTATIONS, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changed())
def test_changed_settings_are_settings_or_refused_in_one_line(folder: Path, tree: Any) -> None:
    (folder / "config.json").write_text(json.dumps({"preset": "default", **tree}), encoding="utf-8")
    line = refusal(folder, config_of)
    assert line is None or ("must be" in line and "\n" not in line), line
    assert not (folder / "run").exists()


@settings(max_examples=N_MUTATIONS // 20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changed())
def test_commands_refuse_them_alike(folder: Path, tree: Any) -> None:
    (folder / "config.json").write_text(json.dumps({"preset": "default", **tree}), encoding="utf-8")
    line = refusal(folder, lambda one: load_config(one).config)
    assert line is None or ("must be" in line and "\n" not in line), line
    assert not (folder / "run").exists()


@pytest.mark.parametrize("content", ["", "[]", "null", "3", '"text"', "{", "\x00", "[" * 100_000, '{"env": ' * 5_000])
def test_what_is_no_mapping_of_settings_is_refused(folder: Path, content: str) -> None:
    (folder / "config.json").write_text(content, encoding="utf-8")
    line = refusal(folder, config_of)
    assert line is not None
    assert "must be" in line
    assert "\n" not in line
