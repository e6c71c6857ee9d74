"""An experiment or a study that was cut short, gone on with: it ends as it would have ended."""

from __future__ import annotations

from pathlib import Path

from hierarchy.evidence.results import Results
from hierarchy.experiment import WHOLE, Experiment
from hierarchy.phases.phase import RESULTS
from hierarchy.storage.folder import NotTrainedError, OutputFolder
from hierarchy.storage.ledger import Ledger
from hierarchy.storage.settings import config_from
from hierarchy.study import run_study
from hierarchy.tracking.progress import Progress


def resume(out: Path, progress: Progress, started_s: float | None = None, *, trusts_factory: bool = False) -> Results | None:
    """Go on with what was cut short in a folder.

    Returns
    -------
    Results, if arms were to be compared.

    Raises
    ------
    NotTrainedError
        There is nothing to go on with.
    SettingError
        Its world has a factory that is not trusted.
    """
    whole = Ledger(OutputFolder(out).progress, RESULTS).get(WHOLE)
    if whole is None:
        raise NotTrainedError("folder", "one that holds an experiment that was cut short", out)
    config, preset = config_from(whole["config"], trusts_factory), whole["preset"]
    if "n_seeds" in whole:
        return run_study(config, out, preset, whole["n_seeds"], progress, started_s)
    return Experiment(config, out, preset, progress, started_s, whole["study_run"]).resume()
