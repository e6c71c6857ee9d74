"""A binary heap of slots by their keys, the least first, in two rows of arrays."""

from __future__ import annotations

from envs.core.jit import inlined


@inlined
def heap_push(keys, slots, n, key, slot):
    """Add a slot with its key to a heap of ``n``."""
    i = n
    while i > 0:
        parent = (i - 1) // 2
        if keys[parent] <= key:
            break
        keys[i], slots[i] = keys[parent], slots[parent]
        i = parent
    keys[i], slots[i] = key, slot


@inlined
def heap_pop(keys, slots, n):
    """Remove the root of a heap of ``n``; returns its slot."""
    top = slots[0]
    key, slot = keys[n - 1], slots[n - 1]
    i = 0
    while True:
        child = 2 * i + 1
        if child >= n - 1:
            break
        if child + 1 < n - 1 and keys[child + 1] < keys[child]:
            child += 1
        if key <= keys[child]:
            break
        keys[i], slots[i] = keys[child], slots[child]
        i = child
    keys[i], slots[i] = key, slot
    return top
