"""The process of all servers: told what to do by lines of JSON, it ends when whoever tells it is gone.

The first line has the servers, as :class:`runs.testbed.web_server.ServerSettings`; each answer is a line too.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Sequence
from typing import Any

from runs.testbed.open_files import allow_most
from runs.testbed.precise import run
from runs.testbed.web_server import ServerSettings, WebServer


async def _standard_input() -> asyncio.StreamReader:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    return reader


async def _do(servers: Sequence[WebServer], do: str, server: int = 0, factor: float = 1.0) -> Any:
    """The answer to a command; None for those that have none."""
    if do == "counts":
        return [one.counted() for one in servers]
    if do == "slow":
        servers[server].station.slow_down(factor)
    elif do == "stop":
        servers[server].stop()
    elif do == "start":
        await servers[server].start()
    return None


def _tell(answer: Any) -> None:
    print(json.dumps(answer), flush=True)


async def serve() -> None:
    """Serve until standard input ends."""
    told = await _standard_input()
    servers = [WebServer(ServerSettings(**one)) for one in json.loads(await told.readline())]
    for one in servers:
        await one.start()
    _tell([one.port for one in servers])
    while line := await told.readline():
        answer = await _do(servers, **json.loads(line))
        if answer is not None:
            _tell(answer)


if __name__ == "__main__":
    allow_most()
    run(serve)
