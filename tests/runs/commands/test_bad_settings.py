"""What is wrong on the command line is told in one line that names field and value, before anything is written."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from runs.commands import COMMANDS

SETTINGS: dict[str, tuple[list[str], list[str]]] = {
    "unknown_key": (["--nope", "1"], ["nope"]),
    "unknown_nested_key": (["--env.pool.nope", "1"], ["env.pool.nope"]),
    "negative_rate": (["--env.workload.rate_hz", "-5"], ["workload.rate_hz", "> 0", "-5"]),
    "no_servers": (["--env.pool.cores", "[]"], ["pool.cores", "a list of at least 1", "[]"]),
    "no_capacity": (["--env.pool.speed", "[0,0,0,0]"], ["pool.speed", "> 0", "[0.0, 0.0, 0.0, 0.0]"]),
    "too_few_fixed_weights": (["--ablation.fixed", "[0.5,0.5]"], ["ablation.fixed", "3 weights", "[0.5, 0.5]"]),
    "negative_fixed_weight": (["--ablation.fixed", "[0.5,-0.5,1]"], ["ablation.fixed", ">= 0", "-0.5"]),
    "no_fixed_weight": (["--ablation.fixed", "[0,0,0]"], ["ablation.fixed", "> 0", "[0.0, 0.0, 0.0]"]),
    "too_few_prices": (["--env.pool.price_usd_per_h", "[0.1]"], ["pool.price_usd_per_h", "(4)", "[0.1]"]),
    "unknown_preset": (["--preset", "nope"], ["preset", "quick", "nope"]),
    "preset_without_a_name": (["--preset"], ["preset"]),
    "not_a_number": (["--lower.timesteps", "abc"], ["lower.timesteps", "int", "abc"]),
    "not_finite": (["--env.dt_s", ".nan"], ["dt_s", "> 0", "nan"]),
    "unknown_word": (["--env.objective", "fame"], ["env.objective", "profit", "fame"]),
    "unknown_choice": (["--env.pool.service", "lifo"], ["pool.service", "fcfs", "lifo"]),
    "large_minibatch": (["--lower.batch_size", "99999"], ["lower.batch_size", "99999"]),
    "trace_without_a_path": (["--env.workload.arrivals", "trace"], ["workload.arrivals.path", "None"]),
    "missing_settings_file": (["--config", "nope.yaml"], ["config", "nope.yaml"]),
    "value_without_a_key": (["stray"], ["stray"]),
    "key_without_a_value": (["--env.dt_s"], ["env.dt_s"]),
    "negative_seed": (["--seed", "-1"], ["seed", ">= 0", "-1"]),
    "unknown_family": (["--env.family", "nope"], ["env.family", "spark", "nope"]),
    "setting_of_another_family": (["--env.family", "spark", "--env.pool.cores", "[4]"], ["env.pool.cores"]),
    "unknown_form": (["--env.family", "spark", "--env.form", "nope"], ["env.form", "extended", "nope"]),
    "no_change_at_all": (["--env.family", "spark", "--env.max_change", "0"], ["env.max_change", ">= 1", "0"]),
    "objective_of_another_world": (
        ["--env.family", "spark", "--env.objective", "profit"],
        ["env.objective", "satisfaction", "profit"],
    ),
    "constants_without_end": (
        ["--env.actions.mode", "weights", "--ablation.constants", "true"],
        ["ablation.constants", "Box"],
    ),
    "factory_that_is_none": (["--env.factory", "nope"], ["env.factory", "MODULE:FUNCTION", "nope"]),
    "factory_that_is_not_there": (["--env.factory", "nope:make"], ["env.factory", "imported", "nope:make"]),
    "no_factory": (["--env.family", "composed"], ["env.factory", "MODULE:FUNCTION", "''"]),
    "range_upside_down": (["--env.randomise.speed", "[2,1]"], ["randomise.speed", "low <= high", "[2.0, 1.0]"]),
    "more_servers_than_there_are": (["--env.randomise.n_servers", "[1,9]"], ["randomise.n_servers", "4", "[1, 9]"]),
    "no_history": (["--lower.history", "0"], ["lower.history", "> 0", "0"]),
    "reward_clipped_to_nothing": (["--lower.clip_reward", "0"], ["lower.clip_reward", "> 0", "0"]),
    "unknown_policy": (["--lower.policy", "nope"], ["lower.policy", "equivariant", "nope"]),
    "normalised_parts": (
        ["--lower.policy", "equivariant", "--lower.normalise_observations", "true"],
        ["lower.policy", "joint", "equivariant"],
    ),
    "deep_unknown_key": (["--env.workload.regimes.nope.more", "1"], ["env.workload.regimes.nope.more", "loads"]),
    "list_for_a_config": (["--lower", "[1,2]"], ["lower must be a mapping of settings", "[1,2]"]),
    "word_for_a_config": (["--env.pool", "small"], ["env.pool must be a mapping of settings", "small"]),
    "unknown_family_by_name_alone": (["--env", "nope"], ["env.family", "spark", "nope"]),
    "config_below_a_setting": (["--env.dt_s.nope", "1"], ["env.dt_s must be a number", "nope"]),
    "list_for_a_number": (["--lower.gamma", "[1]"], ["lower.gamma must be a number", "[1]"]),
    "nothing_for_a_number": (["--lower.gamma", "null"], ["lower.gamma must be a number", "null"]),
    "empty_word_for_a_number": (["--lower.gamma="], ["lower.gamma must be a number"]),
    "fraction_for_a_count": (["--lower.n_envs", "1.5"], ["lower.n_envs must be an integer", "1.5"]),
    "number_for_a_switch": (["--ablation.flat", "2"], ["ablation.flat must be true or false", "2"]),
    "words_in_a_list": (["--env.pool.cores", "[a,b]"], ["env.pool.cores must be a list of integers", "[a,b]"]),
    "mapping_for_a_list": (["--env.pool.cores", "{a: 1}"], ["env.pool.cores must be a list of integers", "{'a': 1}"]),
    "wrong_value_in_a_whole_config": (["--env.pool", "{boot_s: -1}"], ["env.pool", "boot_s must be >= 0", "-1"]),
    "unknown_key_in_a_whole_config": (["--env.pool", "{nope: -1}"], ["env.pool.nope", "boot_s", "-1"]),
    "negative_deep_value": (["--env.workload.interactive.value_usd", "-1"], ["value_usd must be >= 0", "-1"]),
    "infinite": (["--lower.learning_rate", ".inf"], ["learning_rate must be > 0", "inf"]),
    "share_above_one": (["--env.telemetry.loss", "1.5"], ["telemetry.loss must be >= 0 and < 1", "1.5"]),
    "negative_threads": (["--threads", "-1"], ["threads must be > 0", "-1"]),
    "factory_that_takes_nothing": (["--env.factory", "os:getcwd"], ["env.factory", "env ids, seed and role", "os:getcwd"]),
    "factory_of_something_else": (["--env.factory", "operator:itemgetter"], ["env.factory", "World", "itemgetter"]),
    "factory_and_another_family": (
        ["--env.family", "spark", "--env.factory", "a:b"],
        ["env.factory must be a setting of env", "max_change", "a:b"],
    ),
    "factory_and_another_family_by_name": (
        ["--env", "spark", "--env.factory", "a:b"],
        ["env.factory must be a setting of env"],
    ),
    "config_without_a_file": (["--config"], ["config"]),
    "folder_for_a_settings_file": (["--config", "."], ["config must be a file that can be read"]),
    "parts_in_a_world_without": (
        ["--env.family", "spark", "--lower.policy", "equivariant"],
        ["lower.policy", "joint"],
    ),
}


@pytest.mark.parametrize("command", ["train", "train-lower"])
@pytest.mark.parametrize(("arguments", "words"), SETTINGS.values(), ids=SETTINGS)
def test_a_wrong_setting_is_refused(
    refused: Callable[..., str], tmp_path: Path, command: str, arguments: list[str], words: list[str]
) -> None:
    line = refused(command, "--out", tmp_path / "out", *arguments)
    assert [word for word in words if word not in line] == [], line
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("n_seeds", [0, -2])
def test_a_study_has_at_least_one_training_seed(refused: Callable[..., str], tmp_path: Path, n_seeds: int) -> None:
    assert refused("ablate", "--out", tmp_path / "out", "--seeds", n_seeds) == f"seeds must be >= 1, got {n_seeds}"


def test_only_an_ablation_takes_several_training_seeds(refused: Callable[..., str], tmp_path: Path) -> None:
    assert "seeds" in refused("train", "--out", tmp_path / "out", "--seeds", 2)


FILES: dict[str, tuple[str, list[str]]] = {
    "unknown_key": ("nope: 1\n", ["nope must be a setting of the experiment", "1"]),
    "unknown_nested_key": ("env:\n  pool:\n    coers: [1, 2]\n", ["env.pool.coers", "cores", "[1, 2]"]),
    "negative_rate": ("env:\n  workload:\n    rate_hz: -5\n", ["workload.rate_hz must be > 0", "-5"]),
    "not_a_number": ("lower:\n  timesteps: many\n", ["lower.timesteps must be an integer", "many"]),
    "not_yaml": ("env: [1\n", ["config must be YAML or JSON", "settings.yaml", "line 2"]),
    "tab": ("env:\n\tseed: 1\n", ["config must be YAML or JSON", "settings.yaml", "line 2"]),
    "list_for_a_config": ("lower: [1,2]\n", ["lower must be a mapping of settings", "[1, 2]"]),
    "number_for_a_config": ("env:\n  pool: 3\n", ["env.pool must be a mapping of settings", "3"]),
    "nothing_for_a_config": ("env:\n", ["env must be a mapping of settings", "None"]),
    "list_of_settings": ("- seed: 1\n", ["config must be a mapping of settings", "settings.yaml", "seed"]),
    "only_a_word": ("quick\n", ["config must be a mapping of settings", "settings.yaml", "quick"]),
    "unknown_family": ("env:\n  family: nope\n", ["env.family must be one of", "spark", "nope"]),
    "family_that_is_a_list": ("env:\n  family: [spark]\n", ["env.family must be one of", "['spark']"]),
    "setting_of_another_family": ("env:\n  family: spark\n  pool: {cores: [1]}\n", ["env.pool.cores", "max_change"]),
    "nothing_for_a_number": ("lower:\n  gamma: null\n", ["lower.gamma must be a number", "null"]),
    "text_for_a_switch": ("ablation:\n  flat: perhaps\n", ["ablation.flat must be true or false", "perhaps"]),
    "mapping_for_a_list": ("env:\n  pool:\n    cores: {a: 1}\n", ["env.pool.cores must be a list of integers"]),
    "key_that_is_a_number": ("1: 2\n", ["1 must be a setting of the experiment"]),
    "option_of_the_command": ("out: elsewhere\n", ["out must be a setting of the experiment", "elsewhere"]),
}


@pytest.mark.parametrize(("text", "words"), FILES.values(), ids=FILES)
def test_a_wrong_settings_file_is_refused(refused: Callable[..., str], tmp_path: Path, text: str, words: list[str]) -> None:
    settings = tmp_path / "settings.yaml"
    settings.write_text(text, encoding="utf-8")
    line = refused("train", "--out", tmp_path / "out", "--config", settings)
    assert [word for word in words if word not in line] == [], line
    assert not (tmp_path / "out").exists()


def test_a_settings_file_that_is_no_text_is_refused(refused: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "settings.yaml").write_bytes(b"\xff\xfe\x00")
    assert "config must be YAML or JSON" in refused("train", "--config", tmp_path / "settings.yaml")


def test_json_that_is_broken_is_refused_by_its_line(refused: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "settings.json").write_text('{\n"seed": 1,\n}')
    line = refused("train", "--config", tmp_path / "settings.json")
    assert "config must be YAML or JSON" in line
    assert "line 3" in line


COMMAND_LINES: dict[str, tuple[list[str], list[str]]] = {
    "report_without_a_folder": (["report"], ["folder"]),
    "report_on_nothing": (["report", "nowhere"], ["folder must hold results.json", "nowhere"]),
    "report_with_more": (["report", "a", "b"], ["b"]),
    "evaluate_without_a_folder": (["evaluate"], ["evaluate must be given the folder"]),
    "evaluate_nothing": (["evaluate", "nowhere"], ["folder must hold config.json", "nowhere"]),
    "study_without_a_name": (["study"], ["study must be given a name", "front"]),
    "unknown_study": (["study", "nope", "x"], ["name must be one of", "front", "nope"]),
    "study_without_a_folder": (["study", "front"], ["study must be given a folder"]),
    "study_of_nothing": (["study", "front", "nowhere"], ["folder must hold config.json", "nowhere"]),
    "study_of_no_seeds": (["study", "transfer", "x", "--seeds", "0"], ["seeds must be >= 1", "0"]),
    "study_without_a_trace": (["study", "transfer", "x", "--trace", "no.csv"], ["trace must be left out", "no.csv"]),
    "study_by_nobody": (["study", "transfer", "x", "--executor", "nope"], ["executor must be one of", "processes", "nope"]),
    "unknown_benchmark": (["bench", "nope"], ["name must be one of", "serve", "nope"]),
    "benchmark_without_a_name": (["bench"], ["name"]),
    "no_rounds": (["bench", "serve", "--rounds", "0"], ["rounds must be >= 1", "0"]),
    "rounds_that_are_none": (["bench", "serve", "--rounds", "many"], ["rounds must be an integer", "many"]),
    "nothing_of_a_benchmark": (["bench", "serve", "--scale", "0"], ["scale must be > 0", "0"]),
    "unknown_option_of_all": (["--nope"], ["--nope"]),
    "several_seeds_that_are_none": (["ablate", "--seeds", "many"], ["seeds must be an integer or null", "many"]),
    "completions_of_no_shell": (["--print_completion", "nope"], ["--print_completion", "nope"]),
}


@pytest.mark.parametrize(("arguments", "words"), COMMAND_LINES.values(), ids=COMMAND_LINES)
def test_a_wrong_command_line_is_refused(refused: Callable[..., str], arguments: list[str], words: list[str]) -> None:
    line = refused(*arguments)
    assert [word for word in words if word not in line] == [], line


def test_an_unknown_command_is_refused(refused: Callable[..., str]) -> None:
    line = refused("trian")
    assert "trian" in line
    assert all(command in line for command in COMMANDS)


# As a process.


@pytest.mark.parametrize(
    "arguments", [("train", "--env.workload.rate_hz", "-5"), ("nope",), ("train-upper",)], ids=["value", "command", "phase"]
)
def test_the_process_tells_in_one_line_and_exits_with_2(
    command: Callable[..., subprocess.Popen[str]], tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    out = ("--out", tmp_path / "out") if arguments[0].startswith("train") else ()
    process = command(*arguments, *out)
    printed, error = process.communicate()
    assert (process.returncode, printed) == (2, "")
    assert error.startswith("metabalance: ")
    assert error.count("\n") == 1
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
