"""`metabalance report`: one page of an output folder that needs no network."""

from __future__ import annotations

import base64
import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from hierarchy import plots
from hierarchy.evidence import results
from hierarchy.evidence.results import RESULTS_NAME, Results, why_no_gap
from hierarchy.plots import Labels, Picture
from runs import published
from runs.settings import UsageError, parse

REPORT_NAME = "report.html"
TEMPLATE = Path(__file__).with_name("report.html.jinja")


class Section(NamedTuple):
    """A table of a study, with what to see in it."""

    title: str
    text: str
    rows: list[list[str]]
    ours: str = ""


def _interval(found: dict[str, Any], key: str = "mean", digits: int = 3) -> str:
    low, high = found["ci95"]
    return f"{found[key]:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def _comparisons(found: Results) -> list[list[str]]:
    rows = [["arm", "difference", "percent", "95 % t interval", "95 % bootstrap", "share of episodes better"]]
    for name, one in sorted(found["comparisons"].items(), key=lambda item: -item[1]["difference"]):
        beside = one["bootstrap_ci95"]
        rows.append(
            [
                name.removeprefix("td3_vs_"),
                f"{one['difference']:+.4f}",
                "-" if one["percent"] is None else f"{one['percent']:+.1f} %",
                f"{one['ci95'][0]:+.4f} to {one['ci95'][1]:+.4f}",
                "-" if beside is None else f"{beside[0]:+.4f} to {beside[1]:+.4f}",
                f"{one['p_better']:.2f}",
            ]
        )
    return rows


def _gap(found: Results) -> str:
    gap = found["gap_closed"]
    if gap is None:
        return f"gap_closed: none, {why_no_gap(found)}."
    return (
        f"gap_closed, the share of the delayed oracle's gain over the best fixed mix that td3 got: {_interval(dict(gap))}."
    )


def _held_out(found: dict[str, Results]) -> list[Section]:
    sections = []
    for name, one in found.items():
        text = "Agents and mixes as they were, in a world that nothing was trained or tuned on. "
        for arm in ("fixed_best", "delayed_oracle", "regime_oracle"):
            difference = one["comparisons"].get(f"td3_vs_{arm}")
            if difference is not None:
                text += f"td3 - {arm}: {_interval(dict(difference), 'difference')}. "
        sections.append(Section(f"Held out: {name}", text + _gap(one), results.table(one), "td3"))
    return sections


def _scenarios(found: dict[str, Any]) -> list[Section]:
    rows = [
        ["scenario", "best rule", "mean, to best", "p99, to best", "mean, to SED", "p99, to SED", "mean (ms)", "p99 (ms)"]
    ]
    for name, one in found.items():
        ratios = [_interval(one[to][key]) for to in ("to_best_rule", "to_nominal_sed") for key in one[to]]
        agent = one["agent"]
        rest = [f"{agent['latency_mean_ms']:.1f}", f"{agent['latency_p99_ms']:.0f}"]
        rows.append([name, ", ".join(sorted(set(one["best_rule"]))), *ratios, *rest])
    text = (
        "The lower agent under the latency-first context, against nine balancing rules. Ratios of latencies with 95 % "
        "intervals over training seeds: below 1 the agent is faster. SED knows the nominal capacities."
    )
    return [Section("Latency-first against balancing rules", text, rows)]


def _adaptation(found: dict[str, Any]) -> list[Section]:
    rows = [["change", "arm", "lower steps to 95 %", "seconds to 95 %", "final objective"]]
    text = "A fresh upper agent over the frozen lower one, against an agent without a hierarchy that goes on learning. "
    for change, one in found.items():
        for arm, figures in one["arms"].items():
            seconds, final = f"{figures['seconds_to_95']:.1f}", f"{figures['final']:.3f}"
            rows.append([change, arm, f"{figures['steps_to_95']:,.0f}", seconds, final])
        text += f"{change}: {one['share_of_flat_steps']:.2f} of the steps; td3 - flat {_interval(one['td3_minus_flat'])}. "
    return [Section("Another objective after training", text, rows, "td3")]


def _front(found: dict[str, Any]) -> list[Section]:
    rows = [
        ["figure", "value"],
        ["hypervolume, all contexts", _interval(found["hypervolume"], digits=4)],
        ["hypervolume of the balancing rules together", f"{found['hypervolume_of_rules']:.4f}"],
        ["expected utility over contexts", _interval(found["expected_utility"], digits=4)],
        ["contexts on the front", f"{sum(found['on_front'])} of {len(found['on_front'])}"],
    ]
    reference = ", ".join(f"{axis} {value:g}" for axis, value in zip(found["axes"], found["reference"], strict=True))
    return [Section("The front", f"Shares of the box up to the reference point: {reference}.", rows)]


STUDIES: dict[str, Callable[[Any], list[Section]]] = {
    "held_out.json": _held_out,
    "scenarios.json": _scenarios,
    "adaptation.json": _adaptation,
    "front.json": _front,
}
"""What makes sections of a study's file."""

PICTURES: dict[str, tuple[str, str]] = {
    "adaptation.png": ("Another objective after training", "Thin lines are training seeds."),
    "front.png": ("The front of one lower agent", "Down and left is better; a dark square is unfair to the servers."),
    "steering.png": ("Following the context", "At load 0.4, from latency-first to cost-first."),
}
"""Pictures that studies leave in the folder."""


def write_report(folder: Path) -> Path:
    """Write `report.html` from what the folder holds, and its pictures anew.

    Raises
    ------
    UsageError
        The folder holds no results.
    """
    found = results.read(folder)
    if found is None:
        raise UsageError(f"folder must hold {RESULTS_NAME} (made by train or ablate), got {folder}")
    from hierarchy.study import trained_folders
    from hierarchy.tracking.publishing import labels_of

    _, config = parse("ablate", "", ["--out", str(folder)], over_saved=True)
    labels = labels_of(config)
    drawn = plots.draw(found, trained_folders(folder), labels, folder)
    extra = [Picture(folder / name, *what) for name, what in PICTURES.items() if (folder / name).is_file()]
    sections = [
        section
        for name, make in STUDIES.items()
        if (folder / name).is_file()
        for section in make(json.loads((folder / name).read_text(encoding="utf-8")))
    ]
    if published.is_published(config):
        text = (
            "Its own formula makes other numbers of the latencies and costs that it reports; the figures here are computed "
            "from what was simulated."
        )
        sections.insert(0, Section(published.TITLE.capitalize(), text, published.table(found)))
    page = _render(folder, found, [*drawn, *extra], sections, labels, dataclasses.asdict(config))
    out = folder / REPORT_NAME
    partial = out.with_name(f".{REPORT_NAME}")
    partial.write_text(page, encoding="utf-8")
    partial.replace(out)
    return out


def _render(
    folder: Path,
    found: Results,
    pictures: list[Picture],
    sections: list[Section],
    labels: Labels,
    settings: dict[str, Any],
) -> str:
    from jinja2 import Environment, StrictUndefined

    from hierarchy.plots.arms import units_of

    seeds = found["training_seeds"]
    first = next(arm for arm in found["arms"].values() if arm is not None)
    n_evaluation = settings["ablation"]["n_seeds"]
    template = Environment(autoescape=True, undefined=StrictUndefined).from_string(TEMPLATE.read_text(encoding="utf-8"))
    return template.render(
        name=folder.resolve().name,
        summary=f"Preset {found['preset']}, objective {labels.objective}, {len(seeds)} training seeds, "
        f"{n_evaluation} evaluation seeds each. Intervals are 95 %, over {units_of(found)}.",
        arms=results.table(found),
        comparisons=_comparisons(found),
        units=units_of(found),
        bootstrap=first["objective"]["bootstrap_ci95"] is not None,
        gap=_gap(found),
        sections=sections,
        pictures=[
            {"title": one.title, "text": one.text, "data": base64.b64encode(one.path.read_bytes()).decode()}
            for one in pictures
        ],
        seeds=", ".join(map(str, seeds)),
        n_evaluation=n_evaluation,
        times=", ".join(f"{phase} {seconds:,.0f} s" for phase, seconds in found["timings_s"].items()),
        settings=json.dumps(settings, indent=1),
    )
