"""The published stream experiment, beside what was simulated here.

Its report gives a global reward of 1.8267 for the equal mix and 1.9217 for the learned one, +5.20 %. Its own formula,
`1000 / (latency + 1) - 0.1 cost`, makes other numbers of the latencies and costs that stand beside them. Run again with
stock PPO and TD3, its parts found a lower agent that had not learned to follow its context.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from envs import SparkConfig
from hierarchy.config import ExperimentConfig
from hierarchy.evidence.arms import ArmResult
from hierarchy.evidence.results import Results

TITLE = "global reward beside the published experiment"
TEXT = (
    "Its own formula makes other numbers of the latencies and costs that it reports; the figures here are computed from "
    "what was simulated."
)


class Reported(NamedTuple):
    """An experiment's figures for the equal and the learned mix."""

    source: str
    reward: tuple[float, float]
    latency_ms: tuple[float, float]
    cost_usd_per_h: tuple[float, float]


REPORTED = (
    Reported("the report", (1.8267, 1.9217), (520.0, 50.0), (5.50, 9.80)),
    Reported("the same, by its formula", (1.37, 18.6), (520.0, 50.0), (5.50, 9.80)),
    Reported("its parts, stock PPO and TD3", (1.712, 1.728), (462.0, 458.0), (4.60, 4.60)),
)


def is_published(config: ExperimentConfig) -> bool:
    """Whether the experiment is one of the published kind: its world, its objective."""
    env = config.env
    return isinstance(env, SparkConfig) and env.form == "base" and env.objective.name == "satisfaction"


def table(results: Results) -> list[list[str]]:
    """Equal and learned mix of the report, of its parts run again, and of these results, as rows below headings."""
    rows = [["", "equal mix", "learned mix", "gain", "latency (ms)", "cost ($/h)", "of constant"]]
    for one in REPORTED:
        (equal, learned), latency, cost = one.reward, one.latency_ms, one.cost_usd_per_h
        gain = f"{100 * (learned / equal - 1):+.1f} %"
        between = [f"{a:g} to {b:g}" for a, b in (latency, cost)]
        rows.append([one.source, f"{equal:.4g}", f"{learned:.4g}", gain, *between, "-"])
    return [*rows, _ours(results)]


def _ours(results: Results) -> list[str]:
    equal, learned = (_arm(results, name) for name in ("fixed_equal", "learned"))
    gain = results["comparisons"]["learned_vs_fixed_equal"]
    base = equal["objective"]["mean"]
    low, high = (100 * bound / abs(base) for bound in gain["ci95"])
    constant = results["arms"].get("best_constant")
    of_best = "-" if constant is None else f"{100 * learned['objective']['mean'] / constant['objective']['mean']:.1f} %"
    figures = [
        f"{equal['metrics'][name]:.{digits}f} to {learned['metrics'][name]:.{digits}f}"
        for name, digits in (("latency_mean_ms", 0), ("cost_usd_per_h", 2))
    ]
    n_seeds = len(results["training_seeds"])
    units = f"{n_seeds} training seeds" if n_seeds > 1 else f"{len(learned['objective']['per_seed'])} evaluation seeds"
    rewards = [_with_interval(arm["objective"]) for arm in (equal, learned)]
    percent = f"{100 * gain['difference'] / abs(base):+.0f} % ({low:+.0f} to {high:+.0f})"
    return [f"here, {units}", *rewards, percent, *figures, of_best]


def _with_interval(estimate: Any) -> str:
    low, high = estimate["ci95"]
    return f"{estimate['mean']:.3f} ({low:.3f} to {high:.3f})"


def _arm(results: Results, name: str) -> ArmResult:
    arm = results["arms"][name]
    assert arm is not None
    return arm
