"""The ablation as a phase: what is found, recordings, figures and pictures."""

from __future__ import annotations

import dataclasses
import time
from typing import Any

import envs
from hierarchy.arms import ablation
from hierarchy.arms.ablation import Ablation
from hierarchy.arms.start import Agents
from hierarchy.config import ExperimentConfig
from hierarchy.evidence.arms import OURS
from hierarchy.evidence.episodes import Episodes
from hierarchy.evidence.recordings import save_episodes
from hierarchy.evidence.results import of_arms
from hierarchy.explaining.moves import moves_of, recorded, save_moves
from hierarchy.phases.checks import notes
from hierarchy.phases.phase import Phase, Workspace
from hierarchy.phases.tuning import found_for
from hierarchy.storage import agents
from hierarchy.storage.files import write_json
from hierarchy.storage.folder import OutputFolder
from hierarchy.tracking.sinks import Work


def load_agents(folder: OutputFolder, config: ExperimentConfig, flat: bool = False) -> Agents:
    """The agents of a folder, the ``flat`` one if it is an arm.

    Raises
    ------
    NotTrainedError
        One is missing, can't be read, or was trained for another world.
    """
    unmixed = agents.load_lower(folder, config, "flat") if flat else None
    return Agents(agents.load_lower(folder, config), agents.load_upper(folder, config), unmixed)


def _explain(trained: Agents, config: ExperimentConfig, ours: Episodes | None, folder: OutputFolder) -> None:
    """Leave what moved the mix in the first episode."""
    if ours is not None and trained.upper is not None and len(ours.regimes) > 1:
        save_moves(moves_of(trained.upper, envs.describe(config.env), recorded(ours)), folder.path)


def compare(workspace: Workspace) -> None:
    """Compare the folder's agents with everything else; leaves what was found, recordings and results."""
    config, folder = workspace.config, workspace.folder
    trained = load_agents(folder, config, config.ablation.flat)

    found: dict[str, Any] = {}

    def keep(values: dict[str, Any]) -> None:
        found.update(values)
        write_json(ablation.to_json(config, values), folder.found)

    known = found_for(config, folder) | workspace.found
    with workspace.phase("ablation", Work("ablation", ablation.n_lower_steps(config, known), "lower steps")) as sink:
        arms = Ablation(config, trained, workspace.executor, sink.advance, known, workspace.ledger).run(keep)
    save_episodes(arms, folder.path)
    _explain(trained, config, arms[OURS], folder)
    results = of_arms(arms, ablation.facts_of(config), envs.describe(config.env), workspace.preset, config.seed)
    workspace.timings_s["total"] = time.perf_counter() - workspace.started_s
    results |= {"timings_s": workspace.timings_s, "lower": workspace.lower, "upper": workspace.upper}
    results["notes"] = list(notes(config))
    results["found"] = ablation.of_results(found)
    origins = agents.origins(folder)
    if origins:
        results["begun_from"] = origins
        begun = " and ".join(origins)
        results["notes"].append(
            f"steps that those took which agents began as ({begun}, begun_from) are in no count, nor in flat's"
        )
    results["ablation"] = dataclasses.asdict(config.ablation)
    write_json(results, folder.results)


ABLATION = Phase("ablation", compare)
