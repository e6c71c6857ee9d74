"""A journal is data: strict JSON, and anything else is refused in one line that says where."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envs.core.validation import SettingError
from hierarchy.tracking.records import Artifact, Begin, Description, End, Metrics, Record, Session, line_of, record_of

KEY = "0123456789abcdef" * 2
RECORDS: list[Record] = [
    Session("metabalance", 1, 5),
    Begin(KEY, "lower", "lower", None, {"a": "1"}, {"b": "two\nlines"}, 6),
    Metrics(KEY, 7, {"reward/cost": 0.1 + 0.2}, 8),
    Artifact(KEY, "results.json", "undelivered/1/results.json", "0" * 64),
    Description(KEY, "| a |", ("context/a",), ("cost",)),
    End(KEY, "KILLED", 9),
]


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_a_record_comes_back_as_it_was(record: Record) -> None:
    line = line_of(record)
    assert line.count(b"\n") == 1
    assert record_of(line, "here") == record


@given(st.dictionaries(st.text(), st.floats()), st.integers(-(2**63) + 1, 2**63 - 1))
def test_every_number_has_a_place_in_strict_json(values: dict[str, float], step: int) -> None:
    line = line_of(Metrics(KEY, step, values, 0))
    json.loads(line, parse_constant=pytest.fail)
    read = record_of(line, "here")
    assert isinstance(read, Metrics)
    assert read.step == step
    back = {name: "NaN" if math.isnan(value) else value for name, value in read.values.items()}
    assert back == {stored(name): "NaN" if math.isnan(value) else value for name, value in values.items()}


def stored(name: str) -> str:
    """A name as databases take it."""
    return name.replace("\0", "?").encode("utf-8", "replace").decode()


@given(st.text(st.characters(), max_size=20))
def test_text_of_any_kind_can_be_stored(text: str) -> None:
    read = record_of(line_of(Begin(KEY, "arm", text, None, {text: text}, {text: text}, 0)), "here")
    assert isinstance(read, Begin)
    assert read.name == read.tags[read.name] == stored(text)
    assert "\0" not in read.name.encode().decode()


def changed(**fields: Any) -> bytes:
    """A line of metrics in which fields are others."""
    return json.dumps({**json.loads(line_of(RECORDS[2])), **fields}).encode()


def artifact(name: str) -> bytes:
    return json.dumps({**json.loads(line_of(RECORDS[3])), "copy": name}).encode()


@pytest.mark.parametrize(
    ("line", "allowed"),
    [
        (b"", "a JSON object"),
        (b"\xff\xfe", "a JSON object"),
        (b"[1]", "a JSON object"),
        (b"[" * 100_000, "a JSON object"),
        (changed(values={"a": math.nan}), "a JSON object"),
        (b"{}", "a record that is one of session, begin, again, metrics, artifact, model, description, end"),
        (changed(record="exec"), "a record that is one of session"),
        (changed(record=["metrics"]), "a record that is one of session"),
        (changed(more=1), "a record metrics with the fields run, step, values, time_ms"),
        (changed(run="abc"), "whose run is a key of 32 hexadecimal digits"),
        (changed(run=f"{'a' * 31}'"), "whose run is a key of 32 hexadecimal digits"),
        (changed(step=1.5), "whose step is an integer"),
        (changed(step=True), "whose step is an integer"),
        (changed(step=2**63), "whose step is an integer"),
        (changed(values=[1]), "whose values is numbers by name"),
        (changed(values={"a": "1"}), "whose values is numbers by name, NaN, Infinity, -Infinity as text"),
        (b"".join((changed(values={"a": 0})[:-20], b"1e999", b"}")), "a JSON object"),
        (changed(time_ms=-1), "whose time_ms is an integer >= 0"),
        (artifact("/etc/passwd"), "whose copy is a path inside of the folder"),
        (artifact("undelivered/../../x"), "whose copy is a path inside of the folder"),
        (artifact("a\0b"), "whose copy is a path inside of the folder"),
        (artifact("."), "whose copy is a path inside of the folder"),
    ],
)
def test_what_is_no_record_is_refused_in_one_line(line: bytes, allowed: str) -> None:
    with pytest.raises(SettingError) as refused:
        record_of(line, "journal.jsonl line 3")
    text = str(refused.value)
    assert text.startswith("journal.jsonl line 3 must be ")
    assert allowed in text
    assert "\n" not in text
    assert len(text) < 300


@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_anything_is_a_record_or_refused(line: bytes) -> None:
    assert said_of(line).isprintable()


def said_of(line: bytes) -> str:
    """Why a line is refused; nothing if it is a record."""
    try:
        record_of(line, "here")
    except SettingError as error:
        return str(error)
    return ""


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


@given(st.sampled_from(RECORDS), st.data())
def test_a_field_of_any_type_is_taken_or_refused(record: Record, data: st.DataObject) -> None:
    fields = json.loads(line_of(record))
    name = data.draw(st.sampled_from(sorted(fields)))
    line = json.dumps({**fields, name: data.draw(json_values)}).encode()
    assert said_of(line).isprintable()
