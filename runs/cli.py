"""The command line `metabalance`.

Exit status: 0 done, 2 bad usage or configuration (one line: field, what is allowed, value), 130 interrupted, 1
anything else.
"""

from __future__ import annotations

import argparse
import errno
import sys
from collections.abc import Sequence

from jsonargparse import ArgumentParser, Namespace

from envs.core.finite import NonFiniteError
from envs.core.validation import SettingError, one_line
from hierarchy.stopping import INTERRUPTED, STOPPING
from runs.commands import COMMANDS, Command
from runs.commands.registered import fetching
from runs.settings.usage import UsageError

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)
"""Why a file can't be written that could be a moment before: nothing that a trace of calls explains."""
EVERY_OPTION = ["--help"]
"""Arguments under which every command has the options that it has by default."""


def _parser(command: str | None, arguments: Sequence[str]) -> tuple[ArgumentParser, Sequence[str]]:
    """The parser of all commands, and what it is to read. Only the command that is given has its options."""
    parser = ArgumentParser(prog="metabalance", exit_on_error=False, description="Hierarchical learning for load balancing.")
    commands = parser.add_subcommands(dest="command", metavar="COMMAND", title="commands")
    left: Sequence[str] = []
    for name, one in COMMANDS.items():
        inner = ArgumentParser(exit_on_error=False, description=one.help)
        if name == command:
            left = [name, *one.add_options(inner, arguments)]
        elif command is None and "--print_completion" in "".join(arguments):
            one.add_options(inner, EVERY_OPTION)
        commands.add_subcommand(name, inner, help=one.help)
    return parser, left if command else arguments


def parse(arguments: Sequence[str]) -> tuple[Command, Namespace]:
    """The command that is given, and its options.

    Raises
    ------
    UsageError, SettingError, argparse.ArgumentError
        What is given is not allowed.
    SystemExit
        Help or a script of completions was asked for, and printed.
    """
    first = arguments[0] if arguments else "--help"
    if first not in COMMANDS and not first.startswith("-"):
        raise UsageError(f"command must be one of {', '.join(COMMANDS)}, got {first}")
    command = first if first in COMMANDS else None
    parser, left = _parser(command, arguments[1:] if command else arguments or ["--help"])
    parsed = parser.parse_args(left)
    return COMMANDS[first], parsed[first]


def main(arguments: list[str] | None = None) -> int:
    """Run a command; returns the exit status."""
    if arguments is None:
        STOPPING.listen()
    try:
        with fetching(sys.argv[1:] if arguments is None else arguments) as given:
            command, parsed = parse(given)
            return command.run(parsed)
    except (UsageError, SettingError, argparse.ArgumentError) as error:
        print(f"metabalance: {one_line(error)}", file=sys.stderr)
        return 2
    except NonFiniteError as error:
        print(f"metabalance: {one_line(error)}", file=sys.stderr)
        return 1
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        print(f"metabalance: {error.filename} can't be written ({error.strerror})", file=sys.stderr)
        return 1
    except KeyboardInterrupt as interrupt:
        print("; ".join(["metabalance: interrupted", *map(str, interrupt.args)]), file=sys.stderr)
        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
