"""Recordings in every format that is read, for the tests of recordings."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

DAY = datetime(2023, 11, 16, 18, 15, 46)


def written(folder: Path, lines: list[str], name: str = "trace.txt") -> Path:
    path = folder / name
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def gaps(n: int, seed: int = 0) -> np.ndarray:
    return np.cumsum(np.random.default_rng(seed).exponential(0.2, n))


def azure_lines(n: int) -> list[str]:
    rng = np.random.default_rng(1)
    rows = [
        f"{DAY + timedelta(seconds=t):%Y-%m-%d %H:%M:%S.%f}0,{rng.integers(1, 4000)},{rng.integers(1, 800)}" for t in gaps(n)
    ]
    return ["TIMESTAMP,ContextTokens,GeneratedTokens", *rows]


def marllb_lines(times: np.ndarray, works: np.ndarray) -> list[str]:
    return ["time\tquery", *(f"{t:.9f}\t/dummy.php/?n={n}" for t, n in zip(times, works, strict=True))]


def loops(n: int) -> list[str]:
    return marllb_lines(gaps(n), np.random.default_rng(2).permutation(n) + 1000)


def log_lines(n: int, *paths: str) -> list[str]:
    """A web log of those paths in turn, or of `/0`, `/1`, ..."""
    rng = np.random.default_rng(3)
    stamps = [(DAY.replace(tzinfo=UTC) + timedelta(seconds=t)).strftime("%d/%b/%Y:%H:%M:%S %z") for t in gaps(n)]
    asked = [paths[i % len(paths)] if paths else f"/{i}" for i in range(n)]
    return [
        f'host{i} - - [{stamp}] "GET {path} HTTP/1.0" 200 {rng.integers(0, 99999)}'
        for i, (stamp, path) in enumerate(zip(stamps, asked, strict=True))
    ]


def count_lines(n: int) -> list[str]:
    return [str(count) for count in np.random.default_rng(4).poisson(5.0, n // 5)]


def table_lines(n: int) -> list[str]:
    rng = np.random.default_rng(5)
    rows = [f"{t:.6f},{rng.integers(1, 900)},{'chat' if rng.random() < 0.3 else 'job'}" for t in gaps(n)]
    return ["time,work,kind", *rows]


FORMATS = {"azure_llm": azure_lines, "marllb": loops, "table": table_lines, "common_log": log_lines, "counts": count_lines}
