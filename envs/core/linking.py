"""How numba compiles kernels that kernels call: into what calls them, and not for themselves.

By default numba optimises every function and makes machine code of it, then links the optimised code of what it calls into
each caller, where all of that happens again. Of a kernel that nothing but kernels calls only the last of it is ever run.
Importing this module imports numba.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler


class LinkedLibrary(JITCodeLibrary):
    """Code that is kept to be linked into callers, as numba makes it of a function's own lines."""

    def _optimize_final_module(self) -> None:
        """Callers are optimised with it inside."""

    def _finalize_final_module(self) -> None:
        """What adds a module to the engine makes machine code of it; this is left out."""
        self._finalize_dynamic_globals()
        self._finalized = True

    @property
    def codegen(self) -> LinkedLibrary:
        """What is told of the environment below."""
        return self

    def set_env(self, name: str, environment: Any) -> None:
        """An environment holds Python's objects, of which a kernel has none."""


class LinkedCompiler(Compiler):
    """Numba's pipeline, over such a library; for ``njit(pipeline_class=...)``."""

    def compile_extra(self, func: Callable[..., Any]) -> Any:
        """Compile a function for the types given."""
        self.state.library = LinkedLibrary(self.state.targetctx.codegen(), func.__qualname__)
        return super().compile_extra(func)
