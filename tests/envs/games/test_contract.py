"""What every game keeps to: one entry in `examples.EXAMPLES`, or in `GAMES`, adds a game to all of this."""

from __future__ import annotations

import dataclasses
import typing
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces

from envs import games
from envs.core.batch import BatchEnv
from envs.core.state import flatten, nested, rows_of
from envs.core.team import TeamStep
from envs.core.validation import SettingError, build
from envs.games.batch import compose
from tests.envs.games.examples import EXAMPLES, actions_of, every_game, long, same

N_STEPS = 12
DRAWN = [name for name in EXAMPLES if name.startswith(("inventory", "fulfilment"))]
"""Games in which something is drawn."""
SYMMETRIC = [name for name in EXAMPLES if name != "climbing"]
"""Games in which no agent is another one than the others."""


@every_game
def test_the_same_seed_gives_the_same_bits_whatever_the_batch(name: str) -> None:
    game = long(name, 5)
    many, one = games.make(game, 4, 7), games.make(game, 1, 7, env_ids=[2])
    assert np.array_equal(many.reset()[2], one.reset()[0])
    many.reset(mask=np.array([True, False, False, True]))  # what others do is nothing to it
    for action in actions_of(game, 5, 4):
        found, alone = many.step(action), one.step(action[2:3])
        assert all(np.array_equal(x[2], y[0]) for x, y in zip(found, alone, strict=True))
        assert np.array_equal(many.state()[2], one.state()[0])


@every_game
def test_a_seed_at_the_reset_makes_the_episode_again(name: str) -> None:
    game = long(name, N_STEPS)
    batch, actions, runs = games.make(game, 3), actions_of(game, N_STEPS, 3), []
    for seed in (1, 1, 2):
        first = batch.reset(seed)
        runs.append([first, *(array for action in actions for array in batch.step(action))])
    assert all(np.array_equal(a, b) for a, b in zip(runs[0], runs[1], strict=True))
    assert (name in DRAWN) != all(np.array_equal(a, b) for a, b in zip(runs[0], runs[2], strict=True))


@pytest.mark.parametrize("name", DRAWN)
def test_what_is_drawn_depends_on_env_episode_and_role_and_not_on_actions(name: str) -> None:
    game = long(name, 3)
    batch, other, evaluated = games.make(game, 2), games.make(game, 2), games.make(game, 2, role="evaluate")
    drawn: dict[str, list[np.ndarray]] = {"here": [], "there": [], "evaluated": []}
    for key, one in (("here", batch), ("there", other), ("evaluated", evaluated)):
        uniform = one.dynamics.uniform
        one.dynamics.uniform = lambda n, mask, key=key, uniform=uniform: (
            drawn[key].append(uniform(n, mask)) or drawn[key][-1]
        )
    for _ in range(2):
        for seed, one in enumerate((batch, other, evaluated)):
            one.reset()
            for action in actions_of(game, 3, 2, seed):
                one.step(action)
    here, there, evaluated_draws = (np.stack(drawn[key]) for key in ("here", "there", "evaluated"))
    assert np.array_equal(here, there)
    values = np.concatenate([here.ravel(), evaluated_draws.ravel()])
    assert len(np.unique(values)) == values.size


@every_game
def test_a_batch_goes_on_from_a_state(name: str) -> None:
    game = long(name, 9)
    batch, fresh = games.make(game, 3, 1), games.make(game, 3, 2)
    actions = actions_of(game, N_STEPS, 3)
    batch.reset()
    for action in actions[:4]:
        batch.step(action)
    batch.reset(mask=np.array([False, True, False]))
    kept = nested(flatten(batch.get_state()))
    before = {path: np.copy(leaf) for path, leaf in flatten(kept).items()}
    first = [batch.step(action) for action in actions[4:]]
    for one in (batch, fresh):
        one.set_state(kept)
        assert all(same(x, one.step(action)) for x, action in zip(first, actions[4:], strict=True))
    assert np.array_equal(batch.reset(), fresh.reset())  # streams, too
    assert all(map(np.array_equal, batch.statistics().values(), fresh.statistics().values()))
    for path, leaf in flatten(kept).items():
        assert isinstance(leaf, np.ndarray | np.generic | bool | int | float), path
        assert np.asarray(leaf).dtype != object, path
        assert np.array_equal(leaf, before[path]), path


@every_game
def test_a_state_is_a_copy(name: str) -> None:
    game = long(name, N_STEPS)
    batch, other = games.make(game, 2), games.make(game, 2)
    batch.reset()
    other.reset()
    for leaf in flatten(batch.get_state()).values():
        if isinstance(leaf, np.ndarray):
            leaf.fill(1)
    assert all(same(batch.step(action), other.step(action)) for action in actions_of(game, N_STEPS, 2))


def began_apart(batch: games.GameBatch, actions: np.ndarray) -> list[TeamStep]:
    """Four steps; before the third one an episode begins anew in the env in the middle."""
    batch.reset()
    first = [batch.step(action) for action in actions[:2]]
    batch.reset(mask=np.array([False, True, False]))
    return first + [batch.step(action) for action in actions[2:4]]


@every_game
def test_an_env_that_ended_stays_as_it_is_with_rewards_of_zero(name: str) -> None:
    game = long(name, 4)
    batch, goes_on, actions = games.make(game, 3), games.make(long(name, N_STEPS), 3), actions_of(game, N_STEPS, 3)
    steps = began_apart(batch, actions)
    began_apart(goes_on, actions)
    assert [step.terminated.tolist() for step in steps] == [[False] * 3] * 3 + [[True, False, True]]
    ended = np.array([0, 2])
    kept = flatten(rows_of(batch.get_state(), ended, 3))
    for action in actions[4:6]:
        last, step = steps[-1], batch.step(action)
        assert np.array_equal(step.observation[ended], last.observation[ended])
        assert (step.reward[ended] == 0).all()
        assert np.array_equal(step.reward[1], goes_on.step(action).reward[1])
    assert step.terminated.all()
    now = flatten(rows_of(batch.get_state(), ended, 3))
    assert all(np.array_equal(now[path], kept[path]) for path in kept)
    batch.reset(mask=np.array([True, False, False]))
    assert batch.step(actions[6]).terminated.tolist() == [False, True, True]


@every_game
def test_an_episode_terminates_after_its_steps_and_is_never_truncated(name: str) -> None:
    game = EXAMPLES[name]
    batch = games.make(game, 2)
    batch.reset()
    steps = [batch.step(action) for action in actions_of(game, game.episode_steps, 2)]
    assert [step.terminated.all() for step in steps] == [False] * (game.episode_steps - 1) + [True]
    assert not any(step.truncated.any() for step in steps)


@every_game
def test_rewards_of_the_agents_sum_up_to_those_of_the_team(name: str) -> None:
    """As statistics have them, and as one agent has them that acts for all and observes the state."""
    game = long(name, N_STEPS)
    batch, alone = games.make(game, 3), BatchEnv(compose(game.dynamics(range(3), 0, "train")), N_STEPS)
    batch.reset(seed=1)
    assert np.array_equal(alone.reset(seed=1)[:, :-1], batch.state())
    total = np.zeros(3)
    for action in actions_of(game, N_STEPS, 3):
        step, (observation, reward, *_) = batch.step(action), alone.step(action)
        assert np.allclose(step.reward.sum(-1), reward)
        assert np.array_equal(observation[:, :-1], batch.state())
        total += step.reward.sum(-1)
    assert np.allclose(batch.statistics()["team_reward"], total / N_STEPS)
    assert np.allclose(alone.simulation.objective(alone.simulation.statistics()), total / N_STEPS)
    alone.reset()
    assert (alone.reset_info()["reward"] == 0).all()


@every_game
def test_a_game_steps_inside_its_spaces(name: str) -> None:
    game = long(name, N_STEPS)
    batch, spec = games.make(game, 2), game.spec
    arrays = [batch.reset()]
    assert spec == batch.spec
    for action in actions_of(game, N_STEPS, 2):
        assert batch.state().shape == (2, *spec.state_space.shape)
        assert all(spec.state_space.contains(row) for row in batch.state())
        step = batch.step(action)
        assert step.observation.shape == (2, spec.n_agents, *spec.observation_space.shape)
        assert all(spec.observation_space.contains(row) for row in step.observation.reshape(-1, step.observation.shape[-1]))
        assert step.reward.shape == (2, spec.n_agents)
        assert (step.observation.dtype, step.reward.dtype) == (np.float32, np.float64)
        assert all(one.shape == (2,) and one.dtype == np.bool_ for one in step[2:])
        arrays += [*step, batch.state()]
    for number, array in enumerate(arrays):
        assert not any(np.shares_memory(array, other) for other in arrays[number + 1 :])


@pytest.mark.parametrize("name", SYMMETRIC)
def test_agents_may_be_renamed(name: str) -> None:
    """Each takes the actions and the draws of another one, and gets what that one got."""
    game = long(name, N_STEPS)
    batch, renamed = games.make(game, 3), games.make(game, 3)
    order = np.random.default_rng(0).permutation(game.spec.n_agents)
    uniform = renamed.dynamics.uniform
    renamed.dynamics.uniform = lambda n, mask: uniform(n, mask)[:, order]  # type: ignore[method-assign]
    assert np.array_equal(renamed.reset(), batch.reset()[:, order])
    for action in actions_of(game, N_STEPS, 3):
        step, other = batch.step(action), renamed.step(action[:, order])
        assert np.allclose(other.reward, step.reward[:, order], rtol=1e-12)
        assert np.array_equal(other.observation, step.observation[:, order])


@every_game
def test_actions_of_another_shape_are_refused(name: str) -> None:
    game = EXAMPLES[name]
    batch, action = games.make(game, 2), actions_of(game, 1, 2)[0]
    batch.reset()
    for wrong in (action[:1], action[:, :1], action[..., None], action.reshape(-1)):
        with pytest.raises(ValueError, match=r"^actions must have shape \(2, \d+"):
            batch.step(wrong)


@every_game
def test_actions_that_are_none_are_refused_and_prices_out_of_bounds_are_held(name: str) -> None:
    game = EXAMPLES[name]
    batch, action, space = games.make(game, 2), actions_of(game, 1, 2)[0], game.spec.action_space
    batch.reset()
    if isinstance(space, spaces.Box):
        with pytest.raises(ValueError, match=r"^actions must be finite, got nan$"):
            batch.step(np.full_like(action, np.nan))
        far, bound = np.full_like(action, 1e9), np.broadcast_to(space.high, action.shape)
        assert np.array_equal(batch.step(far).reward, games.make(game, 2).step(bound).reward)
        return
    for wrong in (-1, int(space.n), 0.5):  # type: ignore[union-attr]
        with pytest.raises(ValueError, match=f"^actions must be integers >= 0 and < .*, got {wrong}$"):
            batch.step(np.full(action.shape, wrong))


@pytest.mark.parametrize("name", games.GAMES)
def test_a_setting_that_is_not_allowed_is_refused_by_its_name(name: str) -> None:
    kind: Any = games.GAMES[name]
    hints = typing.get_type_hints(kind)
    fields = [field.name for field in dataclasses.fields(kind)]
    with pytest.raises(SettingError, match=f"^game must be one of {name}, got 'chess'$"):
        kind(game="chess")
    numbers = [field for field in fields if hints[field] in (int, float)]
    assert "episode_steps" in numbers
    for field in numbers:
        for wrong in (-1, float("nan"), float("inf")):
            with pytest.raises(SettingError, match=f"^{field} must be .*, got {wrong}$"):
                kind(**{field: wrong})


@pytest.mark.parametrize("name", games.GAMES)
def test_a_config_is_its_entry_frozen_and_made_of_plain_values(name: str) -> None:
    config: Any = games.GAMES[name]()
    assert config.game == name
    assert build(games.GAMES[name], dataclasses.asdict(config)) == config
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.episode_steps = 3


def test_a_batch_has_an_env_and_a_name_for_each() -> None:
    with pytest.raises(ValueError, match=r"^n_envs must be >= 1, got 0$"):
        games.make(games.Monotone(), 0)
    with pytest.raises(ValueError, match=r"^env_ids must name 2 envs, got 1$"):
        games.make(games.Monotone(), 2, env_ids=[0])
