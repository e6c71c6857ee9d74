"""Do the agents hold where nothing was trained or tuned? Another pool, other regime levels, a shorter dwell, a recording.

The agents and the chosen mixes of every training seed act as they are in each held-out world, on evaluation seeds: a table a
world.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from envs.load_balancing.config import LoadBalancingConfig, Trace
from envs.load_balancing.stories import HELD_OUT
from hierarchy.config import ExperimentConfig
from hierarchy.evaluation import evaluate_seed
from hierarchy.evidence.results import Results, combined
from hierarchy.evidence.tables import table
from hierarchy.phases.tuning import of_seed
from hierarchy.plots.style import LEARNED
from hierarchy.storage.folder import trained_folders
from runs.report.section import Caption, Section, gap_text, interval
from runs.studies.study import Job, Outcome, StudyOptions, balancing

COMPARED = ("best_rule", "fixed_best", "delayed_oracle", "regime_oracle")


def worlds(trained: LoadBalancingConfig, traces: Sequence[Path] = ()) -> dict[str, LoadBalancingConfig]:
    """The held-out worlds by name, made from the one trained in, and one of every recording by the name of its file.

    A pool of another size than the one trained on is left out: only some agents act in it.
    """
    variants = {name: variant(trained) for name, variant in HELD_OUT.items()}
    fitting = {name: world for name, world in variants.items() if world.pool.n_servers == trained.pool.n_servers}
    for trace in traces:
        fitting[trace.stem] = replace(trained, workload=replace(trained.workload, arrivals=Trace(path=str(trace))))
    return fitting


class HeldOut:
    """A job is a world and a training seed."""

    captions: tuple[Caption, ...] = ()

    def jobs(self, config: ExperimentConfig, folder: Path, options: StudyOptions) -> list[Job]:
        folders = trained_folders(folder)[: options.seeds]
        configs = [of_seed(config, trained) for trained in folders]
        return [
            Job(name, replace(of, env=env), trained)
            for of, trained in zip(configs, folders, strict=True)
            for name, env in worlds(balancing(of), options.traces).items()
        ]

    def run_job(self, job: Job) -> Results:
        return evaluate_seed(job.config, job.folder, job.variant)

    def combine(self, results_of: Mapping[str, Sequence[Results]], config: ExperimentConfig) -> Outcome:
        return {name: combined(list(of_seeds)) for name, of_seeds in results_of.items()}

    def sections(self, results: Outcome) -> list[Section]:
        return [_section(name, one) for name, one in results.items()]

    def draw(self, results: Outcome, folder: Path) -> None:
        """It leaves no pictures."""


def _section(name: str, results: Results) -> Section:
    text = "Agents and mixes as they were, in a world that nothing was trained or tuned on. "
    for arm in COMPARED:
        difference = results["comparisons"].get(f"{LEARNED}_vs_{arm}")
        if difference is not None:
            text += f"{LEARNED} - {arm}: {interval(dict(difference), 'difference')}. "
    return Section(f"Held out: {name}", text + gap_text(results), table(results), LEARNED)


STUDY = HeldOut()
