"""`metabalance report` writes one page that needs no network, with the numbers and pictures of its folder."""

from __future__ import annotations

import html
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from hierarchy.evidence import tables
from hierarchy.evidence.gate import gate_table
from hierarchy.evidence.results import combined
from hierarchy.explaining.tree import trees_of
from runs.cli import main
from runs.report import section, trees
from runs.studies import STUDIES
from tests.runs.report.studied import studied

pytestmark = pytest.mark.slow


@pytest.fixture
def folder(trained: Any, tmp_path: Path) -> Path:
    copied = tmp_path / "mine"
    shutil.copytree(trained.out, copied)
    return copied


def page_of(folder: Path) -> str:
    assert main(["report", str(folder)]) == 0
    return (folder / "report.html").read_text(encoding="utf-8")


def test_the_page_needs_no_network(folder: Path) -> None:
    page = page_of(folder)
    assert not re.search(r"""(src|href)=["'](?!data:)""", page)
    assert "<script" not in page
    assert "@import" not in page


def test_the_page_has_every_arm_and_every_picture(folder: Path, trained: Any) -> None:
    page = page_of(folder)
    cells = [cell.strip() for cell in re.findall(r"<t[dh]>(.*?)</t[dh]>", page)]
    for row in tables.table(trained.results):
        for cell in row:
            assert cell in cells
    n_pictures = len(list(folder.glob("*.png")))
    assert page.count("data:image/png;base64,") == n_pictures > 5


def test_the_page_tells_what_the_gated_arm_took_and_from_what(folder: Path, trained: Any) -> None:
    page = page_of(folder)
    assert f"gated: took {trained.results['found']['gate']['name']}." in page
    for row in gate_table(trained.results):
        assert "".join(f"<td>{cell}</td>" for cell in row) in page or "".join(f"<th>{cell}</th>" for cell in row) in page


def test_the_page_shows_the_tree_of_every_training_seed_as_text(folder: Path, trained: Any) -> None:
    page = html.unescape(page_of(folder))
    [tree] = trees_of(trained.results["found"]["tree"])
    assert f"<pre>training seed 0:\n{tree.listing()}</pre>" in page
    assert f"<td>{tree.l1:.3f}</td>" in page
    both = combined([trained.results, {**trained.results, "training_seeds": [1]}])
    [shown] = trees.sections(both)
    assert [row[0] for row in shown.rows[1:]] == ["0", "1"]
    assert shown.listing.count(tree.listing()) == 2
    assert trees.sections({**trained.results, "found": {}}) == []


def test_the_best_rule_is_the_first_rival_and_no_second_one(trained: Any) -> None:
    _, first, *others, last = section.comparisons(trained.results)
    best = trained.results["comparisons"]["learned_vs_best_rule"]["rival"]
    assert last[0].startswith(f"gated against the best rule, {best}: {section.verdict(trained.results, 'gated')}")
    assert first[0] == f"best rule, {best}: {section.verdict(trained.results)}"
    assert best not in [row[0] for row in others]
    assert len(others) == len(trained.results["comparisons"]) - 3
    differences = [float(row[1]) for row in others]
    assert differences == sorted(differences, reverse=True)


SECTIONS = {
    "held_out.json": "Held out: other_pool",
    "suite.json": "Regret by world",
    "scenarios.json": "Latency-first against",
    "adaptation.json": "Another objective",
    "front.json": "hypervolume",
    "steering.json": "Following the",
    "headroom.json": "What is to be gained",
    "upper_seeds.json": "Upper agents of other seeds",
    "transfer.json": "Other numbers",
    "balancers.json": "Balancers that see",
    "algorithms.json": "How soon lower",
    "overlap.json": "Off-policy evaluation",
    "belief.json": "Windows remembered",
    "drift.json": "A world that drifts",
    "meta.json": "Learning to learn",
    "bounds.json": "Within a bound",
    "games.json": "Games with known answers",
}
"""Words of the section that shows a file."""


def test_studies_in_the_folder_are_sections_of_the_page(folder: Path, trained: Any) -> None:
    assert {name.removesuffix(".json") for name in SECTIONS} == STUDIES.keys()
    before = page_of(folder)
    for name, results in studied(trained.results).items():
        (folder / name).write_text(json.dumps(results))
    page = page_of(folder)
    for name, words in SECTIONS.items():
        assert words not in before, name
        assert words in page, name


def test_a_folder_without_results_is_refused_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert str(tmp_path) in error
    assert not (tmp_path / "report.html").exists()


@pytest.mark.parametrize(
    ("name", "place", "value"),
    [
        ("results.json", "arms", []),
        ("results.json", "comparisons", {"learned_vs_fixed_best": 3}),
        ("results.json", "found", "text"),
        ("results.json", "arms", {"learned": {"objective": "<script>alert(1)</script>"}}),
        ("moves.json", "", [[[]]]),
        ("front.json", "", {"n": None}),
    ],
)
def test_figures_that_nobody_wrote_are_refused_in_one_line(
    folder: Path, capsys: pytest.CaptureFixture[str], name: str, place: str, value: Any
) -> None:
    path = folder / name
    whole = json.loads(path.read_text()) | {place: value} if place else value
    path.write_text(json.dumps(whole))
    assert main(["report", str(folder)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "must be" in line
    assert not (folder / "report.html").exists()


def test_names_of_a_folder_that_somebody_sent_are_text_on_the_page(folder: Path) -> None:
    path, hostile = folder / "results.json", "<script>alert(1)</script>"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"preset": hostile, "notes": [hostile]}))
    assert hostile not in page_of(folder)
    assert html.escape(hostile) in (folder / "report.html").read_text()


def test_no_folder_is_refused_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
