"""How kernels are compiled, and where the compiled code is kept."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba

from envs.core.cache import cache_folder

config: Any = numba.config
Decorator = Callable[[Callable[..., Any]], Any]

_ROOT = Path(__file__).parents[1]


def _is_compiled(source: Path) -> bool:
    """Whether a source holds kernels, or settings whose constants kernels take over."""
    return "config" in str(source.relative_to(_ROOT)) or b"core.jit import" in source.read_bytes()


def _use_cache_of_these_sources() -> None:
    """Keep compiled code in a folder named by the hash of all kernel sources.

    Numba looks only at the file of the outermost function, so a change in a file that it calls would go unseen.
    """
    if config.CACHE_DIR:
        return
    digest = hashlib.sha256()
    for source in sorted(filter(_is_compiled, _ROOT.rglob("*.py"))):
        digest.update(source.read_bytes())
    digest.update(Path(__file__).read_bytes())
    config.CACHE_DIR = str(cache_folder(_ROOT) / f"numba-{digest.hexdigest()[:16]}")


def _compile(**options: Any) -> Decorator:
    njit: Any = numba.njit
    decorator: Decorator = njit(cache=True, _nrt=False, error_model="numpy", **options)
    return decorator


_use_cache_of_these_sources()

kernel: Decorator = _compile()
"""Compile a function that allocates nothing, and cache the result on disk.

Without the runtime's reference counts a call that passes a state of many arrays does not count each of them up and down;
with them the event loop ran at less than a tenth of the speed.
"""

inlined: Decorator = _compile(forceinline=True)
"""The same for what runs for every flow: its code becomes part of the caller's. It doubles the speed of the event loop."""

summing: Decorator = _compile(forceinline=True, fastmath={"reassoc", "nsz"})
"""The same for sums over an array that may be added up in any order, several entries at a time."""
