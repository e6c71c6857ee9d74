"""Results as a table on the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from hierarchy.results import ranked

if TYPE_CHECKING:
    from hierarchy.results import Results

HEADINGS = ("objective", "95 % interval", "latency mean ms", "p99 ms", "cost $/h", "late %", "mix")


def print_results(results: Results, console: Console) -> None:
    """All arms, best first, then the comparisons that the experiment is about."""
    table = Table(title=f"arms of preset {results['preset']}, seed {results['seed']}")
    table.add_column("arm")
    for heading in HEADINGS:
        table.add_column(heading, justify="right")
    for name, arm in ranked(results):
        low, high = arm["objective"]["ci95"]
        metrics, mix = arm["metrics"], arm["context"]
        cells = (
            f"{arm['objective']['mean']:.4f}",
            f"{low:.4f} to {high:.4f}",
            f"{metrics['latency_mean_ms']:.1f}",
            f"{metrics['latency_p99_ms']:.0f}",
            f"{metrics['cost_usd_per_h']:.3f}",
            f"{100 * metrics['late_share']:.2f}",
            " ".join(f"{weight:.2f}" for weight in mix.values()) if mix else "-",
        )
        table.add_row(name, *cells, style="bold" if name == "td3" else None)
    console.print(table)
    for name in ("td3_vs_fixed_equal", "td3_vs_fixed_best"):
        compared = results["comparisons"][name]
        low, high = compared["ci95"]
        percent = "" if compared["percent"] is None else f" ({compared['percent']:+.1f} %)"
        console.print(
            f"{name}: {compared['difference']:+.4f}{percent}, 95 % interval {low:+.4f} to {high:+.4f}", highlight=False
        )
    gap = results["gap_closed"]
    if gap is None:
        console.print("gap_closed: none, the delayed oracle is not clearly apart from the best fixed mix")
    else:
        low, high = gap["ci95"]
        console.print(f"gap_closed: {gap['mean']:.2f}, 95 % interval {low:.2f} to {high:.2f}", highlight=False)
