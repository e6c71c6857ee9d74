"""`metabalance testbed`: real servers behind a real HAProxy on this machine, to steer, or to compare arms on."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jsonargparse import ArgumentParser, Namespace

from envs.core.validation import SettingError, build, check, one_line, setting
from runs.commands.experiments import OUT_ROOT
from runs.settings.checks import check_json, check_tracking, check_writable
from runs.settings.options import add_options, add_settings, options_of, repeated
from runs.settings.trust import TrustOptions

if TYPE_CHECKING:
    from envs.load_balancing.config import LoadBalancingConfig
    from hierarchy.config import ExperimentConfig
    from hierarchy.live.running import LiveConfig
    from runs.testbed.bed import TestBed
    from runs.testbed.comparing import Compared, Plan
    from runs.testbed.faults import Fault

EXPERIMENT = "metabalance-live"
PRESET = "haproxy"
KNOWN = ("haproxy", "pool", "power")
"""Of the settings of a balancer that is steered: where it is, and what its servers are."""


@dataclass(frozen=True)
class Options(TrustOptions):
    """Which servers, which requests, and what is compared."""

    bundle: Path | None = None
    """a bundle, the output folder of an experiment, or models:/NAME@ALIAS: its world, agents and rules; without one, the
    world of the preset haproxy"""
    compare: str | None = None
    """arms, separated by commas: each meets the same requests, and one table is printed; static is roundrobin with equal
    weights"""
    runs: int = setting(5, ge=1, le=1_000)
    """episodes of every arm; without arms, how often the requests are sent"""
    first: int = setting(0, ge=0)
    """which episode of the simulator has the first requests; the next ones follow"""
    seconds: float = setting(120.0, gt=0, le=3_600)
    """length of an episode, in whole windows where arms are compared"""
    fault: list[str] = repeated()
    """what happens in every episode, as AT_S:KIND:SERVER[:FACTOR]: slow, stop and start of a server, from 0; kill_proxy and
    start_proxy"""
    out: Path = OUT_ROOT / "live"
    """output folder of a comparison"""
    json: Path | None = None
    """also write the results here"""
    tracking: bool = True
    """log a comparison to MLflow"""

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True)
class Testbed:
    """Everything is on 127.0.0.1, and ends with the command."""

    name: str = "testbed"
    help: str = "start real servers behind a real HAProxy here, send them requests, compare arms on them"

    def add_options(self, parser: ArgumentParser, arguments: Sequence[str]) -> Sequence[str]:
        from hierarchy.live.running import LiveConfig

        add_options(parser, Options, arguments)
        add_settings(parser, LiveConfig, {}, without=KNOWN)
        return arguments

    def run(self, parsed: Namespace) -> int:
        from envs.haproxy.runtime import RuntimeApiError
        from hierarchy.live.running import LiveConfig
        from runs.testbed.comparing import world_of
        from runs.testbed.errors import BedError
        from runs.testbed.faults import check_faults, fault_of

        options = options_of(Options, parsed)
        values: dict[str, Any] = parsed.as_dict()
        steering = {name: values[name] for name in LiveConfig.__dataclass_fields__ if name not in KNOWN}
        live, faults = build(LiveConfig, steering), tuple(map(fault_of, options.fault))
        config = _config(options)
        env = world_of(config)
        check_faults(faults, env.pool.n_servers, options.seconds, "the end")
        try:
            if options.compare is None:
                _stand(config, env, options, faults)
            else:
                _compared(config, options, options.compare, live, faults)
        except (BedError, RuntimeApiError) as error:
            print(f"metabalance: {one_line(error)}", file=sys.stderr)
            return 1
        return 0


def _config(options: Options) -> ExperimentConfig:
    """The settings that a bundle or a preset has."""
    from hierarchy.config import ExperimentConfig
    from hierarchy.storage.trained import config_of
    from runs.settings.experiment import from_files
    from runs.settings.files import preset_file

    if options.bundle is None:
        return build(ExperimentConfig, from_files([preset_file(PRESET)]).values)
    return config_of(options.bundle, trusts_factory=options.trust_factory)


def _stand(config: ExperimentConfig, env: LoadBalancingConfig, options: Options, faults: tuple[Fault, ...]) -> None:
    """Start everything, say where it is, and send requests."""
    from runs.testbed.bed import TestBed
    from runs.testbed.requests import ScheduleConfig, draw_schedule

    with TestBed(env) as bed:
        _tell(bed)
        for number in range(options.runs):
            wanted = ScheduleConfig(seconds=options.seconds, seed=config.seed, env_id=options.first + number)
            answers = bed.run(draw_schedule(env, wanted), faults)
            latency_ms = 1e3 * answers.latency_s[answers.is_ok]
            figures = f"{len(answers.status)} requests, {int(answers.is_ok.sum())} answered"
            mean = f", mean {latency_ms.mean():.1f} ms" if len(latency_ms) else ""
            print(f"{figures}{mean}, sent at most {1e3 * answers.lateness.p99_s:.1f} ms late at p99", flush=True)


def _tell(bed: TestBed) -> None:
    print(f"socket    {bed.socket}")
    print(f"log       {bed.log_socket}")
    print(f"backends  {' '.join(dict.fromkeys(bed.backends))}")
    print(f"servers   {' '.join(bed.servers)}")
    print(f"frontends {' '.join(f'127.0.0.1:{port}' for port in bed.ports)}", flush=True)


def _compared(config: ExperimentConfig, options: Options, names: str, live: LiveConfig, faults: tuple[Fault, ...]) -> None:
    """Compare arms; the table goes to the terminal, to files, to MLflow."""
    from hierarchy.building.windows import lower_steps_per_window
    from hierarchy.evidence.recordings import save_episodes
    from hierarchy.storage.files import write_json
    from hierarchy.storage.folder import OutputFolder
    from runs.commands.experiments import show
    from runs.testbed.comparing import Plan, compare

    if options.bundle is None:
        raise SettingError("bundle", "given: whose agents and rules are compared", "nothing")
    window_s = lower_steps_per_window(config) * config.env.dt_s
    n_windows = round(options.seconds / window_s)
    if n_windows < 1 or abs(n_windows * window_s - options.seconds) > 1e-9:
        raise SettingError("seconds", f"whole windows of {window_s:g} s", options.seconds)
    check_writable(options.out, "out")
    check_json(options.json)
    if options.tracking:
        check_tracking(options.out.parent)
    env_ids = tuple(range(options.first, options.first + options.runs))
    plan = Plan(tuple(filter(None, names.split(","))), options.seconds, env_ids, faults)

    def told(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    began_s = time.perf_counter()
    compared = compare(config, options.bundle, live, plan, told)
    compared.results["timings_s"] = {"live": time.perf_counter() - began_s}
    folder = OutputFolder(options.out)
    folder.save_config("testbed", config)
    save_episodes(compared.episodes, folder.path)
    write_json(compared.results, folder.results)
    _publish(config, options, compared, plan)
    show(compared.results, config, options.json)


def _publish(config: ExperimentConfig, options: Options, compared: Compared, plan: Plan) -> None:
    """Draw pictures, and log all of it where that is asked for."""
    from hierarchy.experiment import Experiment
    from hierarchy.tracking.commit import git_commit
    from hierarchy.tracking.mlflow_runs import OUT_TAG
    from hierarchy.tracking.publishing import parameters
    from hierarchy.tracking.sinks import Sink
    from hierarchy.tracking.tracked import Tracker

    experiment = Experiment(config, options.out, "testbed")
    if not options.tracking:
        experiment.publish(compared.results, [options.out], Sink(), knows_regimes=False)
        return
    tags = {"git_commit": git_commit(), OUT_TAG: str(options.out.resolve())}
    settings = {**parameters(config), **{f"live/{name}": str(value) for name, value in asdict(plan).items()}}
    tracker = Tracker(options.out, EXPERIMENT, tags)
    with tracker, tracker.run("live", options.out.name, parameters=settings) as run:
        experiment.publish(compared.results, [options.out], run, knows_regimes=False)
    for left in tracker.synced.lines(options.out):
        print(f"note: {left}", file=sys.stderr)


TESTBED = Testbed()
