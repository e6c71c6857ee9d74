"""What a policy remembers from step to step: tensors of any number and width, which only the policy itself can read."""

from __future__ import annotations

import torch as th

from envs.core.state import Tree

Memory = tuple[th.Tensor, ...]
"""Parts of a memory, ``(n_envs, ...)`` each; what they mean is known to the policy that made them, and to nothing else."""


def rows(memory: Memory, index: th.Tensor) -> Memory:
    """The memories of some envs ``(n,)``."""
    return tuple(part[index] for part in memory)


def state_of(memory: Memory) -> Tree:
    """The parts of a memory by number, as copies."""
    return {str(i): part.numpy().copy() for i, part in enumerate(memory)}


def memory_of(state: Tree) -> Memory:
    """The memory of a state, the inverse of :func:`state_of`."""
    return tuple(th.as_tensor(state[str(i)]).clone() for i in range(len(state)))
