"""Which backends are looked at, and in which worlds there are any."""

from __future__ import annotations

import pytest

from envs.core.validation import SettingError
from envs.haproxy.config import HAProxyConfig, backends_of
from envs.load_balancing.config import BalancersConfig, LoadBalancingConfig


def test_a_haproxy_is_no_team() -> None:
    config = LoadBalancingConfig(balancers=BalancersConfig(n=2))
    settings = HAProxyConfig(socket="/s", log="/l", backends=["a", "b"])
    with pytest.raises(SettingError, match=r"^balancers\.n must be 1 before a real HAProxy, got 2$"):
        backends_of(config, settings)
    assert backends_of(LoadBalancingConfig(), settings) == ["a", "b"]
