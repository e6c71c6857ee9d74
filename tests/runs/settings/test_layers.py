"""Layers lie over each other as the types say; chosen types are resolved at any depth."""

from __future__ import annotations

from typing import Any

import pytest

from envs.core.validation import SettingError, build
from runs.settings.layers import lay_over, leaves, parts
from runs.settings.words import layer
from tests.runs.settings.shapes import Bursts, Plan, Pond, Size, Steady


def laid(*layers: dict[str, Any]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for one in layers:
        values = lay_over(Plan, values, one)
    return values


def test_a_later_layer_wins_and_leaves_the_rest() -> None:
    values = laid({"seed": 1, "env": {"steps": 5, "size": {"width": 7}}}, {"env": {"steps": 6}}, {"seed": 3})
    assert values == {"seed": 3, "env": {"steps": 6, "size": {"width": 7}}}


def test_a_name_alone_chooses_a_type_at_any_depth() -> None:
    assert laid({"env": "pond"}) == {"env": {"family": "pond"}}
    values = laid({"env": {"arrivals": "bursts"}}, {"env": {"arrivals": {"factor": 2.0}}})
    assert build(Plan, values).env.arrivals == Bursts(factor=2.0)  # type: ignore[union-attr]


def test_another_type_keeps_what_both_have_and_drops_the_rest() -> None:
    values = laid(
        {"env": {"arrivals": {"source": "bursts", "rate_hz": 4.0, "factor": 2.0}}}, {"env": {"arrivals": "steady"}}
    )
    assert build(Plan, values).env.arrivals == Steady(rate_hz=4.0)  # type: ignore[union-attr]


def test_fields_that_only_share_a_name_are_not_kept() -> None:
    values = laid({"env": {"steps": 5, "size": {"width": 7}, "arrivals": "bursts"}}, {"env": {"family": "pond"}})
    assert build(Plan, values).env == Pond(steps=5)


def test_what_a_layer_says_of_the_new_type_may_come_before_its_name() -> None:
    values = laid({"env": {"arrivals": {"factor": 2.0, "source": "bursts"}}})
    assert build(Plan, values).env.arrivals == Bursts(factor=2.0)  # type: ignore[union-attr]


def test_the_command_line_may_name_a_whole_and_its_fields_in_any_order() -> None:
    options = [
        ("env.arrivals.factor", "2"),
        ("env.arrivals", "bursts"),
        ("env.size", "{width: 4}"),
        ("env.size.height", "5"),
    ]
    for given in (options, options[::-1]):
        values = laid(layer(given))
        assert values["env"]["arrivals"] == {"source": "bursts", "factor": "2"}
        assert {name: int(value) for name, value in values["env"]["size"].items()} == {"width": 4, "height": 5}


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ({"nope": 1}, "nope must be a setting of the experiment (env, seed, bound), got 1"),
        ({"env": {"nope": 1}}, "env.nope must be a setting of env (family shop, arrivals, size, names, steps), got 1"),
        ({"env": {"nope": {"a": {"b": 1}}}}, "env.nope.a.b must be a setting of env ("),
        ({"env": {"size": {"depth": 1}}}, "env.size.depth must be a setting of env.size (width, height), got 1"),
        ({"env": "lake"}, "env.family must be one of shop, pond, got lake"),
        ({"env": {"family": None}}, "env.family must be one of shop, pond, got None"),
        ({"env": {"arrivals": {"source": ["bursts"]}}}, "env.arrivals.source must be one of steady, bursts, replay, got ["),
        ({"env": [1, 2]}, "env must be a mapping of settings, got [1, 2]"),
        ({"env": {"size": 3}}, "env.size must be a mapping of settings, got 3"),
        ({"env": {"size": "wide"}}, "env.size must be a mapping of settings, got wide"),
        ({"env": None}, "env must be a mapping of settings, got None"),
        (
            {"env": {"arrivals": {"factor": 2}}},
            "env.arrivals.factor must be a setting of env.arrivals (source steady, rate_hz), got 2",
        ),
    ],
)
def test_what_no_type_allows_is_refused_with_its_whole_path(values: dict[str, Any], line: str) -> None:
    with pytest.raises(SettingError) as refused:
        laid(values)
    assert str(refused.value).startswith(line)


def test_parts_are_those_of_the_chosen_types_with_the_defaults_of_what_holds_them() -> None:
    found = {part.path: part for part in parts(Plan, laid({"env": {"arrivals": "bursts"}}))}
    assert {path: part.config.__name__ for path, part in found.items()} == {
        "": "Plan",
        "env": "Shop",
        "env.arrivals": "Bursts",
        "env.size": "Size",
    }
    assert found["env.size"].defaults == {"width": 2, "height": 3}, "those of the shop: a size has none"
    assert found["env.arrivals"].choice is not None
    assert found["env.size"].config is Size


def test_leaves_are_what_is_given() -> None:
    found = {
        leaf.path: (leaf.annotation, leaf.value) for leaf in leaves(Plan, laid({"seed": 3, "env": {"size": {"width": 1}}}))
    }
    assert found == {"seed": (int, 3), "env.size.width": (int, 1)}
