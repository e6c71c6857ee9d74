"""The servers behind a real balancer, where they are others than those that a pair was trained on."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

from envs.core.validation import SettingError, check, setting
from envs.load_balancing.config import LoadBalancingConfig, Randomisation


@dataclass(frozen=True)
class PoolConfig:
    """Other servers than those that the pair was trained on, one entry each; a policy for any number takes more or fewer."""

    cores: list[int] = setting(default_factory=list, ge=1, le=1e6)
    """requests that each works on at once; [] takes those of the trained world, as below"""
    speed: list[float] = setting(default_factory=list, ge=0, le=1e6)
    """seconds of work that one core of each does in a second"""
    price_usd_per_h: list[float] = setting(default_factory=list, ge=0)
    """price of each, fully used"""
    memory_gb: list[float] = setting(default_factory=list, ge=0)
    """memory of each, which few pairs observe"""

    def __post_init__(self) -> None:
        check(self)

    def onto(self, world: LoadBalancingConfig) -> LoadBalancingConfig:
        """The world with these servers; nothing of it is drawn.

        Raises
        ------
        SettingError
            A list has another length than the others.
        """
        given = {one.name: getattr(self, one.name) for one in fields(self) if getattr(self, one.name)}
        if self.cores and len(self.cores) != world.pool.n_servers:
            given.setdefault("memory_gb", [0.0] * len(self.cores))
        try:
            pool = replace(world.pool, **given)
        except SettingError as error:
            raise error.under("pool") from None
        return replace(world, pool=pool, randomise=Randomisation())
