"""`metabalance report`: one page of an output folder that needs no network."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import jinja2

from envs.core.validation import SettingError
from hierarchy import plots
from hierarchy.config import ExperimentConfig
from hierarchy.evidence.gate import gate_table, gate_text
from hierarchy.evidence.results import Results, read
from hierarchy.evidence.tables import found_table, table
from hierarchy.plots import Labels, Picture
from hierarchy.storage.files import read_json, write
from hierarchy.storage.folder import RESULTS_NAME, trained_folders
from hierarchy.sweeping.sweep import SWEEP_NAME
from runs.report import moves, published, trees
from runs.report.section import Section, comparisons, gap_text
from runs.report.sweep import sweep_page
from runs.report.template import rendered
from runs.settings.experiment import load_config
from runs.settings.usage import UsageError
from runs.studies import STUDIES, study_of

REPORT_NAME = "report.html"
FOUND_TEXT = (
    "Numbers of rules and mixes, chosen before any evaluation seed was met. Means are of the best one, on selection seeds; "
    "those that were cut short met fewer."
)
GATE_TEXT = (
    "The learned pair and every rule met the same selection seeds, which no numbers were chosen by; the one with the best "
    "mean was taken. What was the largest of several flatters."
)
DAMAGED = (AttributeError, IndexError, KeyError, OverflowError, TypeError, ValueError, jinja2.TemplateError)
"""What files that are not as they were written lead to: they may be somebody else's, so no check is as long as they are."""


def studied(folder: Path) -> tuple[list[Section], list[Picture]]:
    """What the studies that were run in a folder add to its page."""
    sections, pictures = [], []
    for name in STUDIES:
        path = folder / f"{name}.json"
        if not path.is_file():
            continue
        study = study_of(name)
        sections += study.sections(read_json(path))
        there = [one for one in study.captions if (folder / one.file).is_file()]
        pictures += [Picture(folder / one.file, one.title, one.text) for one in there]
    return sections, pictures


def write_report(folder: Path, *, trusts_factory: bool = False) -> Path:
    """Write `report.html` from what the folder holds, and its pictures anew.

    Raises
    ------
    UsageError, SettingError
        The folder holds no results or damaged ones, or its world has a factory that is not trusted.
    """
    try:
        page = _page_of(folder, trusts_factory)
    except SettingError:
        raise
    except DAMAGED as error:
        what = " ".join(f"{type(error).__name__}: {error}".split())
        raise SettingError("folder", "one whose results are as this version writes them", f"{folder} ({what})") from error
    out = folder / REPORT_NAME
    write(out, lambda file: file.write(page.encode()))
    return out


def _page_of(folder: Path, trusts_factory: bool) -> str:
    """The page of a sweep, or of an experiment or several training seeds."""
    if (folder / SWEEP_NAME).is_file():
        return sweep_page(folder, trusts_factory=trusts_factory)
    results = read(folder)
    if results is None:
        raise UsageError(f"folder must hold {RESULTS_NAME} (made by train or ablate) or {SWEEP_NAME}, got {folder}")
    return _page(folder, results, load_config(folder, trusts_factory=trusts_factory).config)


def _page(folder: Path, results: Results, config: ExperimentConfig) -> str:
    """The page, once pictures are drawn."""
    from hierarchy.tracking.publishing import labels_of

    labels = labels_of(config)
    drawn = plots.draw(results, trained_folders(folder), labels, folder)
    sections, pictures = studied(folder)
    sections = [*trees.sections(results), *moves.sections(trained_folders(folder)[0]), *sections]
    found = found_table(results)
    if found:
        sections.insert(0, Section("What was found on selection seeds", FOUND_TEXT, found))
    gate = gate_table(results)
    if gate:
        sections.insert(0, Section("What the gated arm took", GATE_TEXT, gate))
    if published.is_published(config):
        sections.insert(0, Section(published.TITLE.capitalize(), published.TEXT, published.table(results)))
    return _render(folder, results, [*drawn, *pictures], sections, labels, dataclasses.asdict(config))


def _render(
    folder: Path,
    results: Results,
    pictures: list[Picture],
    sections: list[Section],
    labels: Labels,
    settings: dict[str, Any],
) -> str:
    from hierarchy.plots.arms import units_of

    seeds = results["training_seeds"]
    first = next(arm for arm in results["arms"].values() if arm is not None)
    n_evaluation = settings["ablation"]["n_seeds"]
    times = ", ".join(f"{phase} {seconds:,.0f} s" for phase, seconds in results["timings_s"].items())
    return rendered(
        name=folder.resolve().name,
        summary=f"Preset {results['preset']}, objective {labels.objective}, {len(seeds)} training seeds, "
        f"{n_evaluation} evaluation seeds each. Intervals are 95 %, over {units_of(results)}."
        + "".join(f" Note: {line}." for line in results["notes"]),
        sections=sections,
        pictures=pictures,
        how=f"Training seeds {', '.join(map(str, seeds))}; {n_evaluation} evaluation seeds each. Times: {times}.",
        settings=settings,
        arms=table(results),
        comparisons=comparisons(results),
        units=units_of(results),
        bootstrap=first["objective"]["bootstrap_ci95"] is not None,
        gap=gap_text(results),
        gate=gate_text(results),
    )
