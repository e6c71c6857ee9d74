"""The lower agent, latency-first, against nine balancing rules in five scenarios.

An agent that sets weights itself is trained per scenario and training seed, whatever agents the folder holds. What is
compared is chosen on selection seeds: the rule with the lowest mean latency, and of the agent the state during training with
the lowest mean and 99th percentile. On other selection seeds that is held against the untrained agent, which is shortest
expected delay, and the better one is deployed; both are shown. Every figure is from evaluation seeds. A ratio below 1 is in
the agent's favour.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from envs.core.rng import Role
from envs.load_balancing.config import LoadBalancingConfig
from envs.load_balancing.stories import SCENARIOS, on_trace
from hierarchy.arms.running import Batch
from hierarchy.building.lower import build
from hierarchy.config import ExperimentConfig
from hierarchy.evidence.episodes import Episodes
from hierarchy.protocols import Actor, SavedAgent
from runs.report.section import Caption, Section, interval
from runs.studies.episodes import latency_first, of_rules
from runs.studies.recorded import Latencies, latencies_of, ratios_of, recorder_of
from runs.studies.study import Job, Outcome, StudyOptions, balancing
from runs.studies.training import Evaluations

METRICS = ("latency_mean_ms", "latency_p99_ms", "lost_share", "jain", "cost_usd_per_h")
RATIOS = ("latency_mean_ms", "latency_p99_ms")
NOMINAL = "sed"
"""Static weights from nominal capacities: what learning has to beat where capacities move."""
TEXT = (
    "The lower agent under the latency-first context, against nine balancing rules. Ratios of latencies with 95 % intervals "
    "over training seeds, on a recording over its blocks too: below 1 the agent is faster. SED knows the nominal capacities "
    "and an untrained agent acts as it does. Of each training seed that state is taken which did best on selection seeds, "
    "and deployed if it was better than the untrained one on others; the table says after how many steps, 0 for untrained."
)
N_SEEDS = 3
N_EVALUATIONS = 20
"""Times that an agent is evaluated on selection seeds while it trains."""

Figures = dict[str, float]


def scenarios(traces: Sequence[Path]) -> dict[str, LoadBalancingConfig]:
    """All scenarios by name; that of a recording only if there is one."""
    return SCENARIOS | {trace.stem: on_trace(str(trace)) for trace in traces}


def figures(episodes: Episodes) -> Figures:
    """Means over the seeds."""
    return {name: float(episodes.statistics[name].mean()) for name in METRICS}


def batch_of(config: ExperimentConfig, role: Role, again: bool = False) -> Batch:
    """The episodes that agent and rules are met in, or as many others."""
    n_seeds = config.ablation.n_trial_seeds if role == "select" else config.ablation.n_seeds
    first = n_seeds if again else 0
    return Batch(config.env, role, range(first, first + n_seeds), config.ablation.select_windows)


def rules(config: ExperimentConfig, role: Role) -> Mapping[str, Episodes]:
    """Every balancing rule on the seeds of a role."""
    return of_rules(config, batch_of(config, role), recorder_of(balancing(config)))


def agent(config: ExperimentConfig, lower: Actor, role: Role, again: bool = False) -> Episodes:
    """The agent on the seeds of a role, or on others, all weight on latency."""
    return latency_first(config, lower, batch_of(config, role, again), recorder_of(balancing(config)))


def loss(measured: Figures, nominal: Figures) -> float:
    """Ratios of latencies to those of shortest expected delay, added up."""
    return sum(measured[metric] / nominal[metric] for metric in RATIOS)


def train_and_meet(config: ExperimentConfig) -> dict[str, Any]:
    """Train an agent, and meet it and the rules on the same evaluation seeds."""
    selected = {name: figures(episodes) for name, episodes in rules(config, "select").items()}
    untrained = build(config).actor
    lower, losses, kept_at = trained(config, selected[NOMINAL])
    figures_of_both = [figures(agent(config, one, "evaluate")) for one in (untrained, lower)]
    if not gains(config, lower, untrained):
        lower, kept_at = untrained, 0
    ours, theirs = agent(config, lower, "evaluate"), rules(config, "evaluate")
    return {
        "agent": figures(ours),
        "untrained": figures_of_both[0],
        "trained": figures_of_both[1],
        "kept_at": kept_at,
        "rules": {name: figures(episodes) for name, episodes in theirs.items()},
        "best_rule": min(selected, key=lambda rule: selected[rule]["latency_mean_ms"]),
        "losses": losses,
        "latencies": {"agent": latencies_of(ours), **{name: latencies_of(episodes) for name, episodes in theirs.items()}},
    }


def gains(config: ExperimentConfig, lower: Actor, untrained: Actor) -> bool:
    """Whether a trained agent is better than the untrained one on selection seeds that its state was not chosen on."""
    ours, nominal = (figures(agent(config, one, "select", again=True)) for one in (lower, untrained))
    return loss(ours, nominal) < loss(nominal, nominal)


def trained(config: ExperimentConfig, nominal: Figures) -> tuple[Actor, list[float], int]:
    """An agent as it was when it did best on selection seeds once it was trained at all, its losses there (ratios to
    ``nominal``, added up), and after how many timesteps that was.
    """
    learner = build(config)

    def value() -> float:
        return -loss(figures(agent(config, learner.actor, "select")), nominal)

    best: list[SavedAgent] = []
    evaluations = Evaluations(
        value, config.lower.timesteps // N_EVALUATIONS, lambda: best.append(learner.saved("the best agent"))
    )
    evaluations.train(learner, config.lower.timesteps)
    evaluations.record(learner.n_steps)
    assert evaluations.best is not None
    return config.lower.actor(best[-1]), [-one for one in evaluations.values], evaluations.best


def summary(of_seeds: list[dict[str, Any]]) -> dict[str, Any]:
    """One scenario over its training seeds: figures, and the agent's ratios to the best rule and to nominal SED."""

    def mean(parts: list[Figures]) -> Figures:
        return {name: float(np.mean([part[name] for part in parts])) for name in METRICS}

    return {
        "best_rule": [one["best_rule"] for one in of_seeds],
        "agent": mean([one["agent"] for one in of_seeds]),
        "untrained": mean([one["untrained"] for one in of_seeds]),
        "trained": mean([one["trained"] for one in of_seeds]),
        "kept_at": [one["kept_at"] for one in of_seeds],
        "rules": {rule: mean([one["rules"][rule] for one in of_seeds]) for rule in of_seeds[0]["rules"]},
        "to_best_rule": ratios(of_seeds, [one["best_rule"] for one in of_seeds]),
        "to_nominal_sed": ratios(of_seeds, [NOMINAL] * len(of_seeds)),
    }


def ratios(of_seeds: Sequence[dict[str, Any]], rivals: Sequence[str]) -> dict[str, Any]:
    """Of latencies of the agent to those of a rule, one rule a training seed."""
    pairs = list(zip(of_seeds, rivals, strict=True))
    values = {name: np.array([one["agent"][name] / one["rules"][rival][name] for one, rival in pairs]) for name in RATIOS}
    return ratios_of(
        values, [one["latencies"]["agent"] for one in of_seeds], [one["latencies"][rival] for one, rival in pairs]
    )


class Scenarios:
    """A job is a scenario and a training seed."""

    captions: tuple[Caption, ...] = ()
    records = (Latencies,)

    def jobs(self, config: ExperimentConfig, folder: Path, options: StudyOptions) -> list[Job]:
        return [
            Job(name, replace(config, env=env, seed=config.seed + seed), folder)
            for seed in range(options.seeds or N_SEEDS)
            for name, env in scenarios(options.traces).items()
        ]

    def run_job(self, job: Job) -> dict[str, Any]:
        return train_and_meet(job.config)

    def combine(self, results: Mapping[str, Sequence[dict[str, Any]]], config: ExperimentConfig) -> Outcome:
        return {name: summary(list(of_seeds)) for name, of_seeds in results.items()}

    def sections(self, results: Outcome) -> list[Section]:
        ratios = ["mean, to best", "p99, to best", "mean, to SED", "p99, to SED"]
        rows = [["scenario", "best rule", *ratios, "mean (ms)", "untrained (ms)", "trained (ms)", "p99 (ms)", "kept at"]]
        for name, one in results.items():
            intervals = [interval(one[to][key]) for to in ("to_best_rule", "to_nominal_sed") for key in one[to]]
            agent = one["agent"]
            means = [f"{one[which]['latency_mean_ms']:.1f}" for which in ("agent", "untrained", "trained")]
            kept = ", ".join(f"{steps:,}" for steps in one["kept_at"])
            rest = [*means, f"{agent['latency_p99_ms']:.0f}", kept]
            rows.append([name, ", ".join(sorted(set(one["best_rule"]))), *intervals, *rest])
        return [Section("Latency-first against balancing rules", TEXT, rows)]

    def draw(self, results: Outcome, folder: Path) -> None:
        """It leaves no pictures."""


STUDY = Scenarios()
