"""What the parts of a hierarchy ask of each other: who acts, learns and watches, and the algorithms to choose from.

Importing it costs no torch.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import Field
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol, TypeVar

from envs.core.arrays import Array, BoolArray, FloatArray, FloatArray32
from envs.core.state import Tree
from hierarchy.window_memories import MemoryConfig

if TYPE_CHECKING:
    from gymnasium import spaces

    from envs import EnvConfig
    from envs.core.context import ContextSampling
    from hierarchy.vec_env import ArrayVecEnv, BatchVecEnv


class Acting(Protocol):
    """An actor in the middle of the episodes of a batch."""

    def act(self, observation: FloatArray32) -> Array:
        """Actions ``(n_envs, ...)`` for observations ``(n_envs, n_features)``, without exploration."""

    def reset(self, mask: BoolArray | None = None) -> None:
        """Forget what came before in all envs, or where ``mask (n_envs,)`` is set."""

    def get_state(self) -> Tree:
        """All that moves, as copies."""

    def set_state(self, state: Tree) -> None:
        """Go on from a state of :meth:`get_state`, to the last bit."""


class Actor(Protocol):
    """Something trained, or a rule: what acts."""

    def start(self, n_envs: int) -> Acting:
        """Begin episodes in ``n_envs`` envs side by side, with nothing remembered."""


class SavedAgent(NamedTuple):
    """An agent as it is kept.

    Attributes
    ----------
    name
        What it is called in messages.
    description
        What it is, as plain values: its ``algorithm``, the ``form`` of its networks, the ``spec`` of its world.
    arrays
        What it has learned, by name.
    """

    name: str
    description: Mapping[str, Any]
    arrays: Mapping[str, Array]


class Source(NamedTuple):
    """An agent of another experiment, as which one begins.

    Attributes
    ----------
    path
        Of the folder or bundle that it was read from.
    sha256
        Of its file there.
    seed
        Its training seed.
    mlflow_run
        Key of its experiment's run in MLflow; None without tracking.
    """

    agent: SavedAgent
    path: str
    sha256: str
    seed: int
    mlflow_run: str | None = None

    @property
    def origin(self) -> dict[str, str | int | None]:
        """Where it is from, as plain values."""
        return {"path": self.path, "sha256": self.sha256, "seed": self.seed, "mlflow_run": self.mlflow_run}


class Trained(Actor, Protocol):
    """What a learner has learned so far, one agent or several."""

    @property
    def model(self) -> Any:
        """What it does, as a module of torch: a function of the tensors in its ``examples`` to those in its ``outputs``."""

    def saved(self, name: str, algorithm: str) -> SavedAgent:
        """What acts, to be kept by that name; training can't go on from it."""


class TrainedActor(Trained, Protocol):
    """What an agent has learned so far."""

    def fitted(
        self, observation_space: spaces.Space[Any], action_space: spaces.Space[Any], n_agents: int = 1
    ) -> TrainedActor:
        """The actor for a world with these spaces and so many agents in an env; it may have another number of parts or of
        agents if the actor allows for that.

        Raises
        ------
        ValueError
            It was trained for other observations or actions, or for another number of agents that act together.
        """


class Observer:
    """Watches an agent learn. It does nothing: others derive from it and take what concerns them."""

    def on_rollout(self, n_steps: int) -> None:
        """Before every rollout, ``n_steps`` done so far: what a learner's state is now, training can go on from."""

    def on_step(self, n_steps: int) -> None:
        """After every step of all envs side by side; ``n_steps`` done so far, those of all envs together."""

    def on_metrics(self, values: Mapping[str, float], n_steps: int) -> None:
        """When there are figures to record, by name, after ``n_steps``."""


Trained_co = TypeVar("Trained_co", bound=Trained, covariant=True)


class Training(Protocol[Trained_co]):
    """One agent or several in training."""

    @property
    def n_steps(self) -> int:
        """Trained so far, over all envs together."""

    @property
    def actor(self) -> Trained_co:
        """What acts as has been learned by now."""

    def begin_from(self, saved: SavedAgent) -> None:
        """Take over what one of the same kind has learned, before training; steps, schedules and what an optimiser has
        gathered begin anew. Where nothing was kept but what acts, as in a bundle, so does the rest.

        Raises
        ------
        SettingError
            It is of another kind.
        """

    def learn(self, n_steps: int, *observers: Observer) -> None:
        """Train for ``n_steps`` more, over all envs together, or until the rollout that they end in is over."""

    def get_state(self) -> Tree:
        """All that moves, as copies, before a rollout begins; the random generators of the libraries among it."""

    def set_state(self, state: Tree) -> None:
        """Go on from a state of :meth:`get_state` of a learner that was built with the same settings, to the last bit."""

    def saved(self, name: str) -> SavedAgent:
        """What is learned as it is now, to be kept by that name."""


class Learner(Training[TrainedActor], Protocol):
    """An agent in training."""


class UpperLearner(Learner, Protocol):
    """An upper agent in training."""

    def begin_at(self, mix: FloatArray) -> None:
        """Set a mix ``(k,)`` in every state, before anything is learned."""

    def begin_like(self, observations: FloatArray32, mixes: FloatArray) -> None:
        """Set mixes ``(n, k)`` for meta observations ``(n, n_features)``, as near as can be, before anything is learned."""


class LowerAlgorithm(Protocol):
    """Settings of a lower agent, which build it; a type of ``hierarchy.lower.ALGORITHMS``."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    @property
    def algorithm(self) -> str:
        """The name in the registry."""

    @property
    def timesteps(self) -> int:
        """Env steps to train for, over all envs."""

    @property
    def n_envs(self) -> int:
        """Envs side by side."""

    @property
    def paired(self) -> bool:
        """Whether rewards are what they are above those of the nominal action, on the same requests."""

    @property
    def context(self) -> ContextSampling:
        """Contexts met in training."""

    def check_world(self, n_parts: int, action_space: spaces.Space[Any], constraints: Collection[str] = ()) -> None:
        """Whether the agent can learn in a world of ``n_parts`` interchangeable parts, with constraints by name.

        Raises
        ------
        SettingError
            It can't.
        """

    def check_data(self, env: EnvConfig, contextual: bool = True) -> None:
        """Whether what it learns from beside the world is there and fits it; ``contextual`` as in :meth:`build`.

        Raises
        ------
        SettingError
            It isn't, or it doesn't.
        """

    def build(self, env: BatchVecEnv, seed: int, contextual: bool = True) -> Learner:
        """A fresh agent over ``env``; one that is not ``contextual`` has one task, whatever its context says."""

    def actor(self, saved: SavedAgent) -> TrainedActor:
        """What acts of a saved agent.

        Raises
        ------
        SettingError
            It was trained by another algorithm, or its networks are not those that it says.
        """


class UpperAlgorithm(Protocol):
    """Settings of an upper agent, which build it; a type of ``hierarchy.upper.ALGORITHMS``."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    @property
    def algorithm(self) -> str:
        """The name in the registry."""

    @property
    def meta_step(self) -> str:
        """``window`` or ``episode``."""

    @property
    def meta_period(self) -> int:
        """Lower steps in a window."""

    @property
    def meta_steps(self) -> int:
        """Meta steps to train for, over all envs."""

    @property
    def episode_windows(self) -> int:
        """Windows in an episode."""

    @property
    def n_envs(self) -> int:
        """Meta envs side by side."""

    @property
    def paired(self) -> bool:
        """Whether rewards are what they are above those of a twin under a fixed mix."""

    @property
    def from_fixed_best(self) -> bool:
        """Whether that is the best fixed mix on selection seeds; else it is the equal one."""

    @property
    def ahead_windows(self) -> int:
        """Windows over which mixes are held against each other, to begin with one for every state; 0 for the fixed mix."""

    @property
    def context_per_balancer(self) -> bool:
        """Whether it sets a context for each agent of an env instead of one for all."""

    @property
    def memory(self) -> MemoryConfig:
        """What it remembers of windows before the last, a type of ``hierarchy.upper.memory.MEMORIES``."""

    @property
    def candidates(self) -> int:
        """Agents that are trained with different seeds, of which one is kept."""

    @property
    def candidate_seeds(self) -> int:
        """Selection seeds that candidates are held against each other on."""

    def build(self, env: ArrayVecEnv, seed: int) -> UpperLearner:
        """A fresh agent over meta envs; its actor maps meta observations to contexts on the simplex, ``(n_envs, k)`` or
        ``(n_envs, env.n_contexts, k)`` of more than one.
        """

    def actor(self, saved: SavedAgent) -> TrainedActor:
        """What acts of a saved agent.

        Raises
        ------
        SettingError
            It was trained by another algorithm, or its networks are not those that it says.
        """
