"""The lower agent, latency-first, against nine balancing rules in six scenarios.

``python -m runs.studies.scenarios DIR [--seeds N] [--trace FILE]`` trains an agent per scenario and training seed, with the
settings of DIR's experiment, and writes `scenarios.json` there. What is compared is chosen on selection seeds: the rule with
the lowest mean latency, and of the agent the state during training with the lowest mean and 99th percentile, as one would
keep it. Every figure is from evaluation seeds. A ratio below 1 is in the agent's favour.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch as th
from numpy.typing import NDArray

import envs
from envs.core.rng import Role
from envs.load_balancing.config import LoadBalancingConfig
from envs.load_balancing.stories import SCENARIOS, on_trace
from hierarchy.arms.episodes import Episodes, run_heuristic, run_strategy
from hierarchy.arms.strategies import Fixed
from hierarchy.config import ExperimentConfig
from hierarchy.evidence import results
from hierarchy.evidence.statistics import t_interval
from hierarchy.building import lower
from hierarchy.protocols import Learner
from hierarchy.sb3 import SB3Learner
from hierarchy.study import side_by_side
from hierarchy.building.upper import windows
from runs.studies.options import study_of

FloatArray = NDArray[np.float64]

NAME = "scenarios.json"
METRICS = ("latency_mean_ms", "latency_p99_ms", "lost_share", "jain", "cost_usd_per_h")
RATIOS = ("latency_mean_ms", "latency_p99_ms")
NOMINAL = "sed"
"""Static weights from nominal capacities: what learning has to beat where capacities move."""
N_SEEDS = 3
N_LOOKS = 20
"""Times that an agent is looked at on selection seeds while it trains."""

Figures = dict[str, float]


def scenarios(trace: Path | None) -> dict[str, LoadBalancingConfig]:
    """All scenarios by name; that of a recording only if there is one."""
    return SCENARIOS if trace is None else {**SCENARIOS, "trace": on_trace(str(trace))}


def figures(episodes: Episodes) -> Figures:
    """Means over the seeds."""
    return {name: float(episodes.statistics[name].mean()) for name in METRICS}


def rules(config: ExperimentConfig, role: Role, n_seeds: int) -> dict[str, Figures]:
    """Every balancing rule on the seeds of a role."""
    ids, n_windows = list(range(n_seeds)), config.ablation.select_windows
    return {name: figures(run_heuristic(name, config, role, ids, n_windows)) for name in envs.heuristics(config.env)}


class KeepBest:
    """Keeps the policy that did best while training: ``look() -> loss``, at even intervals."""

    def __init__(self, agent: Learner, look: Callable[[], float], every: int) -> None:
        assert isinstance(agent, SB3Learner)
        self._policy = agent.agent.policy
        self._look, self._every, self._last = look, every, 0
        self.losses: list[float] = []
        self.best: dict[str, Any] = {}

    def take(self) -> None:
        """Look now."""
        loss = self._look()
        if not self.losses or loss < min(self.losses):
            self.best = copy.deepcopy(self._policy.state_dict())
        self.losses.append(loss)

    def on_step(self, n_steps: int) -> None:
        """Look at even intervals."""
        if n_steps - self._last >= self._every:
            self._last = n_steps
            self.take()

    def on_metrics(self, values: Mapping[str, float], n_steps: int) -> None:
        """Figures of the update are not needed."""

    def restore(self) -> None:
        """Give the agent its best state."""
        self._policy.load_state_dict(self.best)


def latency_first(config: ExperimentConfig, agent: Learner, role: Role, n_seeds: int) -> Figures:
    """The agent on the seeds of a role, all weight on latency."""
    batch = windows(config, agent.actor, role, list(range(n_seeds)), config.ablation.select_windows)
    context = np.eye(batch.batch.n_terms)[batch.batch.term_names.index("latency")]
    return figures(run_strategy(batch, Fixed(context), config))


def run_scenario(name: str, config: ExperimentConfig) -> tuple[str, int, dict[str, Any]]:
    """Train an agent, and meet it and the rules on the same evaluation seeds."""
    th.set_num_threads(1)
    settings = config.ablation
    selected = rules(config, "select", settings.n_select_seeds)
    agent = lower.build(config)

    def loss() -> float:
        found = latency_first(config, agent, "select", settings.n_select_seeds)
        return sum(found[metric] / selected[NOMINAL][metric] for metric in RATIOS)

    keeping = KeepBest(agent, loss, config.lower.timesteps // N_LOOKS)
    keeping.take()
    agent.learn(config.lower.timesteps, keeping)
    keeping.take()
    keeping.restore()
    return (
        name,
        config.seed,
        {
            "agent": latency_first(config, agent, "evaluate", settings.n_seeds),
            "rules": rules(config, "evaluate", settings.n_seeds),
            "best_rule": min(selected, key=lambda rule: selected[rule]["latency_mean_ms"]),
            "losses": keeping.losses,
        },
    )


def summary(of_seeds: list[dict[str, Any]]) -> dict[str, Any]:
    """One scenario over its training seeds: figures, and the agent's ratios to the best rule and to nominal SED."""

    def mean(parts: list[Figures]) -> Figures:
        return {name: float(np.mean([part[name] for part in parts])) for name in METRICS}

    def ratios(rule_of: Any) -> dict[str, Any]:
        found = {}
        for name in RATIOS:
            values = np.array([one["agent"][name] / one["rules"][rule_of(one)][name] for one in of_seeds])
            found[name] = {"mean": float(values.mean()), "ci95": t_interval(values), "per_seed": values.tolist()}
        return found

    return {
        "best_rule": [one["best_rule"] for one in of_seeds],
        "agent": mean([one["agent"] for one in of_seeds]),
        "rules": {rule: mean([one["rules"][rule] for one in of_seeds]) for rule in of_seeds[0]["rules"]},
        "to_best_rule": ratios(lambda one: one["best_rule"]),
        "to_nominal_sed": ratios(lambda one: NOMINAL),
    }


def run(config: ExperimentConfig, trace: Path | None, n_seeds: int) -> dict[str, Any]:
    """All scenarios over all training seeds, as many side by side as there are cores."""
    jobs = [
        (name, replace(config, env=env, seed=config.seed + seed))
        for seed in range(n_seeds)
        for name, env in scenarios(trace).items()
    ]
    found: dict[str, dict[int, Any]] = {name: {} for name in scenarios(trace)}
    for name, seed, figures_of in side_by_side(jobs, run_scenario):
        found[name][seed] = figures_of
        print(f"{name}, seed {seed}: latency-first {figures_of['agent']['latency_mean_ms']:.1f} ms", flush=True)
    return {name: summary([of_seeds[seed] for seed in sorted(of_seeds)]) for name, of_seeds in found.items()}


def print_table(found: dict[str, Any]) -> None:
    """A line per scenario."""
    for name, one in found.items():
        parts = []
        for to in ("to_best_rule", "to_nominal_sed"):
            for metric in RATIOS:
                ratio = one[to][metric]
                parts.append(f"{to} {metric} {ratio['mean']:.3f} ({ratio['ci95'][0]:.3f} to {ratio['ci95'][1]:.3f})")
        print(f"{name} (best rule {', '.join(sorted(set(one['best_rule'])))}): " + "; ".join(parts))


if __name__ == "__main__":
    options, config = study_of("scenarios", __doc__, N_SEEDS)
    found = run(config, options.trace, options.seeds)
    print_table(found)
    results.write_json(found, options.folder / NAME)
