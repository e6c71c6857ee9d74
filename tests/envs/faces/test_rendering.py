"""Pictures of an env show what is measured of it: servers, weights, queues, mix and time."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import envs
from envs.core.scene import Gauge
from envs.faces.registration import make_multi_objective, make_single, make_vector
from envs.faces.rendering import RENDER_MODES, frames_per_second, mix_of, render, scene_of
from envs.faces.vector import BatchVectorEnv
from envs.load_balancing.config import Actions, LoadBalancingConfig, Randomisation, ServerPool
from tests.envs.load_balancing.pools import fail
from tests.envs.worlds import EXAMPLES, any_actions, batch_of, every_world, outcomes

CONFIG = LoadBalancingConfig(actions=Actions(mode="weights"))


@every_world
@pytest.mark.parametrize("mode", RENDER_MODES)
def test_every_world_can_be_rendered_at_any_time(name: str, mode: str) -> None:
    batch = batch_of(name, 2, episode_steps=12)
    batch.reset()
    frames = [render(batch, 1, mode, EXAMPLES[name].dt_s)]
    outcomes(batch, any_actions(batch.action_space, (12, 2)))
    frames.append(render(batch, 1, mode, EXAMPLES[name].dt_s))
    if mode == "ansi":
        assert all(isinstance(frame, str) and frame.isascii() for frame in frames)
        assert "(over)" in frames[1]
    else:
        assert all(frame.dtype == np.uint8 and frame.shape == (360, 720, 3) for frame in frames)
    assert not np.array_equal(*frames)


@every_world
def test_to_render_an_env_changes_nothing(name: str) -> None:
    watched, unwatched = batch_of(name), batch_of(name)
    actions = any_actions(watched.action_space, (10, 3))
    for batch in (watched, unwatched):
        batch.reset()
    for action in actions:
        render(watched, 0, "ansi", 1.0)
        ours, theirs = watched.step(action), unwatched.step(action)
        assert all(np.array_equal(x, y) for x, y in zip(ours[:4], theirs[:4], strict=True))


@every_world
def test_the_share_of_a_bar_is_a_share(name: str) -> None:
    batch = batch_of(name)
    batch.reset()
    for action in any_actions(batch.action_space, (60, 3)):
        batch.step(action)
        scene = scene_of(batch, 0)
        gauges = [*scene.gauges, *mix_of(batch, 0), *(gauge for part in scene.parts for gauge in part.gauges)]
        assert gauges
        assert all(-1e-9 <= gauge.share <= 1 + 1e-9 for gauge in gauges), gauges


def gauges_of(env: Any) -> dict[str, list[Gauge]]:
    """The gauges of the servers by name."""
    parts = scene_of(env.batch, 0).parts
    return {gauge.name: [part.gauges[i] for part in parts] for i, gauge in enumerate(parts[0].gauges)}


def test_a_picture_of_a_pool_shows_its_servers_weights_queues_mix_and_time() -> None:
    env = make_single(CONFIG, render_mode="ansi")
    env.reset(seed=0, options={"context": [0.5, 0.2, 0.3]})
    for _ in range(40):
        env.step(np.array([1.0, 0.0, 0.25, 0.5, 0.5, 0.0, 0.0, 0.75]))
    told, measurements = env.render(), env.batch.simulation.measurements
    for words in ("10.00 s, step 40 of 2000", "server 0", "server 3", "interactive in flight", "batch in flight", "$/h"):
        assert words in told
    shown = gauges_of(env)
    assert [gauge.text for gauge in shown["weight interactive"]] == ["1.00", "0.25", "0.50", "0.00"]
    assert [gauge.text for gauge in shown["weight batch"]] == ["0.00", "0.50", "0.00", "0.75"]
    assert [gauge.share for gauge in shown["utilisation"]] == pytest.approx(measurements.utilisation[0].tolist())
    assert [int(gauge.text) for gauge in shown["in flight"]] == measurements.feature("n_flow_on")[0].tolist()
    queues = scene_of(env.batch, 0).gauges[:2]
    assert [int(gauge.text) for gauge in queues] == measurements.in_flight[0].tolist()
    assert [gauge.share for gauge in mix_of(env.batch, 0)] == pytest.approx([0.5, 0.2, 0.3])


def test_a_server_is_on_off_draining_failed_or_absent() -> None:
    pool = ServerPool(failure_rate_hz=1e-12, repair_s=1e12, detection_s=0.1, boot_s=0.5, min_billed_s=1.0)
    config = replace(CONFIG, pool=pool, randomise=Randomisation(n_servers=[3, 3]))
    batch = envs.make(config, 1, seed=3)
    batch.reset()
    here = np.flatnonzero(batch.simulation.measurements.present[0])
    for _ in range(20):
        batch.step(np.ones((1, 8)))
    fail(batch.world.dynamics, int(here[0]))  # type: ignore[arg-type]
    states = set()
    for _ in range(200):
        weights = np.ones((1, 4, 2))
        weights[0, here[1]] = 0.0
        batch.step(weights.reshape(1, 8))
        shown = [part.state for part in scene_of(batch, 0).parts]
        states.add(shown[here[1]])
    assert [shown[i] for i in here] == ["failed", "off", "on"]
    assert [state for i, state in enumerate(shown) if i not in here] == ["absent"]
    assert states <= {"off", "draining"}


def test_a_vector_env_renders_every_env() -> None:
    env = make_vector(3, CONFIG, render_mode="ansi")
    env.reset(seed=0)
    frames = env.render()
    assert frames == tuple(render(env.batch, i, "ansi", CONFIG.dt_s) for i in range(3))
    assert make_vector(3, CONFIG).render() is None


def test_an_env_with_a_vector_of_rewards_is_rendered_like_one_without() -> None:
    one, other = make_single(CONFIG, render_mode="ansi"), make_multi_objective(CONFIG, render_mode="ansi")
    for env in (one, other):
        env.reset(seed=0, options={"context": [0.2, 0.3, 0.5]})
    assert one.render() == other.render()


def test_without_a_render_mode_nothing_is_rendered() -> None:
    env = make_single()
    env.reset()
    assert env.render() is None


@pytest.mark.parametrize("make", [make_single, make_vector, make_multi_objective])
def test_a_render_mode_that_is_none_is_refused(make: Any) -> None:
    with pytest.raises(ValueError, match=r"^render_mode must be one of ansi, rgb_array or None, got 'human'$"):
        make(render_mode="human")


def test_films_run_in_the_worlds_own_time() -> None:
    assert make_single(CONFIG).metadata["render_fps"] == 4
    assert BatchVectorEnv(envs.make(CONFIG, 1), dt_s=0.1).metadata["render_fps"] == 10
    assert make_single(CONFIG).metadata["render_modes"] == ["ansi", "rgb_array"]
    assert frames_per_second(60.0) == 1


def test_pictures_leave_the_state_of_pyplot_alone() -> None:
    code = (
        "import sys; from envs.faces.registration import make_single; env = make_single(render_mode='rgb_array'); "
        "env.reset(); loaded = 'matplotlib' in sys.modules; env.render(); "
        "sys.exit(loaded or 'matplotlib.pyplot' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
