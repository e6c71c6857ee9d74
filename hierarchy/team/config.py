"""Settings that learners of teams share. Importing them costs no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from envs.core.team import TeamSpec
from envs.core.validation import SettingError, check, setting
from hierarchy.team.forms import ActionForm, Memory, TeamForm, action_form
from hierarchy.team.requires import check_torchrl

if TYPE_CHECKING:
    from hierarchy.protocols import SavedAgent
    from hierarchy.team.protocols import TrainedTeam

Reward = Literal["own", "team"]


@dataclass(frozen=True)
class TeamConfig:
    """A team that learns in a batch of envs."""

    algorithm: str = ""
    """name in the registry"""
    timesteps: int = setting(50_000, gt=0)
    """env steps to train for, over all envs; schedules end there"""
    warm_up: int = setting(1_000, gt=0)
    """env steps of uniform actions before anything is learned, which scale observations and rewards"""
    hidden_size: int = setting(64, gt=0)
    """width of the two layers of a network, and of its memory"""
    learning_rate: float = setting(1e-3, gt=0)
    """of Adam at the start"""
    final_share: float = setting(1.0, ge=0, le=1)
    """share of the learning rate that is left at the end, to which it falls in a line"""
    reward: Reward = "own"
    """whose reward an agent learns from"""
    gamma: float = setting(0.99, ge=0, le=1)
    """discount per step"""
    max_grad_norm: float = setting(10.0, gt=0)
    """to which gradients are clipped"""

    def __post_init__(self) -> None:
        check(self)

    def check_team(self, spec: TeamSpec) -> None:
        """Whether the algorithm can learn to act in such a world; any it can, unless it says otherwise.

        Raises
        ------
        SettingError
            It can't.
        """
        self._check_action(action_form(spec.action_space), spec)

    def form(self, spec: TeamSpec) -> TeamForm:
        """What its networks are."""
        (n_features,) = spec.observation_space.shape
        return TeamForm(action_form(spec.action_space), spec.n_agents, n_features, self.hidden_size)

    def actor(self, saved: SavedAgent) -> TrainedTeam:
        """What acts of a saved team.

        Raises
        ------
        SettingError
            It was trained by another algorithm, its networks are not those that it says, or TorchRL is not installed.
        """
        check_torchrl(self.algorithm)
        from hierarchy.team.acting import actor_of

        return actor_of(saved, self.algorithm)

    def _check_action(self, form: ActionForm, spec: TeamSpec) -> None:
        """What of it depends on actions."""

    def check_buildable(self, spec: TeamSpec) -> None:
        """Whether a team can be built for such a world.

        Raises
        ------
        SettingError
            The algorithm can't act there, or TorchRL is not installed.
        """
        self.check_team(spec)
        check_torchrl(self.algorithm)


@dataclass(frozen=True)
class AgentsConfig(TeamConfig):
    """A team whose agents act each on what they observe themselves."""

    memory: Memory = "none"
    """gru remembers what was observed, step by step"""
    memory_steps: int = setting(8, gt=0)
    """observations back to which a memory reaches"""
    shares_parameters: bool = True
    """one network for all agents, which is told who they are, or one for each"""

    def form(self, spec: TeamSpec) -> TeamForm:
        """What its networks are."""
        (n_features,) = spec.observation_space.shape
        return TeamForm(
            action_form(spec.action_space),
            spec.n_agents,
            n_features,
            self.hidden_size,
            self.memory,
            self.memory_steps,
            self.shares_parameters,
        )


def check_choices(form: ActionForm, spec: TeamSpec, algorithm: str) -> None:
    """Actions are choices.

    Raises
    ------
    SettingError
        They are numbers.
    """
    if form.is_box:
        raise SettingError("action_space", f"Discrete or MultiDiscrete for {algorithm}", spec.action_space)


def check_numbers(form: ActionForm, spec: TeamSpec, algorithm: str) -> None:
    """Actions are numbers.

    Raises
    ------
    SettingError
        They are choices.
    """
    if not form.is_box:
        raise SettingError("action_space", f"a Box for {algorithm}", spec.action_space)
