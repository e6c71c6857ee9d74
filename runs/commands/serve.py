"""`metabalance serve`: the trained pair steers a real HAProxy."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jsonargparse import ArgumentParser, Namespace

from envs.core.validation import SettingError, build, check, setting
from runs.settings.checks import check_writable
from runs.settings.files import read_named
from runs.settings.layers import at, lay_over, leaves
from runs.settings.options import add_options, add_settings, options_of, positional, switch
from runs.settings.trust import TrustOptions
from runs.settings.types import typed
from runs.settings.words import given, layer, without

if TYPE_CHECKING:
    from envs.haproxy.balancer import Balancer
    from envs.haproxy.config import HAProxyConfig
    from envs.load_balancing.config import LoadBalancingConfig
    from hierarchy.live.controller import Decision
    from hierarchy.live.learning import Learning, LearningConfig
    from hierarchy.live.running import LiveConfig
    from hierarchy.live.shadow import Shadow
    from hierarchy.storage.trained import Trained

    Told = Callable[[Decision], None]

PATIENCE_S = 5.0
"""What takes longer before the first step is told."""


@dataclass(frozen=True)
class Options(TrustOptions):
    """Whose pair, and for how long."""

    folder: Path = positional()
    """a bundle, the output folder of an experiment, or models:/NAME@ALIAS"""
    apply: bool = switch()
    """write weights; without it they are only decided"""
    shadow: bool = switch()
    """run beside whatever steers now, and say at the end where it would have decided otherwise"""
    share: float | None = setting(None, gt=0, lt=1)
    """of the requests that the steered backends have, where haproxy.control names backends that have the rest"""
    steps: int | None = setting(None, ge=1)
    """steps after which it ends; without, when it is told to"""

    def __post_init__(self) -> None:
        check(self)
        if self.apply and self.shadow:
            raise SettingError("shadow", "without apply: nothing is written", True)


@dataclass(frozen=True)
class Serve:
    """One line of JSON for every decision, and more for who watches; the configured weights come back at the end."""

    name: str = "serve"
    help: str = "steer a real HAProxy with the trained pair, one line of JSON a decision"

    def add_options(self, parser: ArgumentParser, arguments: Sequence[str]) -> Sequence[str]:
        from hierarchy.live.learning import LearningConfig
        from hierarchy.live.running import LiveConfig
        from hierarchy.live.watching import WatchConfig

        add_options(parser, Options, arguments)
        words = [word for kind in (LiveConfig, LearningConfig) for word in _add(parser, kind, arguments)]
        add_settings(parser, WatchConfig, {})
        return without(arguments, [name for name, _ in words])

    def run(self, parsed: Namespace) -> int:
        from hierarchy.live.learning import LearningConfig
        from hierarchy.live.running import LiveConfig
        from hierarchy.live.watching import WatchConfig, watching

        options = options_of(Options, parsed)
        values: dict[str, Any] = parsed.as_dict()
        config = build(LiveConfig, {name: values[name] for name in LiveConfig.__dataclass_fields__})
        if config.haproxy.control and not options.apply:
            raise SettingError("haproxy.control", "[] without apply: nothing is steered then", config.haproxy.control)
        if options.share is not None and not config.haproxy.control:
            raise SettingError("haproxy.control", "given with share: the backends that are not steered", "[]")
        watch = build(WatchConfig, {name: values[name] for name in WatchConfig.__dataclass_fields__})
        learns = build(LearningConfig, {name: values[name] for name in LearningConfig.__dataclass_fields__})
        if learns.learn is not None:
            if not options.apply:
                raise SettingError("learn", "left out without apply: what is not done can't be learned from", learns.learn)
            check_writable(learns.learn, "learn")
        from hierarchy.building.windows import lower_steps_per_window
        from hierarchy.live.controller import Controller
        from hierarchy.live.reports import Reporter
        from hierarchy.live.running import Running
        from hierarchy.live.safety import unlimited
        from hierarchy.live.serving import alone, check_ttl, pair_on, power_of, watchdog_of, world_of
        from hierarchy.live.shadow import Shadow
        from hierarchy.storage.trained import load

        trained = load(options.folder, trusts_factory=options.trust_factory)
        world = world_of(trained, config.pool)
        check_ttl(world, config)
        with ExitStack() as stack:
            if options.apply:
                stack.enter_context(alone(world, config))
            balancer = stack.enter_context(_heard(world, config.haproxy))
            _first_look(balancer, config)
            learning = None if learns.learn is None else _learning(trained, world, balancer, options.folder, learns)
            online = None if learning is None else learning.online
            pair = pair_on(trained, balancer, online)
            _compiled(world)
            watchdog = stack.enter_context(watchdog_of(balancer, config)) if options.apply else None
            reporter = Reporter(balancer, pair, lower_steps_per_window(trained.config), online=online)
            controller = Controller(
                balancer,
                reporter,
                unlimited(config.safety) if options.shadow else config.safety,
                options.apply,
                telemetry=config.telemetry,
                slow_s=config.longest_s(world.dt_s),
                power=power_of(balancer, config),
            )
            subject, shadow = reporter.subject(str(options.folder), options.apply), Shadow()
            stack.callback(_summed_up, balancer, options.share, shadow if options.shadow else None)
            tell = stack.enter_context(watching(watch, reporter, subject, config.looks, [shadow]))
            if learning is not None:
                tell = both(learning.observe, tell)
            _answered(balancer.begin)
            Running(controller, balancer, config, options.apply, tell, watchdog=watchdog).run(options.steps)
        return 0


def both(first: Told, second: Told) -> Told:
    """Tell one of a decision, then the other."""

    def told(decision: Decision) -> None:
        first(decision)
        second(decision)

    return told


def _learning(
    trained: Trained, world: LoadBalancingConfig, balancer: Balancer, folder: Path, options: LearningConfig
) -> Learning:
    """What the upper agent learns from now on, and has learned in the folder before; a note says what will be noticed.

    What the gate found is of the pool that the pair was trained for, and promises nothing of another one.
    """
    from hierarchy.live.learning import Learning
    from hierarchy.online.building import identity, online_of
    from hierarchy.storage.bundle import parts_of

    assert options.learn is not None
    parts, online = parts_of(folder), options.online
    if world != trained.config.env:
        parts = parts._replace(found={})
    there, objective = replace(trained.config, env=world), balancer.world.objective
    made = online_of(there, parts, online, objective)
    standing = made.progress.standing
    held = f"the mean of {online.windows} windows is below {standing.floor:.3f} ({standing.promise:.3f} promised)"
    print(f"note: what is learned is rolled back once {held}", file=sys.stderr)
    return Learning(made, options.learn, identity(there, parts, online, objective))


def _add(parser: ArgumentParser, kind: type[Any], arguments: Sequence[str]) -> list[tuple[str, str]]:
    """Add an option for every setting of a tree, with what is given as default; the words that gave it, which are read."""
    words = [one for one in given(arguments) if one[0].split(".")[0] in kind.__dataclass_fields__]
    values = lay_over(kind, {}, layer(words), read=read_named)
    for path, annotation, value in leaves(kind, values):
        parent, _, name = path.rpartition(".")
        at(values, parent)[name] = typed(annotation, value, path)  # type: ignore[index]
    add_settings(parser, kind, values)
    return words


def _summed_up(balancer: Balancer, share: float | None, shadow: Shadow | None) -> None:
    """Say at the end what a shadow has seen, and what a share of the requests has gained."""
    if shadow is not None:
        print(f"shadow: {shadow.said()}", file=sys.stderr)
    if balancer.canary is not None:
        for line in balancer.canary.lines(share):
            print(f"canary: {line}", file=sys.stderr)


def _heard(world: LoadBalancingConfig, settings: HAProxyConfig) -> Balancer:
    """The balancer, whose log can be heard."""
    from envs.haproxy.balancer import Balancer
    from envs.haproxy.runtime import RuntimeApiError

    if not settings.socket:
        raise SettingError("haproxy.socket", "given: HAProxy's stats socket, of level admin", "nothing")
    if not settings.log:
        raise SettingError("haproxy.log", "given: where HAProxy sends its log", "nothing")
    try:
        return Balancer(world, settings)
    except SettingError as error:
        raise error.under("haproxy") from None
    except RuntimeApiError as error:
        raise SettingError("haproxy", "a HAProxy that answers, with these backends and servers", error) from None
    except OSError as error:
        raise SettingError("haproxy.log", f"an address to hear at ({error.strerror or error})", settings.log) from None


def _compiled(world: LoadBalancingConfig) -> None:
    """Have what measures compiled before it is needed; say so where that takes its time, on a new installation."""
    from envs.haproxy.meter import compile_meter

    told = threading.Timer(PATIENCE_S, print, ["metabalance: compiling what measures, once"], {"file": sys.stderr})
    told.start()
    try:
        compile_meter(world)
    finally:
        told.cancel()


def _first_look(balancer: Balancer, config: LiveConfig) -> None:
    from hierarchy.live.telemetry import wait_for_a_line

    _answered(lambda: wait_for_a_line(balancer, config.telemetry, time.monotonic, time.sleep))


def _answered(ask: Callable[[], None]) -> None:
    """Ask HAProxy for something without which there is no beginning."""
    from envs.haproxy.runtime import RuntimeApiError

    try:
        ask()
    except RuntimeApiError as error:
        raise SettingError("haproxy", "a HAProxy that answers, with these backends and servers", error) from None


SERVE = Serve()
