"""`metabalance explain`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jsonargparse import ArgumentParser, Namespace

from envs.core.validation import SettingError, check, setting
from runs.settings.options import add_options, options_of, positional
from runs.settings.trust import TrustOptions

N_SHOWN = 10
"""Measurements of a move that are shown."""


@dataclass(frozen=True)
class Options(TrustOptions):
    """Which move of the mix."""

    folder: Path = positional()
    """output folder of an experiment, or one training seed of several"""
    window: int | None = setting(None, ge=1)
    """the window at whose beginning the mix moved, the first being 0; without one that in which it moved most"""
    episode: int = setting(0, ge=0)
    """evaluation seed of the episode"""

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True)
class Explain:
    """Which measurements moved the mix of the learned pair, in any window that was recorded."""

    name: str = "explain"
    help: str = "tell which measurements moved the mix in a recorded window, as in: explain DIR --window 12"

    def add_options(self, parser: ArgumentParser, arguments: Sequence[str]) -> Sequence[str]:
        add_options(parser, Options, arguments)
        return arguments

    def run(self, parsed: Namespace) -> int:
        options = options_of(Options, parsed)
        import envs
        from hierarchy.evidence.arms import OURS
        from hierarchy.evidence.recordings import load_episodes
        from hierarchy.explaining.moves import move_of, recorded
        from hierarchy.storage.agents import load_upper
        from hierarchy.storage.folder import OutputFolder
        from hierarchy.storage.trained import config_of
        from runs.report.moves import rows_of
        from runs.terminal.tables import print_rows, wide_console

        folder = OutputFolder(options.folder)
        if not folder.episodes.is_file():
            allowed = f"one that holds {folder.episodes.name} (made by train or ablate; of several training seeds take one)"
            raise SettingError("folder", allowed, options.folder)
        config = config_of(options.folder, trusts_factory=options.trust_factory)
        spec, episodes = envs.describe(config.env), load_episodes(options.folder)[OURS]
        episode = recorded(episodes, options.episode)
        move = move_of(load_upper(folder, config), spec, episode, options.window or episode.largest, N_SHOWN)
        title = f"what moved the mix at the beginning of window {move['window']}, episode {options.episode}"
        print_rows(title, rows_of(move, list(spec.terms)), wide_console())
        return 0


EXPLAIN = Explain()
