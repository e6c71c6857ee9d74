"""How kernels are compiled, and where the compiled code is kept.

A kernel is declared with a decorator and compiled when it is first needed, so that reading a module that holds kernels
costs nothing: numba is imported by the first call.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from envs.core.cache import cache_folder

_ROOT = Path(__file__).parents[1]


class Kernel:
    """A function to compile, called from Python or from other kernels.

    What Python calls is cached on disk, with all that it calls inside. What kernels call has no entry for Python, which for
    a function of a state of many arrays is most of the code, and becomes machine code in its callers alone: see
    :mod:`envs.core.linking`.
    """

    def __init__(self, function: Callable[..., Any], **options: Any) -> None:
        functools.update_wrapper(self, function)
        self._function, self._options = function, options

    @functools.cached_property
    def _entry(self) -> Any:
        return _compiled(self._function, cache=True, **self._options)

    @functools.cached_property
    def _inner(self) -> Any:
        from envs.core.linking import LinkedCompiler

        options = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True, "pipeline_class": LinkedCompiler}
        return _compiled(self._function, **options, **self._options)

    def __call__(self, *arguments: Any) -> Any:
        return self._entry(*arguments)

    @property
    def _numba_type_(self) -> Any:
        """What kernels that name this one take it for."""
        return self._inner._numba_type_


def _compiled(function: Callable[..., Any], **options: Any) -> Any:
    import numba

    _use_cache_of_these_sources(numba.config)
    njit: Any = numba.njit
    return njit(_nrt=False, error_model="numpy", **options)(function)


def _is_compiled(source: Path) -> bool:
    """Whether a source holds kernels, or the order of what they are given."""
    inside = source.relative_to(_ROOT).parts
    return "kernel" in inside or "config" in str(source.relative_to(_ROOT)) or b"core.jit import" in source.read_bytes()


def _use_cache_of_these_sources(config: Any) -> None:
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


def kernel(function: Callable[..., Any]) -> Kernel:
    """Compile a function that allocates nothing.

    Without the runtime's reference counts a call that passes a state of many arrays does not count each of them up and
    down; with them the event loop ran at less than a tenth of the speed.
    """
    return Kernel(function)


def inlined(function: Callable[..., Any]) -> Kernel:
    """The same for what runs for every flow: its code becomes part of the caller's. It doubles the loop's speed."""
    return Kernel(function, forceinline=True)


def summing(function: Callable[..., Any]) -> Kernel:
    """The same for sums over an array that may be added up in any order, several entries at a time."""
    return Kernel(function, forceinline=True, fastmath={"reassoc", "nsz"})


@inlined
def nothing(*arguments):
    """What a part does at a point that does not concern it."""


def one_of(functions: Sequence[Kernel]) -> Kernel:
    """A kernel that runs one of several, for what a setting chooses: it is compiled once, with all of them inside.

    ``call(which, settings, memories, *rest)`` is ``functions[which](settings[which], memories[which], *rest)``. What each
    is set to and remembers has a type of its own, so `settings` and `memories` are tuples with one entry a function.
    """
    numbered = [(n, function) for n, function in enumerate(functions) if function is not nothing]
    chain = nothing
    if len(numbered) == len(functions):  # all give something back: the last one does so without being asked for
        chain = _case(*numbered.pop(), None)
    for n, function in reversed(numbered):
        chain = _case(n, function, chain)
    return chain


def _case(n: int, function: Kernel, otherwise: Kernel | None) -> Kernel:
    if otherwise is None:

        def only(which, settings, memories, *rest):
            return function(settings[n], memories[n], *rest)

        return inlined(only)

    def case(which, settings, memories, *rest):
        if which == n:
            return function(settings[n], memories[n], *rest)
        return otherwise(which, settings, memories, *rest)

    return inlined(case)
