"""PettingZoo's own tests on every game, and the face against the batch of one beneath it."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from envs import games
from envs.faces.parallel import TeamParallelEnv
from tests.envs.games.examples import EXAMPLES, actions_of, every_game

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # of a game that PettingZoo's tests load by its old way
    from pettingzoo.test import parallel_api_test, parallel_seed_test


def env_of(name: str) -> TeamParallelEnv:
    return TeamParallelEnv(games.make(EXAMPLES[name], 1, 3))


@pytest.mark.filterwarnings("error::UserWarning")
@every_game
def test_the_tests_of_pettingzoo_pass(name: str) -> None:
    parallel_api_test(env_of(name), num_cycles=50)
    parallel_seed_test(lambda: env_of(name), num_cycles=50)


@every_game
def test_the_face_does_what_the_batch_of_one_does(name: str) -> None:
    game, env, batch = EXAMPLES[name], env_of(name), games.make(EXAMPLES[name], 1)
    observation, infos = env.reset(seed=5)
    agents = list(game.spec.agents)
    assert env.agents == env.possible_agents == list(observation) == list(infos) == agents
    assert np.array_equal(np.stack(list(observation.values())), batch.reset(seed=5)[0])
    for action in actions_of(game, game.episode_steps, 1):
        assert np.array_equal(env.state(), batch.state()[0])
        assert env.state_space.contains(env.state())
        given = dict(reversed(list(zip(agents, action[0], strict=True))))  # by name, in any order
        found, step = env.step(given), batch.step(action)
        assert all(env.observation_space(agent).contains(row) for agent, row in found[0].items())
        assert np.array_equal(np.stack(list(found[0].values())), step.observation[0])
        assert list(found[1].values()) == step.reward[0].tolist()
        assert set(found[2].values()) == {bool(step.terminated[0])}
        assert set(found[3].values()) == {bool(step.truncated[0])}
    assert env.agents == []
    with pytest.raises(ValueError, match="reset first"):
        env.step(given)


def test_spaces_belong_to_one_agent_each() -> None:
    env = env_of("pricing")
    first, second = (env.action_space(agent) for agent in env.possible_agents[:2])
    assert first == second
    assert first is not second


def test_every_agent_must_act() -> None:
    env = env_of("monotone")
    env.reset()
    with pytest.raises(ValueError, match=r"^actions must be given for row, column, got row$"):
        env.step({"row": 0})


def test_an_env_is_made_of_a_batch_of_one() -> None:
    with pytest.raises(ValueError, match=r"^n_envs must be 1 for a PettingZoo env, got 2$"):
        TeamParallelEnv(games.make(games.Monotone(), 2))
