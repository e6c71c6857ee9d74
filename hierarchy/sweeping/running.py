"""A sweep from its beginning, or from where it was cut short, to its end."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import yaml

from hierarchy.executors import executor
from hierarchy.experiment import resumable
from hierarchy.phases.checks import check_experiment
from hierarchy.phases.compiling import WORK, compile_world
from hierarchy.plots.figure import Picture
from hierarchy.storage.bundle import check_no_bundle
from hierarchy.storage.files import plain_settings, write, write_json
from hierarchy.storage.lock import alone_in
from hierarchy.sweeping.on_tune import is_connected, run_on_tune
from hierarchy.sweeping.pictures import draw
from hierarchy.sweeping.search import Search, run_all
from hierarchy.sweeping.storage import Storage
from hierarchy.sweeping.summary import TRIALS_NAME, SweepResults, TrialResult, importances, summary
from hierarchy.sweeping.sweep import BEST_NAME, SWEEP_NAME, Sweep, check_folder
from hierarchy.sweeping.tables import markdown
from hierarchy.tracking.opening import opened
from hierarchy.tracking.progress import Progress
from hierarchy.tracking.sinks import Sink, Work


def run_sweep(sweep: Sweep, out: Path, progress: Progress) -> SweepResults:
    """Run trials until there are as many as are wanted, those in the folder included.

    Returns
    -------
    What has come of all of them, which `trials.json` has, too.

    Raises
    ------
    SettingError
        The folder holds something else, or another process writes to it.
    """
    check_folder(sweep, out)
    check_experiment(sweep.base)
    check_no_bundle(out)
    base, resumed = sweep.base, (out / SWEEP_NAME).is_file()
    sinks_of_it = opened(base, out, sweep.preset, progress, level="sweep", resumed=resumed)
    with alone_in(out), resumable(out), sinks_of_it as sinks:
        write_json(sweep.plain(), out / SWEEP_NAME)
        with sinks.sink.run("compiling", "compiling", work=WORK):
            compile_world(base)  # once, not in every worker
        storage = Storage(out, sweep.space, base.seed)
        with sinks.sink.run("tuning", "trials", work=Work(f"{sweep.n_trials} trials", sweep.n_trials, "trials")) as sink:
            search = Search(sweep, out, sinks.run_key, storage, sink.advance)
            with executor(base.executor, base.threads, sweep.n_trials > 1) as workers:
                if base.executor == "ray" and is_connected():
                    run_on_tune(search, workers.n_workers, base.threads)
                else:
                    run_all(search, workers)
        results = _left(storage, sweep, out)
        _publish(results, draw(results, sweep.space, base, out), out, sinks.sink)
        return results


def _left(storage: Storage, sweep: Sweep, out: Path) -> SweepResults:
    """Leave what is known of all trials, and the settings of the best."""
    results = summary(storage)
    results["importances"] = importances(storage, results["trials"])
    write_json(results, out / TRIALS_NAME)
    if results["best"] is not None:
        save_best(results["trials"][results["best"]], sweep, out / BEST_NAME)
    return results


def save_best(trial: TrialResult, sweep: Sweep, path: Path) -> None:
    """Write all settings of a trial as a file for `--config`, headed by those that were searched."""
    searched = "".join(f"# {name}: {value}\n" for name, value in trial["values"].items())
    settings = {"preset": sweep.preset, **plain_settings(sweep.config_of(trial["values"]))}
    said = f"# Trial {trial['number']} of a sweep from preset {sweep.preset}; searched were\n{searched}"
    text = said + yaml.safe_dump(settings, sort_keys=False)
    write(path, lambda file: file.write(text.encode()))


def _publish(results: SweepResults, pictures: Sequence[Picture], out: Path, sink: Sink) -> None:
    """Hand the best trial and importances to a sink, at a step of trials, and files and pictures."""
    figures = {f"importance/{name}": share for name, share in results["importances"].items()}
    if results["best"] is not None:
        best = results["trials"][results["best"]]
        assert best["objective"] is not None
        figures |= {"objective": best["objective"], "beyond": best["beyond"], "best_trial": float(best["number"])}
        sink.artifact(out / BEST_NAME)
    sink.metrics(figures, len(results["trials"]))
    sink.describe(markdown(results))
    for path in (out / SWEEP_NAME, out / TRIALS_NAME, *(one.path for one in pictures)):
        sink.artifact(path)
