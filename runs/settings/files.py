"""Files of settings: the only place that reads them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from runs.settings.usage import UsageError

PRESETS = Path(__file__).parents[1] / "presets"
DEFAULT_PRESET = "default"
SUFFIXES = (".yaml", ".yml", ".json")
PRESET_KEY = "preset"
"""What a saved file has beside the settings: the name of the preset that they started from."""


BASE_KEY = "base"
"""What a file may have beside the settings: the name of the preset that they are laid over."""


def preset_names() -> list[str]:
    """The presets there are."""
    return sorted(path.stem for path in PRESETS.glob("*.yaml"))


def preset_file(name: str) -> Path:
    """The file of a preset.

    Raises
    ------
    UsageError
        There is none of that name.
    """
    if name not in preset_names():
        raise UsageError(f"preset must be one of {', '.join(preset_names())}, got {name}")
    return PRESETS / f"{name}.yaml"


def layers_of(path: Path) -> list[dict[str, Any]]:
    """What a file holds, and below it what the preset does that it names as its base, and so on; the lowest first.

    Raises
    ------
    UsageError
        See :func:`read` and :func:`preset_file`.
    """
    values = read(path)
    base = values.pop(BASE_KEY, None)
    return [values] if base is None else [*layers_of(preset_file(base)), values]


def read_named(word: str, field: str) -> dict[str, Any] | None:
    """What a file of settings holds, if a word is the name of one; ``field`` is what it is read for."""
    path = Path(word)
    return read(path, field) if path.suffix in SUFFIXES else None


def read(path: Path, field: str = "config") -> dict[str, Any]:
    """The nested mapping that a YAML or JSON file holds; an empty file holds none.

    Raises
    ------
    UsageError
        The file can't be read, isn't YAML or JSON, or holds something else.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{field} must be a file that can be read, got {path} ({error.strerror})") from None
    except UnicodeDecodeError:
        raise UsageError(f"{field} must be YAML or JSON, got {path} (not text)") from None
    try:
        values = json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
    except json.JSONDecodeError as error:
        raise UsageError(f"{field} must be YAML or JSON, got {path} (line {error.lineno}: {error.msg})") from None
    except RecursionError:
        raise UsageError(f"{field} must be YAML or JSON, got {path} (nested too deeply)") from None
    except yaml.YAMLError as error:
        raise UsageError(f"{field} must be YAML or JSON, got {path} ({_problem(error)})") from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise UsageError(f"{field} must be a mapping of settings, got {path} with {_short(values)}")
    return values


def _problem(error: yaml.YAMLError) -> str:
    """Where a file stops being YAML."""
    mark = getattr(error, "problem_mark", None)
    where = "" if mark is None else f"line {mark.line + 1}: "
    return where + " ".join(str(getattr(error, "problem", None) or error).split())


def _short(value: object, width: int = 60) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= width else f"{text[:width]}..."
