"""`metabalance serve`: a trained pair steers a real HAProxy, and what can't be is refused in one line."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from envs.haproxy.balancer import Balancer
from envs.haproxy.config import HAProxyConfig
from envs.haproxy.recording import read_log
from envs.haproxy.runtime import Place, RuntimeApi
from hierarchy import experiment
from hierarchy.config import ExperimentConfig
from hierarchy.experiment import Experiment
from hierarchy.live.owning import taken
from hierarchy.live.serving import rehearsed
from hierarchy.storage.trained import load
from runs.cli import main
from runs.testbed.bed import TestBed
from runs.testbed.proxy import ProxyConfig
from tests.runs.commands.live.conftest import weights_of, words
from tests.runs.testbed.beds import comes_true, evenly

pytestmark = pytest.mark.slow
Capture = pytest.CaptureFixture[str]


@pytest.mark.parametrize("applies", [False, True])
def test_every_step_is_a_line_and_the_configured_weights_come_back(
    bed: TestBed, folder: Path, capsys: Capture, applies: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[dict[Place, int]] = []
    set_weights = RuntimeApi.set_weights

    def noted(self: RuntimeApi, weights: dict[Place, int]) -> object:
        written.append(dict(weights))
        return set_weights(self, weights)

    monkeypatch.setattr(RuntimeApi, "set_weights", noted)
    capsys.readouterr()
    assert main(words(bed, folder, "--steps", 6, *(["--apply"] if applies else []))) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["step"] for line in lines] == [1, 2, 3, 4, 5, 6]
    assert all(line["held_because"] == "" for line in lines)
    assert all(np.shape(line["weights"]) == (2, 2) for line in lines)
    assert all(sum(line["context"]) == pytest.approx(1.0) for line in lines)
    assert bool(written) == applies
    assert weights_of(bed) == {100}


def test_a_bundle_does_as_well(bed: TestBed, folder: Path, tmp_path: Path, capsys: Capture) -> None:
    assert main(["export", str(folder), "--to", str(tmp_path / "bundle")]) == 0
    capsys.readouterr()
    assert main(words(bed, tmp_path / "bundle", "--steps", 1)) == 0
    assert json.loads(capsys.readouterr().out)["step"] == 1


REFUSED = {
    "socket": (["--haproxy.socket", ""], "haproxy.socket must be given"),
    "log": (["--haproxy.log", ""], "haproxy.log must be given"),
    "nowhere": (["--haproxy.socket", "/nowhere"], "haproxy must be a HAProxy that answers"),
    "backend": (["--haproxy.backends", '["a","b"]'], "haproxy must be a HAProxy that answers"),
    "backends": (["--haproxy.backends", '["a"]'], "haproxy.backends must be a backend for each class"),
    "servers": (["--haproxy.servers", '["s1"]'], "haproxy.servers must be 2 names"),
    "server": (["--haproxy.servers", '["s1","s7"]'], "backend web_interactive has no server s7"),
    "log address": (["--haproxy.log", "127.0.0.1:99999"], "haproxy.log must be the path of a Unix socket, or HOST:PORT"),
    "log folder": (["--haproxy.log", "/nowhere/log"], "haproxy.log must be an address to hear at"),
    "record": (["--haproxy.record", "/dev/null/log"], "haproxy.record must be a file that can be written"),
    "safety": (["--safety.floor", "300"], "safety.floor must be >= 1 and <= 256, got 300"),
    "one backend": (["--haproxy.backends", "[]", "--haproxy.backend", "a"], "haproxy.backend must be empty in a world with"),
    "both": (["--haproxy.backend", "a"], "haproxy.backend must be empty where backends are given"),
    "twice": (["--haproxy.backends", '["a","a"]'], "haproxy.backends must be a backend for each class"),
    "pool": (["--pool.cores", "[1, 2, 3]"], "pool.speed must be one entry per server (3)"),
    "other pool": (
        ["--pool.cores", "[1, 2, 3]", "--pool.speed", "[1, 1, 1]", "--pool.price_usd_per_h", "[1, 1, 1]"],
        "haproxy.servers must be 3 names, as many as the pool has, got s1, s2",
    ),
    "unknown": (["--pool.colour", "red"], "pool.colour"),
    "type": (["--safety.floor", "much"], "safety.floor must be"),
    "command": (["--power.command", '[""]'], "power.command must be a program and arguments"),
    "ttl": (["--ttl_s", "0.15"], "ttl_s must be >= 0.2, two steps, got 0.15"),
    "steps": (["--steps", "0"], "steps must be >= 1"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_can_not_be_steered_is_refused(bed: TestBed, folder: Path, refused: Callable[..., str], name: str) -> None:
    arguments, said = REFUSED[name]
    assert said in refused(*words(bed, folder, *arguments))


def test_servers_are_in_the_order_of_haproxy_by_default(bed: TestBed, folder: Path, capsys: Capture) -> None:
    capsys.readouterr()
    assert main(words(bed, folder, "--haproxy.servers", "[]", "--steps", 1)) == 0
    assert np.shape(json.loads(capsys.readouterr().out)["weights"]) == (2, 2)


def test_settings_may_come_from_a_file(bed: TestBed, folder: Path, tmp_path: Path, capsys: Capture) -> None:
    file = tmp_path / "safety.yaml"
    file.write_text("highest: 40\nlargest_change: 256\n")
    capsys.readouterr()
    assert main(words(bed, folder, "--safety", file, "--safety.floor", 2, "--steps", 1)) == 0
    assert np.max(json.loads(capsys.readouterr().out)["weights"]) <= 40


def bed_of(config: ExperimentConfig, n_servers: int) -> TestBed:
    ones = [1.0] * n_servers
    pool = dataclasses.replace(config.env.pool, cores=[1] * n_servers, speed=ones, price_usd_per_h=ones, memory_gb=ones)
    return TestBed(dataclasses.replace(config.env, pool=pool))


OF_THREE = {"cores": [1, 1, 1], "speed": [1.0, 1.0, 1.0], "price_usd_per_h": [1.0, 1.0, 1.0]}


def test_a_pair_for_any_number_of_servers_takes_those_that_it_is_told_of(
    config: ExperimentConfig, folder: Path, tmp_path: Path, capsys: Capture, refused: Callable[..., str]
) -> None:
    lower = dataclasses.replace(config.lower, policy="equivariant")
    out = tmp_path / "equivariant"
    experiment.train(Experiment(dataclasses.replace(config, lower=lower), out))
    pool = tmp_path / "pool.json"
    pool.write_text(json.dumps(OF_THREE))
    with bed_of(config, 3) as other:
        capsys.readouterr()
        assert main(words(other, out, "--pool", pool, "--apply", "--steps", 3)) == 0
        lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert [np.shape(line["weights"]) for line in lines] == [(2, 3)] * 3
        assert all(line["held_because"] == "" for line in lines)
        assert weights_of(other) == {100}
        said = refused(*words(other, folder, "--pool", pool, "--steps", 1))
        assert said == "lower agent must be trained for n_parts 3, got 2"
        said = refused(*words(other, folder, "--haproxy.servers", "[]"))
        assert said == "haproxy.servers must be 2 names, as many as the pool has, got s1, s2, s3"
        said = refused(*words(other, folder, "--haproxy.servers", '["s1","s2"]'))
        assert said == "haproxy.servers must be all servers of the backends (s1, s2), got web_interactive/s3, web_batch/s3"


def test_one_backend_does_for_a_world_with_joint_ones(config: ExperimentConfig, tmp_path: Path, capsys: Capture) -> None:
    joint = dataclasses.replace(config, env=dataclasses.replace(config.env, backends="joint"))
    experiment.train(Experiment(joint, tmp_path / "joint"))
    with TestBed(joint.env) as bed:
        where = ["--haproxy.socket", bed.socket, "--haproxy.log", bed.log_socket, "--haproxy.backend", "web_joint"]
        capsys.readouterr()
        assert main(list(map(str, ["serve", tmp_path / "joint", *where, "--apply", "--steps", 3, "--slow_s", 1]))) == 0
        lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert [np.shape(line["weights"]) for line in lines] == [(1, 2)] * 3
        assert all(line["held_because"] == "" for line in lines)


def test_a_pair_that_has_rehearsed_remembers_nothing(bed: TestBed, folder: Path, config: ExperimentConfig) -> None:
    settings = HAProxyConfig(bed.socket, str(bed.log_socket), list(bed.backends))
    with Balancer(config.env, settings) as balancer:
        pair = load(folder).pair(balancer.world)
        before, first = pair.get_state(), pair.decide(balancer.measurements).copy()
        pair.set_state(before)
        assert rehearsed(pair, balancer, 9) is pair
        np.testing.assert_equal(pair.get_state(), before)
        np.testing.assert_array_equal(pair.decide(balancer.measurements), first)


def test_what_takes_its_time_before_the_first_step_is_told(
    bed: TestBed, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setattr("runs.commands.serve.PATIENCE_S", 0.0)
    monkeypatch.setattr("envs.haproxy.meter.compile_meter", lambda world: time.sleep(0.5))
    assert main(words(bed, folder, "--steps", 1)) == 0
    assert capsys.readouterr().err == "metabalance: compiling what measures, once\n"


def test_a_backend_that_somebody_steers_is_refused_and_may_be_watched(
    bed: TestBed, folder: Path, refused: Callable[..., str], capsys: Capture
) -> None:
    held = taken(bed.socket, bed.backends[1])
    assert held is not None
    with held:
        said = refused(*words(bed, folder, "--apply", "--steps", 1))
        assert said == f"haproxy backend web_batch must be one that no other controller steers, got process {os.getpid()}"
        assert main(words(bed, folder, "--steps", 1)) == 0
    capsys.readouterr()


def test_another_rule_is_refused_on_either_side(
    bed: TestBed, folder: Path, config: ExperimentConfig, refused: Callable[..., str]
) -> None:
    with TestBed(config.env, ProxyConfig(balance="roundrobin")) as other:
        said = refused(*words(other, folder, "--steps", 1))
    assert said == "backend web_interactive must be one with balance leastconn, got balance roundrobin"


def test_a_pair_of_another_rule_is_refused(bed: TestBed, trained: object, refused: Callable[..., str]) -> None:
    said = refused(*words(bed, trained.out, "--steps", 1))  # type: ignore[attr-defined]
    assert said.startswith("env.dispatch.rule must be leastconn, the rule that HAProxy has, too")


def test_the_log_is_recorded(
    bed: TestBed, folder: Path, command: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    running = command(*words(bed, folder, "--haproxy.record", tmp_path / "log"))
    assert running.stdout is not None
    running.stdout.readline()
    assert bed.run(evenly(20, 0.5, 0.001)).is_ok.all()
    running.stdout.readline()
    running.terminate()
    running.communicate(timeout=30)
    recorded = read_log(tmp_path / "log", {name: at for at, name in enumerate(bed.backends)}, bed.servers)
    assert recorded.requests.n == 20


def test_a_command_that_is_told_to_end_puts_the_configured_weights_back(
    bed: TestBed, folder: Path, command: Callable[..., subprocess.Popen[str]]
) -> None:
    running = command(*words(bed, folder, "--apply", "--safety.highest", 50))
    assert running.stdout is not None
    line = json.loads(running.stdout.readline())
    assert np.max(line["weights"]) <= 50
    assert weights_of(bed) == set(np.ravel(line["weights"]).tolist())
    running.terminate()
    _, errors = running.communicate(timeout=30)
    assert (running.returncode, errors.splitlines()[-1]) == (130, "metabalance: interrupted")
    assert weights_of(bed) == {100}


def test_a_command_that_is_killed_leaves_a_watchdog_that_puts_the_configured_weights_back(
    bed: TestBed, folder: Path, command: Callable[..., subprocess.Popen[str]]
) -> None:
    running = command(*words(bed, folder, "--apply", "--safety.highest", 50, "--ttl_s", 2))
    assert running.stdout is not None
    for _ in range(3):
        weights = json.loads(running.stdout.readline())["weights"]
    running.kill()
    running.communicate(timeout=30)
    left = weights_of(bed)
    assert left != {100}
    assert np.max(weights) <= 100
    assert comes_true(lambda: weights_of(bed) == {100})


def test_a_log_that_says_nothing_of_requests_is_refused(
    bed: TestBed, folder: Path, tmp_path: Path, refused: Callable[..., str]
) -> None:
    sending = threading.Thread(target=lambda: bed.run(evenly(300, 10.0, 0.001)))
    sending.start()
    try:
        said = refused(*words(bed, folder, "--haproxy.log", tmp_path / "elsewhere", "--telemetry.first_line_s", 1))
    finally:
        sending.join()
    assert said.startswith("haproxy.log must be where HAProxy sends its log (")
    assert said.endswith(f"got silence at {tmp_path / 'elsewhere'}")


def test_what_is_learned_while_steering_is_gone_on_with(bed: TestBed, folder: Path, tmp_path: Path, capsys: Capture) -> None:
    """Every window is a line of the audit file; a second start goes on where the first one was."""
    kept, audit = tmp_path / "learned", tmp_path / "audit.jsonl"
    settings = ["--online.promise", "0", "--online.margin", "1e9", "--online.learning_starts", "1", "--audit", audit]
    command = words(bed, folder, "--apply", "--learn", kept, *settings, "--steps", 10)
    assert main(command) == 0
    assert main(command) == 0
    lines = [json.loads(line) for line in audit.read_text().splitlines()]
    n_windows = [line["learning"]["n_windows"] for line in lines if line["event"] == "step"]
    assert n_windows == [0] * 4 + [1] * 4 + [2] * 2 + [2] * 4 + [3] * 4 + [4] * 2
    last = lines[-2]["learning"]
    assert last["standing"] == {"is_learning": True, "promise": 0.0, "floor": -1e9, "mean": None, "n_rollbacks": 0}
    assert 0 < last["away"] <= 0.2
    said = [json.loads(line)["learning"] for line in capsys.readouterr().out.splitlines()]
    assert said[-1] == last


@pytest.mark.parametrize(
    ("given", "allowed"),
    [
        (["--learn", "LEARN"], "learn must be left out without apply"),
        (["--apply", "--online.trust", "0.1"], "online must be left out without learn"),
        (["--apply", "--learn", "/dev/null/x"], "learn must be a folder that can be written"),
        (["--apply", "--learn", "LEARN", "--online.trust", "2"], "online.trust must be > 0 and <= 1"),
        (["--apply", "--learn", "LEARN", "--online.promise", "nan"], "online.promise must be"),
        (
            ["--apply", "--learn", "LEARN", "--online.buffer_size", "5"],
            "online.buffer_size must be >= learning_starts",
        ),
    ],
)
def test_what_can_not_be_learned_by_is_refused_in_one_line(
    bed: TestBed, folder: Path, tmp_path: Path, capsys: Capture, given: list[str], allowed: str
) -> None:
    there = [str(tmp_path / "learned") if word == "LEARN" else word for word in given]
    capsys.readouterr()
    assert main(words(bed, folder, *there, "--steps", 1)) == 2
    said = capsys.readouterr().err
    assert allowed in said
    assert said.count("\n") == 1
    assert not (tmp_path / "learned").exists()
