"""Moves are those that were recorded, and what is told of them adds up."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import envs
from envs.core.validation import SettingError
from hierarchy.arms import ARMS, Agents
from hierarchy.arms.ablation import Ablation
from hierarchy.config import ExperimentConfig
from hierarchy.evidence.episodes import Episodes
from hierarchy.evidence.recordings import load_episodes, save_episodes
from hierarchy.executors.inline import Inline
from hierarchy.explaining.features import feature_names
from hierarchy.explaining.moves import load_moves, move_of, moves_of, recorded, size
from hierarchy.protocols import TrainedActor
from hierarchy.storage.agents import load_upper
from hierarchy.storage.folder import OutputFolder
from tests.hierarchy import episodes as made_up

N_WINDOWS, N_SEEDS = 4, 3  # of the tiny settings
SLOPES = np.array([3.0, -2.0, 1.0])


class Watcher:
    """An upper agent by hand, which goes by the rate of arrivals and the mix in force; it keeps what it was given."""

    def __init__(self) -> None:
        self.seen: list[np.ndarray] = []

    def start(self, n_envs: int) -> Watcher:
        return self

    def reset(self, mask: np.ndarray | None = None) -> None: ...

    def act(self, observation: np.ndarray) -> np.ndarray:
        self.seen.append(observation.copy())
        logits = np.stack([SLOPES[0] * observation[:, 0], SLOPES[1] * observation[:, -1], 0.0 * observation[:, 0]], axis=-1)
        return np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)


@pytest.fixture(scope="module")
def watcher() -> Watcher:
    return Watcher()


@pytest.fixture(scope="module")
def played(tiny_config: ExperimentConfig, policy: TrainedActor, watcher: Watcher) -> dict[str, Episodes | None]:
    arms = {name: ARMS[name] for name in ("learned", "random")}
    return Ablation(tiny_config, Agents(policy, watcher), Inline()).play(arms, {})  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def ours(played: dict[str, Episodes | None]) -> Episodes:
    found = played["learned"]
    assert found is not None
    return found


def test_what_the_agent_was_given_is_recorded_of_the_learned_pair_alone(
    ours: Episodes, played: dict[str, Episodes | None], watcher: Watcher, tiny_config: ExperimentConfig
) -> None:
    assert ours.observations is not None
    assert ours.features is not None
    assert_array_equal(ours.observations, np.stack(watcher.seen[:N_WINDOWS]))
    assert len(np.unique(ours.observations[..., 0])) > N_WINDOWS
    names = feature_names(envs.describe(tiny_config.env))
    assert_allclose(ours.observations[..., 0], np.log1p(ours.features[..., 0] / 50.0), rtol=1e-5)
    assert_allclose(ours.features[1:, 0, 0], ours.timeline["arrival_rate_hz"][:-1], rtol=1e-6)
    assert_allclose(ours.features[1:, :, names.index("context/cost")], ours.contexts[:-1, :, -1], rtol=1e-6)
    assert played["random"] is not None
    assert played["random"].observations is None


def test_recordings_keep_what_was_observed(ours: Episodes, tmp_path: Any) -> None:
    save_episodes({"learned": ours}, tmp_path)
    again = load_episodes(tmp_path)["learned"]
    assert_array_equal(again.observations, ours.observations)
    assert_array_equal(again.features, ours.features)


@pytest.mark.parametrize("episode", range(N_SEEDS))
def test_the_parts_of_a_move_and_the_rest_add_up_to_it(
    ours: Episodes, watcher: Watcher, tiny_config: ExperimentConfig, episode: int
) -> None:
    spec, names = envs.describe(tiny_config.env), feature_names(envs.describe(tiny_config.env))
    assert ours.contexts is not None
    assert ours.features is not None
    for window in range(1, N_WINDOWS):
        move = move_of(watcher, spec, recorded(ours, episode), window)  # type: ignore[arg-type]
        assert_array_equal([move["before"], move["after"]], ours.contexts[window - 1 : window + 1, episode])
        shares = np.array([part["share"] for part in move["parts"]])
        assert_allclose(shares.sum(0) + move["rest"], np.subtract(move["after"], move["before"]), atol=1e-12)
        assert_allclose(move["rest"], 0.0, atol=1e-3)  # two entries do it all
        alone = move_of(watcher, spec, recorded(ours, episode), window, n_parts=1)  # type: ignore[arg-type]
        assert alone["parts"] == move["parts"][:1]
        assert_allclose(alone["rest"], shares[1:].sum(0) + move["rest"], atol=1e-12)
        sizes = np.abs(shares).sum(-1)
        assert (np.diff(sizes) <= 0.0).all()
        assert {part["name"] for part, one in zip(move["parts"], sizes, strict=True) if one > 1e-6} <= {
            "arrival_rate_hz",
            "context/cost",
        }
        for part in move["parts"]:
            values = ours.features[window - 1 : window + 1, episode, names.index(part["name"])]
            assert_array_equal(np.float32([part["before"], part["after"]]), values)


def test_the_largest_move_is_where_the_mix_moved_most(
    ours: Episodes, watcher: Watcher, tiny_config: ExperimentConfig
) -> None:
    for episode in range(N_SEEDS):
        one = recorded(ours, episode)
        moves = moves_of(watcher, envs.describe(tiny_config.env), one)  # type: ignore[arg-type]
        assert [move["window"] for move in moves["windows"]] == [1, 2, 3]
        assert one.largest == max(moves["windows"], key=size)["window"]
    assert size({"window": 1, "before": [1.0, 0.0], "after": [0.25, 0.75], "parts": [], "rest": []}) == 1.5


@pytest.mark.parametrize(
    ("window", "episode", "words"),
    [
        (0, 0, "window must be from 1 to 3, got 0"),
        (4, 0, "window must be from 1 to 3, got 4"),
        (1, 3, "episode must be from 0 to 2, got 3"),
    ],
)
def test_what_was_not_recorded_is_refused(
    ours: Episodes, watcher: Watcher, tiny_config: ExperimentConfig, window: int, episode: int, words: str
) -> None:
    with pytest.raises(SettingError, match=f"^{words}$"):
        move_of(watcher, envs.describe(tiny_config.env), recorded(ours, episode), window)  # type: ignore[arg-type]


def test_recordings_without_observations_or_with_one_window_are_refused(ours: Episodes) -> None:
    with pytest.raises(SettingError, match="ablate again"):
        recorded(made_up.episodes([1.0], [0.2, 0.3, 0.5]))
    assert ours.observations is not None
    with pytest.raises(SettingError, match="several windows"):
        recorded(dataclasses.replace(ours, observations=ours.observations[:1]))


def test_an_experiment_leaves_the_moves_of_its_first_episode(trained: Any) -> None:
    actor, spec = load_upper(OutputFolder(trained.out), trained.config), envs.describe(trained.config.env)
    episodes = load_episodes(trained.out)["learned"]
    assert load_moves(trained.out) == moves_of(actor, spec, recorded(episodes))
    assert load_moves(trained.out.parent) is None
