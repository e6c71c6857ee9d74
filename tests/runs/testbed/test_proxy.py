"""HAProxy takes the configuration that is written for it, and what it does not take is an error of one line."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest

from envs.core.validation import SettingError
from envs.haproxy.leaving import is_running
from envs.haproxy.log import LOG_FORMAT
from runs.testbed import proxy
from runs.testbed.errors import BedError
from runs.testbed.proxy import SOCKET, Balance, HAProxy, ProxyConfig, configuration
from tests.envs.haproxy.processes import installed_haproxy


@pytest.fixture
def folder() -> Iterator[Path]:
    """Of a short name: sockets are in it."""
    made = Path(tempfile.mkdtemp(prefix="hap", dir="/tmp"))
    yield made
    shutil.rmtree(made)


def text(folder: Path, config: ProxyConfig) -> str:
    return configuration(
        config,
        socket=folder / SOCKET,
        log=folder / "log.sock",
        connections=100,
        frontends={"interactive": (12_001, "web_interactive"), "batch": (12_002, "web_batch")},
        servers={"s1": 12_003, "s2": 12_004},
    )


@pytest.mark.parametrize("balance", get_args(Balance))
def test_haproxy_has_nothing_to_say_of_the_configuration(folder: Path, balance: Any) -> None:
    (folder / "cfg").write_text(text(folder, ProxyConfig(balance, weights=[0, 256])))
    ran = subprocess.run([installed_haproxy(), "-c", "-f", folder / "cfg"], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert "WARNING" not in ran.stdout + ran.stderr


def test_a_class_has_a_frontend_and_a_backend_of_all_servers(folder: Path) -> None:
    lines = [line.strip() for line in text(folder, ProxyConfig("random(2)", weights=[3, 4])).splitlines()]
    assert [line for line in lines if line.startswith(("frontend", "backend"))] == [
        "frontend interactive",
        "frontend batch",
        "backend web_interactive",
        "backend web_batch",
    ]
    assert lines.count("server s1 127.0.0.1:12003 weight 3 check") == 2
    assert lines.count("server s2 127.0.0.1:12004 weight 4 check") == 2
    assert lines.count("balance random(2)") == 2
    assert f'log-format "{LOG_FORMAT}"' in lines


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"balance": "source"}, r"balance must be one of leastconn, roundrobin, random\(1\), random\(2\), static-rr"),
        ({"weights": [257, 0]}, "weights must be >= 0 and <= 256, got 257"),
        ({"weights": [-1, 0]}, "weights must be >= 0"),
        ({"prefix": "web backend"}, "prefix must be letters, digits"),
        ({"prefix": "web\nbackend"}, "prefix must be letters, digits"),
        ({"check_ms": 0}, "check_ms must be >= 10"),
        ({"fall": 0}, "fall must be >= 1"),
        ({"rise": 0}, "rise must be >= 1"),
    ],
)
def test_settings_that_are_not_allowed_are_refused(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingError, match=said):
        ProxyConfig(**fields)


def test_there_is_one_weight_per_server(folder: Path) -> None:
    with pytest.raises(SettingError, match=r"weights must be \[\] or one entry per server \(2\), got \[1\]"):
        text(folder, ProxyConfig(weights=[1]))


def test_a_configuration_that_haproxy_refuses_is_an_error_of_one_line(folder: Path) -> None:
    installed_haproxy()
    refused = HAProxy(folder, "nonsense\n")
    with pytest.raises(BedError, match=r"HAProxy has ended with 1: .*unknown keyword 'nonsense'") as raised, refused:
        pass
    assert "\n" not in str(raised.value)
    assert refused.process is None


def test_haproxy_that_is_not_installed_is_an_error_of_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proxy.shutil, "which", lambda *_, **__: None)
    with pytest.raises(SettingError, match="haproxy must be installed"):
        proxy.find_haproxy()


def test_a_process_is_killed_and_started_again_on_its_ports(folder: Path) -> None:
    installed_haproxy()
    with HAProxy(folder, text(folder, ProxyConfig())) as running:
        pids = []
        for _ in range(3):
            assert running.process is not None
            pids.append(running.process.pid)
            running.start()  # nothing: it runs
            assert running.process.pid == pids[-1]
            running.kill()
            running.kill()  # nothing: it is dead
            assert not running.answers()
            running.launch()
            running.start()
            assert running.answers()
        assert running.process is not None
        pids.append(running.process.pid)
    assert len(set(pids)) == 4
    assert not any(map(is_running, pids))
