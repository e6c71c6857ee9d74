"""A pair that steers a real HAProxy: how long it decides, what it takes, and whether its ears keep up."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np

from envs.core.validation import build
from envs.haproxy.log import LogListener
from envs.load_balancing.config import Actions, LoadBalancingConfig, Poisson, Regimes
from hierarchy import experiment
from hierarchy.config import ExperimentConfig
from hierarchy.experiment import Experiment
from runs.benchmarks.plan import Case, Plan, Target
from runs.settings.experiment import from_files
from runs.settings.files import preset_file
from runs.testbed.bed import TestBed
from runs.testbed.ports import HOST, free_ports
from runs.testbed.requests import ScheduleConfig, draw_schedule
from runs.testbed.sending import Sender

PRESET = "haproxy"
RATE_HZ = 200.0
SECONDS = 60.0
OFTEN_S = 0.1
"""A step where it is measured how long one decides."""
BEGIN_S = 60.0
LINES_PER_S, LINE_SECONDS = 5_000, 10.0
TICKS = os.sysconf("SC_CLK_TCK")


def steered(dt_s: float) -> ExperimentConfig:
    """The preset at one rate, with agents that need not have learned anything and act in every step."""
    config = build(ExperimentConfig, from_files([preset_file(PRESET)]).values)
    assert isinstance(config.env, LoadBalancingConfig)
    env = config.env
    workload = replace(env.workload, arrivals=Poisson(), rate_hz=RATE_HZ, retries=0.0)
    workload = replace(workload, regimes=Regimes(loads=[0.5], interactive_shares=[0.9]))
    env = replace(env, workload=workload, dt_s=dt_s, actions=Actions())
    lower = replace(config.lower, timesteps=1, paired=False)
    upper = replace(config.upper, meta_steps=2 * config.upper.n_envs, learning_starts=config.upper.n_envs, candidates=1)
    upper = replace(upper, paired=False, from_fixed_best=False, ahead_windows=0)
    tracking = replace(config.tracking, enabled=False)
    return replace(config, env=env, lower=lower, upper=upper, tracking=tracking)


@dataclass(frozen=True)
class Seen:
    """Of a process that steered."""

    decision_ms: list[float]
    cpu_percent: float
    memory_mb: float
    n_held: int


@contextlib.contextmanager
def _serving(words: list[str]) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", "import sys; from runs.cli import main; sys.exit(main())", "serve", *words]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.terminate()
        process.communicate()


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def _peak_mb(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024.0


def steer(dt_s: float, seconds: float) -> Seen:
    """Let a pair steer a test bed under load."""
    config = steered(dt_s)
    assert isinstance(config.env, LoadBalancingConfig)
    with tempfile.TemporaryDirectory(prefix="metabalance-") as folder, TestBed(config.env) as bed, Sender() as sender:
        out = Path(folder) / "pair"
        made = Experiment(config, out)
        experiment.train_lower(made)
        experiment.train_upper(made)
        schedule = draw_schedule(config.env, ScheduleConfig(seconds=seconds + BEGIN_S))
        sending = bed.begin(sender, schedule, (), time.monotonic())
        where = ["--haproxy.socket", bed.socket, "--haproxy.log", str(bed.log_socket)]
        names = ["--haproxy.backends", json.dumps(bed.backends), "--haproxy.servers", json.dumps(bed.servers)]
        with _serving([str(out), *where, *names, "--apply"]) as process:
            assert process.stdout is not None
            process.stdout.readline()
            began_s, cpu_s, lines = time.monotonic(), _cpu_s(process.pid), []
            while time.monotonic() < began_s + seconds and not sending.is_over:
                lines.append(json.loads(process.stdout.readline()))
            elapsed_s = time.monotonic() - began_s
            used = 100.0 * (_cpu_s(process.pid) - cpu_s) / elapsed_s
            took, held = [line["took_ms"] for line in lines], sum(bool(line["held_because"]) for line in lines)
            return Seen(took, used, _peak_mb(process.pid), held)


def lost_lines(seconds: float, over_udp: bool) -> float:
    """Share of lines that a listener did not take in, in percent, over UDP or a Unix datagram socket."""
    line = b"mb2 4242 web_interactive s1 200 -- 0 0 0 12 12 1795966617392711"
    with tempfile.TemporaryDirectory(prefix="metabalance-") as folder:
        address = f"{HOST}:{free_ports(1)[0]}" if over_udp else str(Path(folder) / "log.sock")
        with LogListener(address, {"web_interactive": 0}, ["s1"]) as listener:
            sender = subprocess.Popen([sys.executable, "-c", REPLAY, address, str(seconds)], stdin=subprocess.PIPE)
            sender.communicate(line)
            time.sleep(1.0)
            return 100.0 * (1.0 - listener.counts.taken / round(seconds * LINES_PER_S))


REPLAY = f"""
import random, socket, sys, time
address, seconds, line = sys.argv[1], float(sys.argv[2]), sys.stdin.buffer.read()
host, _, port = address.rpartition(":")
out = socket.socket(socket.AF_INET if host else socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
out.connect((host, int(port)) if host else address)
random.seed(0)
at_s = time.monotonic()
for _ in range(round(seconds * {LINES_PER_S})):
    at_s += random.expovariate({LINES_PER_S})
    while time.monotonic() < at_s:
        time.sleep(0)
    try:
        out.send(line)
    except BlockingIOError:
        pass  # as HAProxy does, which drops it
"""


def plan(scale: float) -> Plan:
    """Decisions of a short step, what a step of a second takes, and lines of a log."""
    seconds = max(5.0, scale * SECONDS)

    @cache
    def seen(dt_s: float) -> Seen:
        return steer(dt_s, seconds)

    def of_decisions(quantile: float) -> Callable[[], float]:
        return lambda: float(np.quantile(seen(OFTEN_S).decision_ms, quantile))

    return Plan(
        cases=[
            Case("decision, median", "ms", of_decisions(0.5), once=True),
            Case("decision, p99", "ms", of_decisions(0.99), once=True),
            Case("controller, share of a core", "%", lambda: seen(1.0).cpu_percent, once=True),
            Case("controller, memory", "MB", lambda: seen(1.0).memory_mb, once=True),
            Case("decisions held", "1", lambda: float(seen(1.0).n_held + seen(OFTEN_S).n_held), once=True),
            Case("log lines lost, UDP", "%", lambda: lost_lines(max(1.0, scale * LINE_SECONDS), over_udp=True)),
            Case("log lines lost, Unix socket", "%", lambda: lost_lines(max(1.0, scale * LINE_SECONDS), over_udp=False)),
        ],
        targets={
            "decision, p99": Target("at most", 5.0),
            "controller, share of a core": Target("at most", 5.0),
            "controller, memory": Target("at most", 400.0),
            "decisions held": Target("at most", 0.0),
            "log lines lost, UDP": Target("at most", 0.0),
        },
    )
