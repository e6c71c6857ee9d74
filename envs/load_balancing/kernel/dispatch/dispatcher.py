"""The dispatcher of every env and backend: one of the rules, all of which are compiled into the event loop."""

from __future__ import annotations

from typing import Any, NamedTuple

from envs.core.arrays import new_arrays
from envs.core.jit import inlined, one_of
from envs.core.numbers import no_numbers, numbers
from envs.core.rng import DISPATCH
from envs.load_balancing.kernel.dispatch import RULES
from envs.load_balancing.kernel.dispatch.eligible import random_booting
from envs.load_balancing.kernel.dispatch.rule import DispatchConfig
from envs.load_balancing.kernel.servers.state import n_nodes


class Dispatch(NamedTuple):
    """Settings of the dispatcher as the kernel reads them."""

    rule: int  # place in RULES
    rules: tuple[Any, ...]  # the numbers of every rule; those of rules not chosen are 0


def dispatch(config: DispatchConfig) -> Dispatch:
    """The kernel's view of a dispatch rule."""
    return Dispatch(list(RULES).index(config.rule), _numbers(config))


def new_dispatcher(config: DispatchConfig, n_envs: int, n_backends: int, n_servers: int) -> tuple[Any, ...]:
    """What each rule remembers, one entry a rule: nothing yet."""
    sizes = {"n_envs": n_envs, "n_backends": n_backends, "n_servers": n_servers, "n_nodes": n_nodes(n_servers)}
    rules = zip(RULES.values(), _numbers(config), strict=True)
    return tuple(
        () if rule.memory is None else new_arrays(rule.memory, sizes | (settings._asdict() if settings else {}))
        for rule, settings in rules
    )


def _numbers(config: DispatchConfig) -> tuple[Any, ...]:
    return tuple(numbers(config) if name == config.rule else no_numbers(rule.config) for name, rule in RULES.items())


_choose = one_of([rule.choose for rule in RULES.values()])
_rank = one_of([rule.rank for rule in RULES.values()])
_learn = one_of([rule.learn for rule in RULES.values()])
_clear = one_of([rule.clear for rule in RULES.values()])


@inlined
def choose(params, dispatcher, servers, streams, env, backend, t):
    """The server of a flow that comes to a backend at ``t``, or -1 when no server takes it."""
    stream = streams[env, DISPATCH]
    server = _choose(params.rule, params.rules, dispatcher, servers, stream, env, backend, t)
    return server if server >= 0 else random_booting(servers, stream, env, backend)


@inlined
def rank(params, dispatcher, servers, env, backend, server):
    """Take in that the flows of a backend on a server have changed."""
    _rank(params.rule, params.rules, dispatcher, servers, env, backend, server)


@inlined
def rank_in_all(params, dispatcher, servers, env, server):
    """Take in that weights or state of a server have changed, or that it is full or has room again."""
    for backend in range(servers.weight.shape[1]):
        _rank(params.rule, params.rules, dispatcher, servers, env, backend, server)


@inlined
def learn(params, dispatcher, env, backend, server, t, latency_s):
    """Take in an answer."""
    _learn(params.rule, params.rules, dispatcher, env, backend, server, t, latency_s)


@inlined
def clear_dispatcher(params, dispatcher, env):
    """Forget everything about an env."""
    _clear(params.rule, params.rules, dispatcher, env)
