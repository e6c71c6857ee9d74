"""Pictures of an experiment or a study, made from what its folder holds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from hierarchy.arms.episodes import Episodes
from hierarchy.evidence.recordings import load_curves, load_episodes
from hierarchy.evidence.results import Results, ranked
from hierarchy.plots.arms import plot_arms, plot_differences, plot_profiles, plot_spreads
from hierarchy.plots.contexts import plot_by_regime, plot_contexts, plot_ternary, plot_timeline
from hierarchy.plots.curves import Curve, plot_learning, plot_lines
from hierarchy.plots.figure import Labels, Picture

__all__ = ["Labels", "Picture", "draw"]

OURS = "learned"
SHOWN = ("learned", "fixed_best", "tuned_static", "rule", "delayed_oracle", "flat", "random")
"""Arms in pictures that would be crowded with all of them."""


def draw(results: Results, folders: Sequence[Path], labels: Labels, out: Path) -> list[Picture]:
    """All pictures of an experiment, or of the training seeds of a study, whose recordings are in ``folders``."""
    recorded = [load_episodes(folder) for folder in folders]
    curves = [load_curves(folder) for folder in folders]
    return [
        *_of_arms(results, recorded, labels, out),
        *_of_learning(curves, labels, out),
        *_of_contexts(recorded, labels, out),
    ]


def _of_arms(results: Results, recorded: list[dict[str, Episodes]], labels: Labels, out: Path) -> list[Picture]:
    pictures = [
        Picture(
            plot_arms(results, labels.objective, out / "arms.png"),
            "Arms",
            "Black is the learned mix, grey other mixes, white arms without a hierarchy.",
        )
    ]
    if results["comparisons"]:
        path = plot_differences(results, labels.objective, out / "differences.png")
        pictures.append(Picture(path, "What the learned mix gains", "Paired: both arms met the same requests."))
    there = [name for name in SHOWN if all(name in one for one in recorded)]
    base = [one["fixed_equal"].objective for one in recorded]
    gains = {name: np.array([one[name].objective for one in recorded]) - np.array(base) for name in there}
    pictures.append(
        Picture(
            plot_profiles(gains, labels.objective, out / "profiles.png"),
            "Performance profiles",
            "How often an arm beats the equal mix, and by how much: higher is better at every margin.",
        )
    )
    rules = [name for name, arm in ranked(results) if arm["context"] is None and name != "flat"][:1]
    spreads = {}
    for name in [*there, *rules]:
        parts = [spread for one in recorded if (spread := one[name].spread) is not None]
        if parts:
            spreads[name] = parts[0]._replace(counts=sum((part.counts for part in parts), np.zeros_like(parts[0].counts)))
    if spreads:
        text = "All episodes together. An arm that saves servers answers later; what that costs is in the objective."
        pictures.append(Picture(plot_spreads(spreads, out / "latencies.png"), "How long answers take", text))
    return pictures


def _of_learning(curves: list[dict[str, dict[str, list[float]]]], labels: Labels, out: Path) -> list[Picture]:
    phases: dict[str, list[Curve]] = {}
    for phase in ("lower", "upper", "flat"):
        found = [one[phase] for one in curves if phase in one]
        if found and len(found) == len(curves):
            phases[phase] = found
    shown = [("lower", f"reward/{term}", "lower steps", f"{term}, a loss (1)") for term in labels.terms if "lower" in phases]
    if "upper" in phases:
        shown.append(("upper", "upper/objective", "meta steps", f"learned: {labels.objective}"))
    if "flat" in phases:
        shown.append(("flat", "flat/objective", "lower steps", f"flat: {labels.objective}"))
    if not shown:
        return []
    text = "While training, exploration included; the band is the 95 % interval over training seeds."
    pictures = [Picture(plot_learning(phases, shown, out / "learning.png"), "Learning", text)]
    if "lower" in phases:
        names = {f"setting/{term}_first": f"{term} first" for term in labels.terms}
        path = plot_lines(phases["lower"], names, "lower steps", f"mean {labels.setting}", out / "settings.png")
        text = "What the lower agent sets, by the term that its context puts first: lines part when it hears its context."
        pictures.append(Picture(path, "Learning to follow the context", text))
    if "upper" in phases:
        names = {f"context/{term}": term for term in labels.terms} | {"upper/corner_share": "share at a corner"}
        path = plot_lines(phases["upper"], names, "meta steps", "weight in the mix, share (1)", out / "mixes.png")
        text = "Means over meta envs, exploration included, and the share of contexts that give all weight to one term."
        pictures.append(Picture(path, "The context while the upper agent learns", text))
    return pictures


def _of_contexts(recorded: list[dict[str, Episodes]], labels: Labels, out: Path) -> list[Picture]:
    episodes = [one[OURS] for one in recorded if OURS in one]
    if not episodes or episodes[0].contexts is None:
        return []
    contexts = np.concatenate([one.contexts.reshape(-1, len(labels.terms)) for one in episodes if one.contexts is not None])
    regimes = np.concatenate([one.regimes.ravel() for one in episodes])
    first = episodes[0]
    assert first.contexts is not None
    pictures = [
        Picture(
            plot_contexts(first.contexts[:, 0], labels, out / "contexts.png"),
            "The context over one episode",
            "What the upper agent says matters, window by window.",
        )
    ]
    if labels.regimes:
        path = plot_by_regime(contexts, regimes, labels, out / "regimes.png")
        pictures.append(
            Picture(path, "The mean mix by regime", "The agent is not told the regime; it goes by measurements.")
        )
    if labels.regimes and len(labels.terms) == 3:
        every = max(1, len(contexts) // 2000)
        path = plot_ternary(contexts[::every], regimes[::every], labels, out / "ternary.png")
        pictures.append(Picture(path, "Contexts on the simplex", "A corner gives all weight to one term."))
    path = plot_timeline(first.timeline, first.settings, first.contexts[:, 0], labels, out / "timeline.png")
    pictures.append(Picture(path, "One episode", "What arrived, what it did, what both agents set."))
    return pictures
