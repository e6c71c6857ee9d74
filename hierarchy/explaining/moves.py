"""Moves of the mix in a recorded episode, window by window, and which measurements made them."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple, TypedDict

import numpy as np

from envs.core.arrays import FloatArray, FloatArray32
from envs.core.spec import WorldSpec
from envs.core.validation import SettingError
from hierarchy.evidence.episodes import Episodes
from hierarchy.explaining.attribution import attributions
from hierarchy.explaining.remembered import observed_by
from hierarchy.protocols import Actor
from hierarchy.storage.files import read_json, write_json
from hierarchy.storage.folder import OutputFolder

N_KEPT = 3
"""Measurements of a move that are kept with the recordings."""


class Part(TypedDict):
    """What a measurement did: its values in the windows before the move and after it, and its share in each weight."""

    name: str
    before: float
    after: float
    share: list[float]


class Move(TypedDict):
    """The change of the mix at the beginning of a window, largest parts first; `rest` is the share of all others."""

    window: int
    before: list[float]
    after: list[float]
    parts: list[Part]
    rest: list[float]


class Moves(TypedDict):
    """All moves of an episode."""

    terms: list[str]
    windows: list[Move]


def size(move: Move) -> float:
    """How far the mix moved: the sum over terms of absolute changes, in [0, 2]."""
    return float(np.abs(np.subtract(move["after"], move["before"])).sum())


class Recorded(NamedTuple):
    """What an upper agent went by and what it set in an episode, window by window."""

    observations: FloatArray32  # (n_windows, n_features)
    features: FloatArray32  # (n_windows, n_features), in the units of their names
    contexts: FloatArray  # (n_windows, k)

    @property
    def largest(self) -> int:
        """The window at whose beginning the mix moved most."""
        return 1 + int(np.abs(np.diff(self.contexts, axis=0)).sum(-1).argmax())


def recorded(episodes: Episodes, episode: int = 0) -> Recorded:
    """One of the recorded episodes.

    Raises
    ------
    SettingError
        There is no such episode, or one of a single window, or what the agent observed was not recorded.
    """
    if episodes.observations is None or episodes.features is None or episodes.contexts is None:
        raise SettingError("folder", "one whose recordings hold what the upper agent observed", "others: ablate again")
    n_windows, n_episodes = episodes.observations.shape[:2]
    if episode >= n_episodes:
        raise SettingError("episode", f"from 0 to {n_episodes - 1}", episode)
    if n_windows < 2:
        raise SettingError("folder", "one whose episodes have several windows", n_windows)
    return Recorded(episodes.observations[:, episode], episodes.features[:, episode], episodes.contexts[:, episode])


def move_of(actor: Actor, spec: WorldSpec, episode: Recorded, window: int, n_parts: int = N_KEPT) -> Move:
    """The move of an upper agent at the beginning of a window, from the one before.

    Raises
    ------
    SettingError
        There is no such window.
    """
    n_windows = len(episode.contexts)
    if not 0 < window < n_windows:
        raise SettingError("window", f"from 1 to {n_windows - 1}", window)
    both = slice(window - 1, window + 1)
    observed = observed_by(actor, spec, episode.observations[: window + 1], episode.features[: window + 1])
    values, mixes, names = observed.values[both], episode.contexts[both], observed.names
    shares = attributions(observed.contexts, *observed.observations[both])
    largest = np.argsort(-np.abs(shares).sum(-1), kind="stable")[:n_parts]
    parts: list[Part] = [
        {"name": names[one], "before": values[0, one], "after": values[1, one], "share": shares[one].tolist()}
        for one in largest.tolist()
    ]
    rest = (mixes[1] - mixes[0] - shares[largest].sum(0)).tolist()
    return {"window": window, "before": mixes[0].tolist(), "after": mixes[1].tolist(), "parts": parts, "rest": rest}


def moves_of(actor: Actor, spec: WorldSpec, episode: Recorded) -> Moves:
    """All moves of an episode."""
    windows = [move_of(actor, spec, episode, window) for window in range(1, len(episode.contexts))]
    return {"terms": list(spec.terms), "windows": windows}


def save_moves(moves: Moves, folder: Path) -> None:
    """Write them beside the recordings."""
    write_json(moves, OutputFolder(folder).moves)


def load_moves(folder: Path) -> Moves | None:
    """The moves that a folder holds, if any."""
    path = OutputFolder(folder).moves
    if not path.is_file():
        return None
    moves: Moves = read_json(path)
    return moves
