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
from runs.studies import STUDIES, balancers, transfer
from tests.hierarchy.episodes import result_of

pytestmark = pytest.mark.slow

RATIO = {"mean": 0.95, "ci95": [0.9, 1.0], "per_seed": [0.95]}
FIGURES = {"latency_mean_ms": 80.0, "latency_p99_ms": 400.0}


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


@pytest.fixture
def studied(trained: Any) -> dict[str, Any]:
    """What every study leaves in a folder, by file."""
    scenario = {
        "best_rule": ["sed"],
        "agent": FIGURES,
        "untrained": FIGURES,
        "trained": FIGURES,
        "kept_at": [8192],
        "to_best_rule": dict.fromkeys(FIGURES, RATIO),
        "to_nominal_sed": dict.fromkeys(FIGURES, RATIO),
    }
    arm = {"n": 1, "n_reached": 1, "lower_steps": 9000.0, "seconds": 1.0, "final": 2.0}
    change = {
        "arms": {"learned": arm, "flat": arm},
        "share_of_flat_steps": 0.05,
        "learned_minus_flat": {**RATIO, "difference": 1.0},
    }
    tries = {**RATIO, "per_try": [1.0, -1.0], "least": -1.0, "n_below": 1, "n_clearly": 0, "n_trained": 2}
    trial = {
        "game": "climbing",
        "algorithm": "qmix",
        "reward": "team",
        "asked": {"figure": "short of the optimum", "sign": ">=", "bound": 1.0},
        "figures": [6.0],
        "worst": 6.0,
        "n_reached": 1,
        "nash_gaps": [0.5],
    }
    cell = {"objective": {"gated": 1.5}, "regret": {"gated": [0.125]}, "gated_vs_best_rule": None, "verdict": ""}
    names = (balancers.OURS, *balancers.RIVALS, *balancers.RULES)
    means = {balancers.METRIC: {name: [10.0] for name in names}, "power": [0.5]}
    team = {**means, "ratios": dict.fromkeys(balancers.RIVALS, RATIO)}
    return {
        "held_out.json": {"other_pool": trained.results},
        "suite.json": {"cells": {"bursts, slo": cell}, "aggregate": {"gated": RATIO}},
        "scenarios.json": {"drift": scenario},
        "adaptation.json": {"slo": change},
        "front.json": {
            "hypervolume": RATIO,
            "hypervolume_of_rules": {"sed": 0.3, "autoscale": 0.35},
            "hypervolume_of_all_rules": 0.4,
            "expected_utility": RATIO,
            "on_front": [True, False],
            "axes": ["cost"],
            "reference": [5.0],
        },
        "steering.json": {
            "cost_first_to_latency_first_cost": 0.5,
            "latency_first_to_cost_first_latency": 0.25,
            "weight_of_cost": [0.0, 1.0],
            "cost_usd_per_h": [[2.0, 1.0]],
            "latency_mean_ms": [[10.0, 40.0]],
        },
        "headroom.json": {
            "arms": {"planner": result_of([2.0]), "best_rule": result_of([1.0])},
            "best_rules": ["autoscale"],
            "comparisons": {"best_rule": {**RATIO, "rival": "best_rule", "difference": 1.0, "percent": 20.0}},
            "shares": {"best_rule": RATIO},
        },
        "upper_seeds.json": {"lower_agents": {"3": tries}},
        "transfer.json": {"6 servers": dict.fromkeys(transfer.RATIOS, RATIO)},
        "balancers.json": {"0.7": team},
        "games.json": {"climbing-qmix": trial},
    }


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
    "games.json": "Games with known answers",
}
"""Words of the section that shows a file."""


def test_studies_in_the_folder_are_sections_of_the_page(folder: Path, studied: dict[str, Any]) -> None:
    assert {name.removesuffix(".json") for name in SECTIONS} == STUDIES.keys()
    before = page_of(folder)
    for name in SECTIONS:
        (folder / name).write_text(json.dumps(studied[name]))
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
