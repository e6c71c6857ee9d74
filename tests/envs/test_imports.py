"""To import the face costs no compiler and no library for pictures, and it has the names that users need."""

from __future__ import annotations

import subprocess
import sys

import pytest

import envs

HEAVY = ("numba", "llvmlite", "matplotlib", "scipy", "torch", "mlflow", "pettingzoo")


def loaded_by(code: str) -> set[str]:
    """The heavy libraries that some code loads in a fresh interpreter."""
    said = f"{code}; import sys; print(*(name for name in {HEAVY!r} if name in sys.modules))"
    ran = subprocess.run([sys.executable, "-c", said], check=True, capture_output=True, text=True)
    return set(ran.stdout.split())


@pytest.mark.parametrize(
    "code", ["import envs", "from envs import make, reward_term, describe, LoadBalancingConfig", "from envs import games"]
)
def test_to_import_the_face_loads_nothing_heavy(code: str) -> None:
    assert not loaded_by(code)


def test_an_env_that_is_not_rendered_loads_no_library_for_pictures() -> None:
    code = "import gymnasium, envs; gymnasium.make('metabalance/Spark-v0', render_mode='ansi').reset()"
    assert not loaded_by(code) & {"matplotlib", "torch", "mlflow"}


@pytest.mark.parametrize("name", envs.__all__)
def test_every_name_of_the_face_is_there(name: str) -> None:
    assert getattr(envs, name) is not None


def test_a_name_that_is_not_there_is_refused_as_python_does_it() -> None:
    with pytest.raises(AttributeError, match="module 'envs' has no attribute 'Nothing'"):
        envs.Nothing  # noqa: B018
