"""The pages of the documentation, and what stands in their fenced blocks."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES: dict[str, Path] = {
    str(path.relative_to(ROOT)): path for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
}
"""Every page by its path."""
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"^# (\w+\.py)\n")
"""First line of a block that is a file to write."""


def text(page: str) -> str:
    return PAGES[page].read_text(encoding="utf-8")


def blocks(page: str, language: str) -> list[str]:
    """The fenced blocks of a language."""
    return [body for name, body in BLOCK.findall(text(page)) if name == language]


def files(page: str) -> list[tuple[str, str]]:
    """The files that a reader is asked to write, by name."""
    return [(named[1], body) for body in blocks(page, "python") if (named := FILE.match(body))]


def commands(page: str) -> list[list[str]]:
    """The words of every line of its shell blocks, comments left out."""
    lines = "\n".join(blocks(page, "sh")).replace("\\\n", " ").splitlines()
    return [words for line in lines if (words := shlex.split(line, comments=True))]


def rows(page: str, heading: str) -> list[list[str]]:
    """The cells of the table whose first heading is this one."""
    table = re.search(rf"^\| {heading} \|.*\n\|[-:| ]+\n((?:\|.*\n)+)", text(page), re.MULTILINE)
    assert table is not None, f"{page} must have a table that begins with {heading!r}"
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table[1].splitlines()]
