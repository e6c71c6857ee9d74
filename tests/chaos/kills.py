"""Kills a small experiment at random moments, resumes it, and holds what it left against one that was let be.

``python -m tests.chaos --kills 20`` takes a quarter of an hour. Moments are drawn from ``--seed``; after every fourth
the kill waits for a file that is just being written.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from tests.hierarchy.left import left_by

SETTINGS = {
    "lower.timesteps": 20_480,
    "lower.n_steps": 4,
    "lower.batch_size": 256,
    "upper.meta_steps": 384,
    "upper.learning_starts": 128,
    "upper.candidate_seeds": 4,
    "upper.ahead_windows": 0,
    "ablation.flat": "true",
    "ablation.tuned_static": "true",
    "ablation.n_seeds": 16,
    "ablation.episode_windows": 50,
    "ablation.n_select_seeds": 4,
    "ablation.n_trials": 8,
    "ablation.n_trial_seeds": 4,
    "ablation.select_windows": 10,
    "ablation.grid_points": 3,
    "checkpoint_s": 0.2,
    "tracking.enabled": "false",
}
"""Over the preset `default`: everything that there is, a little of each, in several rollouts and with workers."""
IN_A_WRITE = 4
"""Every so many kills hit a file that is being written."""
LONGEST_S = 600.0
EARLIEST_END = 0.75
"""Share of the time of the one that is let be after which none of the others has ended, however the machine varies."""


class Ended(NamedTuple):
    """An experiment that was killed and resumed."""

    after_s: float  # since it began
    in_phase: str  # that was under way, or how far it had come
    in_a_write: bool
    differs: list[str]  # names of files that are not as they should be


def _command(*words: object) -> list[str]:
    return [sys.executable, "-m", "runs.cli", *map(str, words)]


def train_command(out: Path, **changes: object) -> list[str]:
    """The command that trains the small experiment."""
    settings = SETTINGS | changes
    options = [word for name, value in settings.items() for word in (f"--{name}", value)]
    return _command("train", "--preset", "default", "--out", out, *options)


def run(command: list[str]) -> float:
    """Run a command to its end: seconds that it took."""
    began_s = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, timeout=LONGEST_S)
    return time.perf_counter() - began_s


def _phase(out: Path) -> str:
    """Where an experiment is, by what it has kept."""
    kept = [path for path in (out / ".progress").glob("*/") if path.is_dir()]
    return max(kept, key=lambda path: path.stat().st_mtime).name if kept else "none"


def _wait_for_a_write(out: Path, process: subprocess.Popen[bytes], until_s: float) -> bool:
    """Whether a file was being written before the process ended or time ran out."""
    while process.poll() is None and time.perf_counter() < until_s:
        with suppress(FileNotFoundError):  # what is done goes
            if any((out / ".progress").rglob(".*.json")) or any((out / ".progress").rglob(".*.safetensors")):
                return True
    return False


def kill(command: list[str], out: Path, after_s: float, in_a_write: bool) -> tuple[str, bool]:
    """Begin the experiment and kill it, its workers with it: where it was, and whether a file was half written."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        time.sleep(after_s)
        was_in_a_write = in_a_write and _wait_for_a_write(out, process, time.perf_counter() + 10.0)
    finally:
        process.kill()
        process.wait()
    return _phase(out), was_in_a_write


def chaos(n_kills: int, seed: int, folder: Path, **changes: object) -> list[Ended]:
    """As many experiments, each killed once and resumed, with settings changed."""
    run(train_command(folder / "warm", **{**changes, "lower.timesteps": 2_048}))  # compiles
    whole_s = run(train_command(folder / "whole", **changes))
    whole = left_by(folder / "whole")
    rng, ended = random.Random(seed), []
    for n in range(n_kills):
        out, after_s = folder / str(n), EARLIEST_END * whole_s * (n + rng.random()) / n_kills
        command = train_command(out, **changes)
        in_phase, was_in_a_write = kill(command, out, after_s, n % IN_A_WRITE == IN_A_WRITE - 1)
        over = (out / "results.json").is_file() and not (out / ".progress").is_dir()
        if not over:
            run(_command("resume", out) if (out / ".progress" / "whole.json").is_file() else command)
        left = left_by(out)
        differs = sorted(name for name in {*left, *whole} if left.get(name) != whole.get(name))
        ended.append(Ended(after_s, in_phase, was_in_a_write, differs))
        print(
            f"{n + 1} of {n_kills}: killed after {after_s:.1f} s in {in_phase}",
            ended[-1].differs or "no difference",
            flush=True,
        )
    return ended


def main() -> int:
    """Say of every kill what it did; the exit status is 1 if any experiment ended otherwise."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    with TemporaryDirectory() as folder:
        ended = chaos(asked.kills, asked.seed, Path(folder))
    n_same = sum(not one.differs for one in ended)
    print(f"{n_same} of {len(ended)} ended bit for bit as the one that was let be")
    return 0 if n_same == len(ended) else 1
