"""Every command is in one registry, has help and completion, and costs no torch before it runs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from jsonargparse import ArgumentParser

from runs.cli import EVERY_OPTION, main
from runs.commands import COMMANDS

ROOT = Path(__file__).resolve().parents[3]
HEAVY = ("torch", "mlflow", "stable_baselines3", "matplotlib", "scipy", "prometheus_client", "textual", "minari", "d3rlpy")


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout


def test_a_command_has_the_name_that_it_is_entered_under() -> None:
    for name, command in COMMANDS.items():
        assert (ROOT / "runs" / "commands" / f"{name.replace('-', '_')}.py").is_file()
        assert command.name == name
        assert command.help
        assert "\n" not in command.help


@pytest.mark.parametrize("arguments", [["--help"], *([name, "--help"] for name in COMMANDS)], ids=" ".join)
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import sys\n"
        "from runs.cli import main\n"
        f"try: main({arguments!r})\n"
        "except SystemExit: pass\n"
        f"print('heavy:', [name for name in {HEAVY!r} if name in sys.modules])\n"
    )
    assert run(code).rstrip().endswith("heavy: []")


@pytest.mark.parametrize("name", COMMANDS)
def test_help_says_what_every_option_means(name: str) -> None:
    """Those that a config inherits, too."""
    parser = ArgumentParser(exit_on_error=False)
    COMMANDS[name].add_options(parser, EVERY_OPTION)
    said = {action.dest: action.help or "" for action in parser._actions}
    assert [option for option, text in said.items() if not text or text.startswith(";")] == []


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_a_shell_completes_commands_and_options(shell: str) -> None:
    pytest.importorskip("shtab")
    script = run(f"from runs.cli import main; main(['--print_completion', 'shtab-{shell}'])")
    for word in (*COMMANDS, "--env.pool.boot_s", "--env.family", "spark", "--rounds"):
        assert word in script


def test_the_settings_can_be_described_to_an_editor() -> None:
    assert '"boot_s"' in run("from runs.cli import main; main(['--print_completion', 'jsonschema'])")


def test_settings_that_are_printed_are_settings_to_start_from(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    printed = []
    first = ["--preset", "quick", "--upper", "sac", "--env.dt_s", "0.5"]
    for arguments in (first, ["--config", str(tmp_path / "printed.yaml")]):
        assert main(["train", *arguments, "--print_config"]) == 0
        printed.append(capsys.readouterr().out)
        (tmp_path / "printed.yaml").write_text(printed[0], encoding="utf-8")
    assert printed[0] == printed[1]
    assert printed[0].startswith("preset: quick\n")
    assert "algorithm: sac" in printed[0]
