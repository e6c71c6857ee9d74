"""`metabalance calibrate`: the simulator's settings from a log of HAProxy."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from jsonargparse import ArgumentParser, Namespace

from envs.core.validation import SettingError
from runs.commands.experiments import add_settings_of_preset, check_fits
from runs.settings.checks import check_json, check_writable
from runs.settings.experiment import experiment_of
from runs.settings.files import PRESET_KEY, SUFFIXES, preset_names
from runs.settings.options import add_options, offered, options_of, positional, repeated, switch

if TYPE_CHECKING:
    from envs.load_balancing.config import LoadBalancingConfig
    from hierarchy.config import ExperimentConfig


@dataclass(frozen=True)
class Options:
    """Which log, of what, and where settings come from and go."""

    log: Path = positional()
    """file that `serve --haproxy.record` or a syslog daemon has written"""
    backends: list[str] = field(default_factory=list)
    """backend of every class of requests, in the order of the world's classes"""
    servers: list[str] = field(default_factory=list)
    """names of the servers, in the order of the world's pool"""
    preset: str | None = offered(preset_names)
    """settings to start from (default: default): what can't be seen in a log, cores, prices and deadlines among it"""
    config: list[Path] = repeated()
    """YAML or JSON file of settings, over the preset"""
    to: Path = Path("calibrated.yaml")
    """file to write, for --config"""
    json: Path | None = None
    """also write all figures here"""
    reference: str | None = None
    """server whose speed is right as it is configured; without, the fastest: a log tells ratios of speeds alone"""
    any_cores: bool = switch()
    """fit, although the log contradicts the cores"""

    def __post_init__(self) -> None:
        if self.to.suffix not in SUFFIXES:
            raise SettingError("to", f"a name that ends with one of {', '.join(SUFFIXES)}", self.to)
        if self.reference is not None and self.reference not in self.servers:
            raise SettingError("reference", f"one of the servers ({', '.join(self.servers)})", self.reference)


@dataclass(frozen=True)
class Calibrate:
    """Settings of a world that does what a log says."""

    name: str = "calibrate"
    help: str = "fit the simulator to a log of HAProxy, and write settings to train with"

    def add_options(self, parser: ArgumentParser, arguments: Sequence[str]) -> Sequence[str]:
        add_options(parser, Options, arguments)
        return add_settings_of_preset(parser, arguments)

    def run(self, parsed: Namespace) -> int:
        options, config = options_of(Options, parsed), experiment_of(parsed)
        world = _world(config, options)
        check_writable(options.to.parent, "to")
        check_json(options.json)
        from envs.haproxy.recording import read_log
        from runs.calibration.calibration import calibrate
        from runs.calibration.telling import notes, report, rows
        from runs.calibration.world import world_of
        from runs.terminal.tables import print_rows, wide_console

        recorded = read_log(options.log, {name: at for at, name in enumerate(options.backends)}, options.servers)
        reference = None if options.reference is None else options.servers.index(options.reference)
        found = calibrate(recorded.requests, world, options.servers, reference=reference, any_cores=options.any_cores)
        fit = world_of(found, world)
        fitted = dataclasses.replace(config, env=fit.world)
        check_fits(fitted)
        _write(options.to, parsed.preset, fitted)
        title = f"{found.n['fitted']} requests in {found.span.seconds:.1f} s of {options.log}"
        print_rows(title, rows(fit, options.servers), wide_console())
        for line in notes(found, recorded, world, options.servers):
            print(line)
        if options.json is not None:
            from hierarchy.storage.files import write_json

            write_json(report(found, fit, recorded, world, options.servers), options.json)
        print(f"settings in {options.to}, train with: metabalance train --config {options.to}")
        return 0


def _world(config: ExperimentConfig, options: Options) -> LoadBalancingConfig:
    """The world that is to be fitted, if it may be.

    Raises
    ------
    SettingError
        It is of another kind, or names are missing.
    """
    from envs.load_balancing.config import CLASSES, LoadBalancingConfig

    world = config.env
    if not isinstance(world, LoadBalancingConfig):
        raise SettingError("env.family", LoadBalancingConfig.family, world.family)
    if len(set(options.backends)) != len(CLASSES) or len(options.backends) != len(CLASSES):
        raise SettingError("backends", f"a backend of its own for each class ({', '.join(CLASSES)})", options.backends)
    n = world.pool.n_servers
    if len(set(options.servers)) != n or len(options.servers) != n:
        raise SettingError("servers", f"{n} names, as many as the pool has", options.servers)
    return world


def _write(path: Path, preset: str, config: ExperimentConfig) -> None:
    import json

    import yaml

    from hierarchy.storage.files import write

    values = {PRESET_KEY: preset, **dataclasses.asdict(config)}
    text = json.dumps(values, indent=2) if path.suffix == ".json" else yaml.safe_dump(values, sort_keys=False)
    write(path, lambda file: file.write(text.encode()))


CALIBRATE = Calibrate()
