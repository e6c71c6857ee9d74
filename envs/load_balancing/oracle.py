"""The regimes of the load-balancing world, which nobody can measure."""

from __future__ import annotations

from envs.core.arrays import FloatArray, IntArray
from envs.core.oracle import Oracle
from envs.load_balancing.config import LoadBalancingConfig
from envs.load_balancing.kernel.arrivals.traffic import recorded_position

TERCILES = ("low", "middle", "high")
"""Of load and of batch share, which are the regimes of a recording."""


def regime_names(config: LoadBalancingConfig) -> tuple[str, ...]:
    """Load times class mix; a recording has the nine of its terciles."""
    if config.workload.arrivals.recorded:
        return tuple(f"load {load}, batch {share}" for load in TERCILES for share in TERCILES)
    regimes = config.workload.regimes
    pairs = zip(regimes.load, regimes.interactive_share, strict=True)
    return tuple(f"load {load:g}, {share:.0%} interactive" for load, share in pairs)


class RegimeOracle(Oracle):
    """Knows the arrival source of the simulated world."""

    @property
    def n_regimes(self) -> int:
        return len(regime_names(self.dynamics.config))

    @property
    def regime(self) -> IntArray:
        regime: IntArray = self.dynamics.state.source.regime
        return regime

    @property
    def recorded_position(self) -> FloatArray | None:
        return recorded_position(self.dynamics.params.traffic, self.dynamics.state.source)
