"""Which pictures an experiment has, and what their captions say."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from envs.core.statistics import Spread
from hierarchy.evidence.episodes import Episodes
from hierarchy.evidence.recordings import load_curves, load_episodes
from hierarchy.evidence.results import Results, ranked
from hierarchy.plots.arms import plot_arms, plot_differences, plot_profiles, plot_spreads, shares_by_class
from hierarchy.plots.contexts import plot_by_regime, plot_ternary
from hierarchy.plots.curves import Curve, Panel, plot_learning, plot_lines
from hierarchy.plots.figure import Labels, Picture
from hierarchy.plots.style import GATED, LEARNED, OVERLAP
from hierarchy.plots.timeline import MOST_LINES, plot_contexts, plot_timeline

SHOWN = (LEARNED, GATED, "fixed_best", "tuned_static", "delayed_oracle", "flat", "random")
"""Arms in pictures that would be crowded with all of them."""
EQUAL = "fixed_equal"
PHASES = ("lower", "upper", "flat")
TERNARY_POINTS = 2000

Recorded = dict[str, Episodes]
"""The episodes of every arm of one training seed."""


def draw(results: Results, folders: Sequence[Path], labels: Labels, out: Path) -> list[Picture]:
    """All pictures of an experiment, or of the training seeds of a study, whose recordings are in ``folders``."""
    recorded = [load_episodes(folder) for folder in folders]
    curves = [load_curves(folder) for folder in folders]
    return [
        *_of_arms(results, recorded, labels, out),
        *_of_learning(curves, labels, out),
        *_of_contexts(recorded, labels, out),
    ]


def _of_arms(results: Results, recorded: list[Recorded], labels: Labels, out: Path) -> list[Picture]:
    path = plot_arms(results, labels.objective, out / "arms.png")
    text = (
        "The mean of each arm with its interval, the best rule on top, then the others, best first; colour and marker tell "
    )
    text += "what kind of arm it is."
    if shares_by_class(results):
        text += " Beside it what was late and what was lost of the requests of each class: an objective may hide either."
    pictures = [Picture(path, "Arms", text)]
    if results["comparisons"]:
        path = plot_differences(results, labels.objective, out / "differences.png")
        text = "Paired: both arms met the same requests. Right of zero the learned mix is better. The best rule is on top."
        pictures.append(Picture(path, "What the learned mix gains", text))
    there = [name for name in SHOWN if all(name in one for one in recorded)]
    if all(EQUAL in one for one in recorded):
        base = np.array([one[EQUAL].objective for one in recorded])
        gains = {name: np.array([one[name].objective for one in recorded]) - base for name in there}
        path = plot_profiles(gains, labels.objective, out / "profiles.png")
        text = f"How often an arm beats the equal mix, and by how much: higher is better at every margin. {OVERLAP}"
        pictures.append(Picture(path, "Performance profiles", text))
    spreads = _spreads(results, recorded, there)
    if spreads:
        path = plot_spreads(spreads, out / "latencies.png")
        text = "All episodes together. An arm that saves servers answers later; what that costs is in the objective. "
        pictures.append(Picture(path, "How long answers take", text + OVERLAP))
    return pictures


def _spreads(results: Results, recorded: list[Recorded], shown: list[str]) -> dict[str, Spread]:
    """Times of answers of the shown arms and of the best balancing rule, all training seeds together."""
    rules = [name for name, arm in ranked(results) if arm["kind"] == "rule"][:1]
    spreads = {}
    for name in [*shown, *rules]:
        parts = [spread for one in recorded if (spread := one[name].spread) is not None]
        if parts:
            spreads[name] = parts[0]._replace(counts=sum((part.counts for part in parts), np.zeros_like(parts[0].counts)))
    return spreads


class LinesOfTraining(NamedTuple):
    """A picture of several metrics of one phase of training."""

    phase: str
    names: dict[str, str]  # metric -> label
    x_label: str
    y_label: str
    file: str
    title: str
    text: str


def phases_of_all(curves: Sequence[dict[str, Curve]]) -> dict[str, list[Curve]]:
    """The phases that the curves of every training seed hold."""
    return {phase: [one[phase] for one in curves] for phase in PHASES if all(phase in one for one in curves)}


def panels_of_learning(phases: Sequence[str], labels: Labels) -> list[Panel]:
    """The panels of the picture of learning, for phases that there are curves of."""
    panels = [Panel("lower", f"reward/{term}", "lower steps", f"{term}, a loss (1)") for term in labels.terms]
    panels.append(Panel("upper", "upper/objective", "meta steps", f"{LEARNED}: {labels.objective}"))
    panels.append(Panel("flat", "flat/objective", "lower steps", f"flat: {labels.objective}"))
    return [panel for panel in panels if panel.phase in phases]


def lines_of_training(phases: Sequence[str], labels: Labels) -> list[LinesOfTraining]:
    """The pictures of several metrics each, for phases that there are curves of."""
    settings = LinesOfTraining(
        phase="lower",
        names={f"setting/{term}_first": f"{term} first" for term in labels.terms},
        x_label="lower steps",
        y_label=f"mean {labels.setting} (1)",
        file="settings.png",
        title="Learning to follow the context",
        text="What the lower agent sets, by the term that its context puts first: lines part when it follows its context.",
    )
    mixes = LinesOfTraining(
        phase="upper",
        names={f"context/{term}": term for term in labels.terms} | {"upper/corner_share": "share at a corner"},
        x_label="meta steps",
        y_label="weight in the mix, share (1)",
        file="mixes.png",
        title="The context while the upper agent learns",
        text="Means over meta envs, exploration included, and the share of contexts that give all weight to one term.",
    )
    return [lines for lines in (settings, mixes) if lines.phase in phases]


def _has(curves: list[Curve], names: Iterable[str]) -> bool:
    """Whether all curves have metrics: who never acts while it learns has none of acting."""
    return all(name in curve for name in names for curve in curves)


def _of_learning(curves: list[dict[str, Curve]], labels: Labels, out: Path) -> list[Picture]:
    phases, pictures = phases_of_all(curves), []
    panels = [panel for panel in panels_of_learning(list(phases), labels) if _has(phases[panel.phase], [panel.name])]
    if panels:
        text = "While training, exploration included; the band is the 95 % interval over training seeds."
        pictures.append(Picture(plot_learning(phases, panels, out / "learning.png"), "Learning", text))
    for lines in lines_of_training(list(phases), labels):
        if _has(phases[lines.phase], lines.names):
            path = plot_lines(phases[lines.phase], lines.names, lines.x_label, lines.y_label, out / lines.file)
            pictures.append(Picture(path, lines.title, f"{lines.text} {OVERLAP}"))
    return pictures


def _of_contexts(recorded: list[Recorded], labels: Labels, out: Path) -> list[Picture]:
    episodes = [one[LEARNED] for one in recorded if LEARNED in one]
    if not episodes or episodes[0].contexts is None:
        return []
    first = episodes[0]
    assert first.contexts is not None
    path = plot_contexts(first.contexts[:, 0], labels, out / "contexts.png")
    text = f"What weight the upper agent gives to each term, window by window. {OVERLAP}"
    pictures = [Picture(path, "The context over one episode", text), *_of_regimes(episodes, labels, out)]
    path = plot_timeline(
        first.timeline, first.settings, first.contexts[:, 0], first.regimes[:, 0], labels, out / "timeline.png"
    )
    text = "What arrived, what it did, what both agents set"
    text += "; the background and the numbers on top are the regimes. " if labels.regimes else ". "
    n_settings = first.settings.shape[1]
    if n_settings > MOST_LINES:
        text += "Each setting is a row, the darker the larger. "
    elif n_settings > 1:
        text += "Settings are often equal, so their lines are moved slightly apart. "
    pictures.append(Picture(path, "One episode", text + OVERLAP))
    return pictures


def _of_regimes(episodes: list[Episodes], labels: Labels, out: Path) -> list[Picture]:
    """Contexts by the regime that they were set in, all episodes together."""
    if not labels.regimes:
        return []
    contexts = np.concatenate([one.contexts.reshape(-1, len(labels.terms)) for one in episodes if one.contexts is not None])
    regimes = np.concatenate([one.regimes.ravel() for one in episodes])
    path = plot_by_regime(contexts, regimes, labels, out / "regimes.png")
    text = "The agent does not observe the regime; it goes by measurements."
    pictures = [Picture(path, "The mean mix by regime", text)]
    if len(labels.terms) == 3:
        every = max(1, len(contexts) // TERNARY_POINTS)
        path = plot_ternary(contexts[::every], regimes[::every], labels, out / "ternary.png")
        pictures.append(Picture(path, "Contexts on the simplex", "A corner gives all weight to one term."))
    return pictures
