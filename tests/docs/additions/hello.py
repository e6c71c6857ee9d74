"""`metabalance hello`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from jsonargparse import ArgumentParser, Namespace


@dataclass(frozen=True)
class Hello:
    """A greeting."""

    name: str = "hello"
    help: str = "say hello"

    def add_options(self, parser: ArgumentParser, arguments: Sequence[str]) -> Sequence[str]:
        parser.add_argument("--whom", default="world", help="who is greeted")
        return arguments

    def run(self, parsed: Namespace) -> int:
        print(f"hello, {parsed.whom}")
        return 0


HELLO = Hello()
