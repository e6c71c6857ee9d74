"""Rules by which a flow finds its server, given the weights. Ties are broken at random, never by index.

A server takes part when the backend gives it weight, it has booted, has room, and is not known to be down. While none does,
flows wait at a booting one; when there is none of those either, they are rejected.
"""

from __future__ import annotations

from envs.load_balancing.kernel.dispatch import (
    leastconn,
    peak_ewma,
    power_of_two,
    prequal,
    random_draws,
    sed,
    weighted_random,
    wrr,
)
from envs.load_balancing.kernel.dispatch.rule import DispatchConfig, Rule

RULES: dict[str, Rule] = {
    "sed": sed.RULE,
    "leastconn": leastconn.RULE,
    "wrr": wrr.RULE,
    "weighted_random": weighted_random.RULE,
    "random": random_draws.RULE,
    "power_of_two": power_of_two.RULE,
    "peak_ewma": peak_ewma.RULE,
    "prequal": prequal.RULE,
}
"""Every dispatch rule by name."""

DISPATCH_RULES: dict[str, type[DispatchConfig]] = {name: rule.config for name, rule in RULES.items()}
"""The settings of each."""
