"""The face of a team for TorchRL: a batch of envs whose agents are one group.

=============================  ============================  ====================================================
entry                          shape                         what
=============================  ============================  ====================================================
``("agents", "observation")``  ``(n_envs, n_agents, ...)``   what each observes; float32
``"state"``                    ``(n_envs, n_state)``         of the whole world; float32
``("agents", "action")``       ``(n_envs, n_agents[, n])``   what each does; numbers of choices, or float32
``("agents", "reward")``       ``(n_envs, n_agents, 1)``     of each; float32
``"done"``, ``"terminated"``   ``(n_envs, 1)``               whether an episode is over, in itself or cut off, and
and ``"truncated"``                                          which of both
=============================  ============================  ====================================================
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch as th
from gymnasium import spaces
from tensordict import TensorDict, TensorDictBase
from torchrl.data import Binary, Bounded, Categorical, Composite, MultiCategorical, TensorSpec, Unbounded
from torchrl.envs import EnvBase

from envs.core.arrays import FloatArray32
from envs.core.team import TeamEnv

GROUP = "agents"


class TeamTorchEnv(EnvBase):  # type: ignore[misc]  # TorchRL is not typed
    """A batch of a team's envs for TorchRL; it is begun anew where TorchRL asks for it.

    Parameters
    ----------
    env
        The batch.
    seed
        Of its streams; :meth:`set_seed` begins them anew.
    """

    def __init__(self, env: TeamEnv, seed: int = 0) -> None:
        super().__init__(device="cpu", batch_size=th.Size([env.n_envs]))
        self._env, self._seed_of_streams = env, seed
        self._is_begun = False
        n, spec = (env.n_envs,), env.spec
        of_agents = (env.n_envs, spec.n_agents)
        self.observation_spec = Composite(
            {
                GROUP: Composite({"observation": _box(spec.observation_space, of_agents)}, shape=of_agents),
                "state": _box(spec.state_space, n),
            },
            shape=n,
        )
        self.action_spec = _grouped("action", _actions(spec.action_space, of_agents), of_agents)
        self.reward_spec = _grouped("reward", Unbounded((*of_agents, 1), dtype=th.float32), of_agents)
        flags = ("done", "terminated", "truncated")
        self.done_spec = Composite({name: Binary(1, shape=(*n, 1), dtype=th.bool) for name in flags}, shape=n)

    def _reset(self, tensordict: TensorDictBase | None = None, **_: Any) -> TensorDictBase:
        asked = None if tensordict is None else tensordict.get("_reset", None)
        mask = None if asked is None or not self._is_begun else asked.reshape(-1).numpy()
        observation = self._env.reset(None if self._is_begun else self._seed_of_streams, mask)
        self._is_begun = True
        over = th.zeros(self._env.n_envs, 1, dtype=th.bool)
        begun = {name: over.clone() for name in ("done", "terminated", "truncated")}
        return TensorDict({**self._observed(observation), **begun}, self.batch_size)

    def _step(self, tensordict: TensorDictBase) -> TensorDictBase:
        led_to = self._env.step(tensordict[GROUP, "action"].numpy())
        observed = self._observed(led_to.observation)
        observed[GROUP]["reward"] = th.from_numpy(led_to.reward.astype(np.float32))[..., None]
        terminated, truncated = (th.from_numpy(one)[:, None] for one in (led_to.terminated, led_to.truncated))
        ended = {"done": terminated | truncated, "terminated": terminated, "truncated": truncated}
        return TensorDict({**observed, **ended}, self.batch_size)

    def _set_seed(self, seed: int | None) -> None:
        self._seed_of_streams, self._is_begun = seed or 0, False

    def _observed(self, observation: FloatArray32) -> dict[str, Any]:
        of_agents = TensorDict({"observation": th.from_numpy(observation)}, observation.shape[:2])
        return {GROUP: of_agents, "state": th.from_numpy(self._env.state())}


def _grouped(name: str, of_agents: TensorSpec, shape: tuple[int, ...]) -> TensorSpec:
    """Something of all agents, under the name of their group."""
    return Composite({GROUP: Composite({name: of_agents}, shape=shape)}, shape=shape[:1])


def _box(space: spaces.Box, leading: tuple[int, ...]) -> TensorSpec:
    """Numbers ``(*leading, n)``, within their bounds where there are any."""
    shape = (*leading, *space.shape)
    if not space.is_bounded():
        return Unbounded(shape, dtype=th.float32)
    low, high = (th.tensor(bound, dtype=th.float32).expand(shape).clone() for bound in (space.low, space.high))
    return Bounded(low, high, shape=shape, dtype=th.float32)


def _actions(space: spaces.Space[Any], leading: tuple[int, ...]) -> TensorSpec:
    """Actions of all agents."""
    if isinstance(space, spaces.Discrete):
        return Categorical(int(space.n), shape=leading, dtype=th.int64)
    if isinstance(space, spaces.MultiDiscrete):
        return MultiCategorical(space.nvec.tolist(), shape=(*leading, len(space.nvec)), dtype=th.int64)
    assert isinstance(space, spaces.Box)
    return _box(space, leading)
