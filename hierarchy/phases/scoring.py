"""What a pair is worth on selection seeds that no choice has met: by that, pairs of other settings are held against it."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from hierarchy.arms.learned import start_learned
from hierarchy.arms.running import Batch, play
from hierarchy.arms.scores import Scores
from hierarchy.building.windows import episode_steps
from hierarchy.config import ExperimentConfig
from hierarchy.phases import candidate
from hierarchy.phases.comparing import load_agents
from hierarchy.phases.phase import Phase, Workspace
from hierarchy.storage.files import read_mapping, write_json
from hierarchy.storage.folder import OutputFolder
from hierarchy.tracking.sinks import Work


@dataclass(frozen=True)
class Score:
    """Of a pair.

    Attributes
    ----------
    objective
        Mean over selection seeds.
    beyond
        What mean costs exceed their bounds by there, added up, as shares of these.
    first_seed, n_seeds
        These seeds.
    """

    objective: float
    beyond: float
    first_seed: int
    n_seeds: int


def seeds_of(config: ExperimentConfig) -> range:
    """Selection seeds after all that choices meet, of which those for candidates for the upper agent are the last."""
    first = candidate.seeds_of(config).stop
    return range(first, first + config.ablation.n_select_seeds)


def batch_of(config: ExperimentConfig) -> Batch:
    """The episodes that the pair of an experiment is scored in."""
    return Batch(config.env, "select", seeds_of(config), config.ablation.select_windows)


def score(workspace: Workspace) -> None:
    """Play the folder's pair; leaves its score."""
    config, folder, batch = workspace.config, workspace.folder, batch_of(workspace.config)
    n_steps = len(batch.env_ids) * episode_steps(config, batch.n_windows)
    with workspace.phase("scoring", Work("scoring", n_steps, "lower steps")) as sink:
        scores = Scores.of([play(config, load_agents(folder, config), {}, start_learned, batch)])
        sink.advance(n_steps)
    found = Score(scores.mean, scores.beyond, batch.env_ids[0], len(batch.env_ids))
    workspace.sink.metrics({"objective": found.objective, "beyond": found.beyond})
    write_json(asdict(found), folder.score)


def read_score(folder: OutputFolder) -> Score:
    """The score that a folder holds.

    Raises
    ------
    SettingError
        It is missing or damaged.
    """
    return Score(**read_mapping(folder.score))


SCORING = Phase("scoring", score)
