"""Whether off-policy evaluation tells the truth: intervals from a record of a behaviour against what policies do simulated.

For each of several records the simulator is run once under a behaviour that draws its actions. Estimators are asked for the
value of policies near the behaviour and of some far from it; then each of these is simulated, from the same kind of moments
that pieces of the record begin at: the behaviour acts up to there, and the policy from there on. How often do the intervals
have what was simulated, and for which policies is a value refused?

What is simulated is the gain of each policy over the behaviour, on the same requests and by the same random numbers, and the
behaviour's value over the seeds of all records: the error of the truth is small against an interval.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import envs
from envs.core.arrays import FloatArray
from envs.core.batch import BatchEnv
from envs.core.rng import Role
from envs.core.validation import SettingError
from hierarchy.collecting.episodes import collect
from hierarchy.collecting.sources import numbered
from hierarchy.config import ExperimentConfig
from hierarchy.datasets.dataset import Episode
from hierarchy.nets.action_form import form_of
from hierarchy.nets.joint_choices import JointChoices
from hierarchy.off_policy.estimators import ESTIMATORS, Estimating
from hierarchy.off_policy.record import record_of
from hierarchy.off_policy.settings import OffPolicy
from runs.report.section import Caption, Section
from runs.studies import policies
from runs.studies.policies import BETWEEN, FAR, NEAR, Behaviour, Moments, Policy, Probabilities, drawn
from runs.studies.study import Job, Outcome, StudyOptions

RECORDS = "records"
N_RECORDS = 10
N_NEAR, N_BETWEEN, N_FAR = 10, 4, 3
"""Policies of each record."""
N_EPISODES = 100
"""Of a record, as many as a dataset has by default."""
N_SIMULATED = 256
"""Episodes that each policy is simulated in."""
N_PILOT = 16
"""Episodes of the nominal action that observations are scaled by."""
PILOT_SEED, TRUTH_SEED = 1, 2
"""Beside the seed of a record, in keys of random numbers."""


SHOWN = ("refused", "value_covered", "gain_covered")
WIDTHS = {"half_width": "half width", "gain_half_width": "of the gain"}


def batch_of(config: ExperimentConfig, role: Role, n_envs: int, seed: int) -> BatchEnv:
    """A fresh batch whose mixes are drawn as in training."""
    return envs.make(config.env, n_envs, seed, role, config.lower.context, range(n_envs))


def n_choices_of(config: ExperimentConfig) -> int:
    """Actions that there are.

    Raises
    ------
    SettingError
        They are numbers or several choices, or there is no nominal one, or several agents act.
    """
    world = envs.simulate(config.env, 1).world
    space = world.dynamics.action_space
    if world.nominal_action is None or space.shape != (1,) or world.dynamics.n_agents > 1:
        raise SettingError("env.actions", "one choice with a nominal one, by one agent, for this study", space)
    return JointChoices(form_of(space)).n


def moments_of(config: ExperimentConfig) -> Moments:
    """Of what is observed while nominal actions are taken; the same for all records."""
    batch = batch_of(config, "select", N_PILOT, PILOT_SEED)
    observed, over = [batch.reset()], False
    nominal = np.tile(np.asarray(batch.world.nominal_action), (batch.n_rows, 1))
    while not over:
        observation, _, terminated, truncated, _ = batch.decide(nominal)
        observed.append(observation)
        over = bool((terminated | truncated).all())
    every = np.concatenate(observed).astype(np.float64)
    return Moments(every.mean(0), np.maximum(every.std(0), 1e-3))


def recorded(config: ExperimentConfig, acts: Probabilities) -> list[Episode]:
    """Episodes of the behaviour, as `metabalance dataset` records them."""
    generators = [np.random.default_rng([config.seed, env_id]) for env_id in range(N_EPISODES)]
    batch = batch_of(config, "train", N_EPISODES, config.seed)
    return collect(batch, Behaviour(acts, generators), config.seed, range(N_EPISODES))


class Truth:
    """Policies simulated from where a behaviour has got to.

    Parameters
    ----------
    config
        The world, and the seed of its requests, which no record has.
    acts
        The behaviour.
    settings
        Length of a piece, and the discount.
    """

    def __init__(self, config: ExperimentConfig, acts: Probabilities, settings: OffPolicy) -> None:
        self._batch = batch_of(config, "evaluate", N_SIMULATED, config.seed)
        self._discounts = settings.discount ** np.arange(settings.horizon)
        self._rng_key = [config.seed, TRUTH_SEED]
        n_pieces = self._n_actions(config) // settings.horizon
        self._batch.reset()
        self._states, returns = [], []
        for number in range(n_pieces):
            self._states.append(self._batch.get_state())
            returns.append(self._piece(acts, number))
        self.behaviour: FloatArray = np.stack(returns, axis=1)  # (n_envs, n_pieces)

    @staticmethod
    def _n_actions(config: ExperimentConfig) -> int:
        every: int = getattr(config.env, "actions").every_steps  # noqa: B009  # worlds with a nominal action have them
        return int(config.env.episode_steps) // every

    def of(self, policy: Probabilities) -> FloatArray:
        """Discounted rewards of each piece ``(n_envs, n_pieces)``."""
        returns = []
        for number, state in enumerate(self._states):
            self._batch.set_state(state)
            returns.append(self._piece(policy, number))
        return np.stack(returns, axis=1)

    def _piece(self, policy: Probabilities, number: int) -> FloatArray:
        """Discounted rewards ``(n_envs,)`` from the present on; the same random numbers for every policy."""
        rng, total = np.random.default_rng([*self._rng_key, number]), np.zeros(self._batch.n_rows)
        observation = self._batch.observe()
        for discount in self._discounts:
            action = drawn(policy(observation), rng.random(len(observation)))
            observation, reward, *_ = self._batch.decide(action[:, None])
            total += discount * reward
        return total


class Overlap:
    """A job is a record, and all its policies."""

    captions: tuple[Caption, ...] = ()

    def jobs(self, config: ExperimentConfig, folder: Path, options: StudyOptions) -> list[Job]:
        n_choices_of(numbered(config))
        n = N_RECORDS if options.seeds is None else options.seeds
        return [Job(RECORDS, dataclasses.replace(config, seed=config.seed + at), folder) for at in range(n)]

    def run_job(self, job: Job) -> dict[str, Any]:
        config, settings = numbered(job.config), OffPolicy()
        n_choices, moments = n_choices_of(config), moments_of(config)
        acts = policies.behaviour(moments, n_choices)
        episodes = recorded(config, acts)
        n_terms = len(envs.describe(config.env).terms)
        record = record_of(episodes, JointChoices(form_of(_space(config))), n_terms, settings.horizon)
        estimating, truth = Estimating(record, n_choices, settings.discount), Truth(config, acts, settings)
        kinds = ((policies.near, N_NEAR), (policies.between, N_BETWEEN), (policies.far, N_FAR))
        held = [one for make, n in kinds for one in make(moments, n_choices, config.seed, n)]
        return {
            "behaviour": float(truth.behaviour.mean()),
            "policies": [_told(one, estimating, truth, record.observed) for one in held],
        }

    def combine(self, results: Mapping[str, Sequence[dict[str, Any]]], config: ExperimentConfig) -> Outcome:
        of_records = list(results[RECORDS])
        value = float(np.mean([one["behaviour"] for one in of_records]))
        held = [
            {**policy, "record": at, "simulated": value + policy["simulated_gain"]}
            for at, one in enumerate(of_records)
            for policy in one["policies"]
        ]
        own = [one["policies"][0]["told"]["behaviour"] for one in of_records]
        return {
            "horizon": OffPolicy().horizon,
            "discount": OffPolicy().discount,
            "episodes": N_EPISODES,
            "behaviour": {"simulated": value, "covered": sum(_has(one["ci95"], value) for one in own), "records": len(own)},
            "estimators": {
                name: {group: _counted(held, name, group) for group in (NEAR, BETWEEN, FAR)} for name in ESTIMATORS
            },
            "policies": held,
        }

    def sections(self, results: Outcome) -> list[Section]:
        own = results["behaviour"]
        rows = [["estimator", "policies", "number", *(name.replace("_", " ") for name in SHOWN), *WIDTHS.values()]]
        rows += [
            [name, group, str(of["policies"]), *(str(of[key]) for key in SHOWN), *(_width(of[key]) for key in WIDTHS)]
            for name, groups in results["estimators"].items()
            for group, of in groups.items()
        ]
        text = (
            f"{own['records']} records of {results['episodes']} episodes each; values are mean discounted rewards over "
            f"{results['horizon']} actions, discount {results['discount']:g}. "
            f"The behaviour's own is {own['simulated']:.3f}; {own['covered']} of {own['records']} intervals have it."
        )
        return [Section("Off-policy evaluation against simulation", text, rows)]

    def draw(self, results: Outcome, folder: Path) -> None:
        """It leaves no pictures."""


def _space(config: ExperimentConfig) -> Any:
    return envs.simulate(config.env, 1).world.dynamics.action_space


def _told(policy: Policy, estimating: Estimating, truth: Truth, observed: Any) -> dict[str, Any]:
    gains = (truth.of(policy.probabilities) - truth.behaviour).mean(1)
    return {
        "kind": policy.kind,
        "group": policy.group,
        "simulated_gain": float(gains.mean()),
        "simulated_error": float(gains.std(ddof=1) / np.sqrt(len(gains))),
        "told": dict(estimating.of(policy.probabilities(observed))),
    }


def _has(ci95: Sequence[float] | None, value: float) -> bool:
    """Whether an interval has a value."""
    return ci95 is not None and bool(ci95[0] <= value <= ci95[1])


def _counted(held: Sequence[Mapping[str, Any]], name: str, group: str) -> dict[str, Any]:
    """Of the policies of a group: how many were refused, and how many intervals had what was simulated."""
    chosen = [one for one in held if one["group"] == group]
    told = [(one, one["told"]["estimators"][name]) for one in chosen]
    given = [(one, estimate) for one, estimate in told if estimate["refused"] is None]
    return {
        "policies": len(chosen),
        "refused": len(chosen) - len(given),
        "value_covered": sum(_has(estimate["ci95"], one["simulated"]) for one, estimate in given),
        "gain_covered": sum(_has(estimate["gain_ci95"], one["simulated_gain"]) for one, estimate in given),
        "half_width": _half_width([estimate["ci95"] for _, estimate in given]),
        "gain_half_width": _half_width([estimate["gain_ci95"] for _, estimate in given]),
        "n_effective": [estimate["n_effective"] for _, estimate in told],
    }


def _half_width(intervals: Sequence[Sequence[float]]) -> float | None:
    """The median; None of none."""
    return float(np.median([(high - low) / 2.0 for low, high in intervals])) if intervals else None


def _width(width: float | None) -> str:
    return "-" if width is None else f"{width:.3f}"


STUDY = Overlap()
"""`metabalance study`."""
