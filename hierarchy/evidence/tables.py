"""Results as tables of text, for the terminal, for a page and for a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hierarchy.evidence.arms import BEST_RULE, OURS, ArmResult, Compared, best_rule
from hierarchy.evidence.results import Results, ranked

N_SHOWN = 7
"""Metrics in the table of arms."""
N_BEFORE_METRICS, N_AFTER_METRICS = 3, 2
"""Columns on both sides of them."""
UNITS = {"_usd_per_h": "$/h", "_ms": "ms", "_s": "s", "_hz": "1/s"}
SHARE = "_share"
N_LETTERS = 5
"""Of a name that ends a heading."""


def heading(metric: str) -> str:
    """A metric as the heading of a column: `latency_mean_ms` is "mean ms", `late_share_interactive` "late % inter"."""
    if SHARE in metric:
        what, _, of = metric.partition(SHARE)
        return " ".join([what.replace("_", " "), "%", *[part[:N_LETTERS] for part in of.split("_") if part]])
    for suffix, unit in UNITS.items():
        if metric.endswith(suffix):
            name = metric.removesuffix(suffix).removeprefix("latency_").replace("_", " ")
            return unit if name == "cost" else f"{name} {unit}"
    return metric.replace("_", " ")


def cell(metric: str, value: float) -> str:
    """A figure of a metric; shares in percent."""
    if SHARE in metric:
        return f"{100.0 * value:.2f}"
    return f"{value:,.0f}" if metric.endswith("_ms") and value >= 100.0 else f"{value:#.4g}"


def headed(results: Results) -> list[tuple[str, ArmResult]]:
    """The arms as a table lists them: the best rule on top, whatever is above it, then the others, best first.

    It is the best on evaluation seeds: hindsight, in favour of the rules.
    """
    arms, best = ranked(results), best_rule([results["arms"]])
    return [*(one for one in arms if one[0] == best), *(one for one in arms if one[0] != best)]


def compared_once(results: Results) -> list[tuple[bool, Compared]]:
    """Of the learned arm, whether with the best rule, which heads them; the others by difference, largest first."""
    others = {name: one for name, one in results["comparisons"].items() if name.startswith(f"{OURS}_vs_")}
    best = others.pop(f"{OURS}_vs_{BEST_RULE}", None)
    if best is not None:
        del others[f"{OURS}_vs_{best['rival']}"]
    ordered = sorted(others.values(), key=lambda one: -one["difference"])
    return [*([] if best is None else [(True, best)]), *((False, one) for one in ordered)]


def table(results: Results) -> list[list[str]]:
    """The arms as rows of text below a row of headings; of the metrics the first that the world names."""
    return rows_of(headed(results))


def rows_of(arms: Sequence[tuple[str, ArmResult]]) -> list[list[str]]:
    """The same of arms by name, in their order; what costs of a step are in the mean stands beside their bounds."""
    _, first = arms[0]
    shown, bounds = list(first["metrics"])[:N_SHOWN], first["constraints"]
    bounded = [f"{name} <= {one['bound']:g}" for name, one in bounds.items()]
    rows = [["arm", "objective", "95 % interval", *map(heading, shown), *bounded, "mix", "knows"]]
    for name, arm in arms:
        low, high = arm["objective"]["ci95"]
        metrics = [cell(metric, arm["metrics"][metric]) for metric in shown]
        costs = [f"{arm['constraints'][constraint]['cost']['mean']:.4g}" for constraint in bounds]
        mix = " ".join(f"{weight:.2f}" for weight in arm["context"].values()) if arm["context"] else "-"
        figures = [f"{arm['objective']['mean']:.3f}", f"{low:.3f} to {high:.3f}", *metrics, *costs]
        rows.append([name, *figures, mix, arm["knows"]])
    return rows


def found_table(results: Results) -> list[list[str]]:
    """Numbers that were chosen on selection seeds, and what the choice took, as rows below headings; none if none were.

    A mean is of the chosen one, so it flatters: it was the largest of many.
    """
    seeds = results["training_seeds"]
    rows = []
    for name, value in results["found"].items():
        for seed, one in zip(seeds, [value] if len(seeds) == 1 else value, strict=True):
            if isinstance(one, Mapping) and "n_trials" in one:
                rows.append([name, str(seed), *_chosen_cells(one)])
    headings = ["found for", "seed", "mean", "standard error", "tried", "cut short", "lower steps", "numbers"]
    return [headings, *rows] if rows else []


def _number(value: Any) -> str:
    return value if isinstance(value, str) else f"{value:.3g}"


def _chosen_cells(chosen: Mapping[str, Any]) -> list[str]:
    error = "-" if chosen["standard_error"] is None else f"{chosen['standard_error']:.3f}"
    numbers = ", ".join(f"{name} {_number(value)}" for name, value in chosen["numbers"].items())
    counts = (f"{chosen[name]:,}" for name in ("n_trials", "n_cut_short", "n_lower_steps"))
    return [f"{chosen['mean']:.3f}", error, *counts, numbers]


def markdown(results: Results) -> str:
    """The table of arms in Markdown."""
    headings, *rows = table(results)
    rule = ["---", *["---:"] * (len(headings) - 2), "---"]
    return "\n".join(f"| {' | '.join(row)} |" for row in (headings, rule, *rows))
