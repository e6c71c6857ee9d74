"""What one sees in MLflow: a real server, a real browser, and the numbers of `results.json` on its pages.

Screenshots stay in `runs/out/screenshots`. The browser is Debian's Chromium; where it is missing these tests are skipped,
unless `REQUIRE_BROWSER` is set.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, sync_playwright

from hierarchy.evidence import results, tables
from tests.runs.serving import Served, answer, end, serve

pytestmark = pytest.mark.slow

SCREENSHOTS = Path(__file__).parents[3] / "runs" / "out" / "screenshots"
COMPARED = ("learned", "fixed_best", "fixed_equal")
PATIENCE_MS = 60_000


def browser() -> str:
    found = shutil.which("chromium")
    if found is None:
        assert "REQUIRE_BROWSER" not in os.environ, "chromium must be installed"
        pytest.skip("needs Chromium (Debian: apt-get install chromium)")
    return found


@pytest.fixture(scope="module")
def served(command: Callable[..., subprocess.Popen[str]], trained: Any) -> Iterator[Served]:
    browser()
    running = serve(command, trained.out.parent)
    yield running
    end(running.process)


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser(), args=["--no-sandbox"])
        page = chromium.new_page(viewport={"width": 1900, "height": 1100})
        page.set_default_timeout(PATIENCE_MS)
        yield page
        chromium.close()


def keep(page: Page, name: str) -> None:
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"{name}.png")


def experiment_of(served: Served) -> str:
    found = re.search(r"/experiments/(\d+)/", served.line)
    assert found is not None
    return found[1]


def runs_of(served: Served, level: str) -> dict[str, str]:
    """Run ids by name."""
    query = {"experiment_ids": [experiment_of(served)], "filter": f"tags.level = '{level}'"}
    _, found = answer(f"{served.base}/api/2.0/mlflow/runs/search", query)
    return {run["info"]["run_name"]: run["info"]["run_id"] for run in json.loads(found)["runs"]}


def column(page: Page, name: str) -> list[str]:
    """What a column of the runs page shows, top to bottom."""
    cells: list[tuple[int, str]] = page.evaluate(
        """name => [...document.querySelectorAll('.ag-cell')].filter(cell => cell.getAttribute('col-id') === name)
            .map(cell => [Number(cell.closest('.ag-row').getAttribute('row-index')), cell.innerText])""",
        name,
    )
    return [text.splitlines()[-1] for _, text in sorted(cells)]


def test_the_printed_address_shows_the_arms_ranked_with_their_objective(served: Served, page: Page, trained: Any) -> None:
    address = re.search(r"http://\S+", served.line)
    assert address is not None
    page.goto(address[0])
    page.wait_for_selector(".ag-cell[col-id='metrics.`objective`']")
    ranked = results.ranked(trained.results)
    page.wait_for_function(
        "n => document.querySelectorAll('.ag-center-cols-container .ag-row').length === n", arg=len(ranked)
    )
    page.wait_for_selector("nav >> text=Model registry")
    assert not page.locator("nav >> text=Judges").count(), "must be the page of model training"
    keep(page, "arms")
    shown = [float(text) for text in column(page, "metrics.`objective`")]
    assert shown == sorted(shown, reverse=True)
    names = column(page, "attributes.`Run Name`")
    means = {name: arm["objective"]["mean"] for name, arm in ranked}
    assert dict(zip(names, shown, strict=True)) == pytest.approx(means, abs=1e-9)


def test_the_comparison_of_three_arms_shows_contexts_against_objectives(served: Served, page: Page, trained: Any) -> None:
    ids = runs_of(served, "arm")
    runs, experiments = json.dumps([ids[name] for name in COMPARED]), json.dumps([experiment_of(served)])
    page.goto(f"{served.base}/#/compare-runs?runs={quote(runs)}&experiments={quote(experiments)}")
    page.wait_for_selector("text=Parallel Coordinates Plot")
    page.wait_for_selector(".parcoords, .js-plotly-plot")
    page.wait_for_function("() => document.body.innerText.includes('objective')")
    keep(page, "comparison")
    axes = page.evaluate("() => [...document.querySelectorAll('.axis-title')].map(title => title.textContent)")
    assert {"context/fairness", "context/latency", "context/cost", "objective"} <= set(axes)
    page.get_by_text("lost_share", exact=True).wait_for()
    shown = numbers(page.evaluate("() => document.body.textContent.includes('objective') ? document.body.innerText : ''"))
    ends = numbers(
        "\n".join(page.evaluate("() => [...document.querySelectorAll('.axis-extent text')].map(e => e.textContent)"))
    )
    arms = [trained.results["arms"][name] for name in COMPARED]
    objectives = [arm["objective"]["mean"] for arm in arms]
    for end_of_axis in (min(objectives), max(objectives)):  # an axis of equal values is widened by a tenth
        assert any(number == pytest.approx(end_of_axis, abs=1e-5, rel=0.15) for number in ends), (end_of_axis, ends)
    for name, arm in zip(COMPARED, arms, strict=True):
        assert page.get_by_text(name, exact=True).count() > 0
        for figure in (*arm["context"].values(), arm["metrics"]["cost_usd_per_h"], arm["metrics"]["latency_mean_ms"]):
            assert any(number == pytest.approx(figure, rel=1e-3, abs=5e-4) for number in shown), (name, figure)


def numbers(text: str) -> list[float]:
    """All numbers of a text, the typographic minus of axes read as one."""
    return [float(number) for number in re.findall(r"-?\d+(?:\.\d+)?", text.replace("\u2212", "-"))]


def test_the_parent_shows_the_table_of_results(served: Served, page: Page, trained: Any) -> None:
    (run_id,) = runs_of(served, "experiment").values()
    page.goto(f"{served.base}/#/experiments/{experiment_of(served)}/runs/{run_id}")
    page.wait_for_selector("text=Description")
    page.wait_for_selector("table >> text=learned")
    keep(page, "parent")
    table = page.locator("table").first
    rows = [[cell.strip() for cell in row.all_inner_texts()] for row in _cells(table)]
    assert rows == tables.table(trained.results)


def _cells(table: Any) -> list[Any]:
    return [row.locator("th, td") for row in table.locator("tr").all()]
