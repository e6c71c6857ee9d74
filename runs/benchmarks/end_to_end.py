"""The whole `seed` preset, from process start to the results on disk, against the same experiment from stock parts."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from envs.core.arrays import FloatArray
from envs.core.simplex import simplex_grid
from hierarchy.arms import ablation
from runs.benchmarks import stock
from runs.benchmarks.memory import peak_mb
from runs.benchmarks.plan import Case, Plan, Ratio, Target
from runs.settings.experiment import preset_config

PRESET = "seed"
SHARE = 0.1
"""Of the experiment that the stock parts run; their time is divided by it."""
N_MIXES = 10
POLL_S = 0.02


class Finished:
    """A process that ended well, in this environment and variables beside it: its wall time and peak memory."""

    def __init__(self, command: list[str], environment: Mapping[str, str] | None = None) -> None:
        self.peak_mb = 0.0
        with tempfile.TemporaryFile() as errors:
            started_s = time.perf_counter()
            process = subprocess.Popen(
                command, stdout=subprocess.DEVNULL, stderr=errors, env={**os.environ, **(environment or {})}
            )
            while self._running(process):
                self.peak_mb = max(self.peak_mb, peak_mb(process.pid))
            self.elapsed_s = time.perf_counter() - started_s
            if process.returncode != 0:
                errors.seek(0)
                raise RuntimeError(f"{' '.join(command)} failed: {errors.read().decode()[-2000:].strip()}")

    @staticmethod
    def _running(process: subprocess.Popen[bytes]) -> bool:
        try:
            process.wait(POLL_S)
        except subprocess.TimeoutExpired:
            return True
        return False


def train(preset: str, *options: str) -> Finished:
    """`metabalance train` in a fresh process and an empty folder."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "runs.cli", "train", "--preset", preset, "--out", str(Path(folder) / "out")]
        return Finished([*command, *options])


def _scaled(scale: float) -> list[str]:
    """Options that shrink an experiment, for a quick look."""
    if scale >= 1:
        return []
    sizes = {"lower.timesteps": 100_000, "upper.meta_steps": 1000, "ablation.episode_windows": 20}
    return [part for name, size in sizes.items() for part in (f"--{name}", str(max(1, round(scale * size))))]


def stock_seconds(scale: float) -> float:
    """Seconds that the experiment takes from stock parts, from a share of it: both phases and fixed mixes."""
    config = preset_config(PRESET)
    share = SHARE * min(scale, 1.0)
    started_s = time.perf_counter()
    agent = stock.agent(config, stock.vec_env(config, "dummy"))
    agent.learn(round(share * config.lower.timesteps))
    stock.upper_agent(config, agent).learn(round(share * config.upper.meta_steps))
    stock.evaluate(config, agent, _mixes(), round(share * ablation.n_lower_steps(config) / N_MIXES))
    return (time.perf_counter() - started_s) / share


def _mixes() -> list[FloatArray]:
    return list(simplex_grid(3, 4)[:N_MIXES])


def _seconds(command: list[str]) -> Callable[[], float]:
    return lambda: Finished(command).elapsed_s


def _python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def plan(scale: float) -> Plan:
    """The whole experiment, what starting costs, and the memory of the default preset."""
    ours, theirs = f"{PRESET} preset", f"{PRESET} preset from stock parts"
    start = {"import envs": _python("import envs"), "import a world": _python("import envs.load_balancing.world")}
    start["--help"] = [sys.executable, "-m", "runs.cli", "--help"]
    options = _scaled(scale)
    return Plan(
        cases=[
            Case(ours, "s", lambda: train(PRESET, *options).elapsed_s),
            *[Case(name, "s", _seconds(command)) for name, command in start.items()],
            Case(theirs, "s", lambda: stock_seconds(scale), once=True),
            Case("peak memory of the default preset", "MB", lambda: train("default", *options).peak_mb, once=True),
        ],
        ratios=[Ratio(theirs, ours, Target("at least", 20))],
        targets={
            ours: Target("at most", 60),
            "import envs": Target("at most", 0.8),
            "import a world": Target("at most", 0.8),
            "--help": Target("at most", 1.0),
            "peak memory of the default preset": Target("at most", 1500),
        },
    )
