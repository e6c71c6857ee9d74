"""A small experiment that is killed in three phases ends as one that was let be: the short form of `make chaos`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.kills import chaos

SMALLER = {
    "lower.timesteps": 8_192,
    "ablation.n_seeds": 4,
    "ablation.episode_windows": 25,
    "ablation.n_trials": 4,
}


@pytest.mark.slow
def test_three_kills_change_nothing(tmp_path: Path) -> None:
    ended = chaos(3, 0, tmp_path, **SMALLER)
    assert [one.differs for one in ended] == [[], [], []]
    assert len({one.in_phase for one in ended}) >= 2
