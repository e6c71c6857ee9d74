"""Addresses are shown without who logs in there, and with what."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hierarchy.tracking.addresses import shown

SECRET = "s3cr3t"


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("http://host:5000/path", "http://host:5000/path"),
        ("http://user:word@host:5000", "http://***@host:5000"),
        ("https://token@host", "https://***@host"),
        ("postgresql+psycopg://user:word@host:5432/db?sslmode=require", "postgresql+psycopg://***@host:5432/db?***"),
        ("http://host/?password=a@b", "http://***"),
        ("sqlite:////home/me/mlflow.db", "sqlite:////home/me/mlflow.db"),
        ("databricks", "databricks"),
        ("garbage:/x", "garbage:/x"),
        ("user:word@host", "user:***"),
    ],
)
def test_what_tells_where_a_store_is_stays(uri: str, expected: str) -> None:
    assert shown(uri) == expected


AROUND = st.text(alphabet="abc:/?#@;%&=[] 1", max_size=4)


@given(st.sampled_from(["http", "https", "postgresql+psycopg", "mysql"]), AROUND, AROUND, AROUND)
def test_a_password_is_never_shown_whatever_stands_around_it(scheme: str, before: str, after: str, query: str) -> None:
    """A reader who does not escape what must be escaped has a password all the same."""
    assert SECRET not in shown(f"{scheme}://user:{before}{SECRET}{after}@host/db?{query}")
    assert SECRET not in shown(f"{scheme}://{SECRET}@host/db")
    assert SECRET not in shown(f"{scheme}://host/db?{before}={before}{SECRET}{after}")
