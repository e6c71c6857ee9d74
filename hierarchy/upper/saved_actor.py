"""What acts of a saved upper agent, whether it remembers windows or not."""

from __future__ import annotations

from hierarchy.nets.saving import check_algorithm
from hierarchy.protocols import SavedAgent
from hierarchy.upper.acting import ContextActor, context_actor_of
from hierarchy.upper.remembering import RememberingActor, remembering_of, remembers


def actor_of(saved: SavedAgent, algorithm: str) -> ContextActor | RememberingActor:
    """An agent that was saved.

    Raises
    ------
    SettingError
        It was trained by another algorithm, its networks are not what it says, or its actions stand for other contexts.
    """
    check_algorithm(saved, algorithm)
    return remembering_of(saved) if remembers(saved) else context_actor_of(saved)
