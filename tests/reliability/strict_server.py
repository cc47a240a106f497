"""A service in a process of its own that rejects each request beyond a limit in any one second, for each key."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections import deque
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.request import urlopen

from attrs import define, field, frozen

_ROOT = Path(__file__).parents[2]
_FLAG = {"id": "1", "key": "x", "projectId": "7", "enabled": False, "deleted": False, "variants": []}


@frozen
class Report:
    """The requests with one key.

    Attributes:
        accepted, rejected: when requests arrived, in seconds of the monotonic clock.
    """

    accepted: list[float]
    rejected: list[float]


class StrictServer:
    """A service with a strict moving window of one second for each key. It ends with the `with` block.

    Attributes:
        base_url: where it serves any flag.
    """

    def __init__(self, per_second: int) -> None:
        self._per_second = per_second
        self._process: subprocess.Popen[str] | None = None
        self.base_url = ""

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "tests.reliability.strict_server", str(self._per_second)]
        self._process = subprocess.Popen(command, cwd=_ROOT, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.base_url = f"http://127.0.0.1:{int(self._process.stdout.readline())}"
        return self

    def __exit__(
        self, cls: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        self._process.kill()
        self._process.wait()
        self._process.stdout.close()

    def report(self, key: str) -> Report:
        """Return the requests with a key so far."""
        with urlopen(f"{self.base_url}/report/{key}") as response:
            return Report(**json.load(response))


@define
class _Window:
    per_second: int
    accepted: list[float] = field(factory=list[float])
    rejected: list[float] = field(factory=list[float])
    _recent: deque[float] = field(factory=deque[float])

    def accept(self, now: float) -> bool:
        """Count a request, and return whether there is room for it."""
        while self._recent and self._recent[0] <= now - 1.0:
            self._recent.popleft()
        if len(self._recent) >= self.per_second:
            self.rejected.append(now)
            return False
        self._recent.append(now)
        self.accepted.append(now)
        return True


@define
class _Service:
    per_second: int
    _windows: dict[str, _Window] = field(factory=dict[str, _Window])

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Respond to the requests of one connection, which have no body."""
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                now = time.monotonic()
                await asyncio.sleep(0.02)  # a round trip
                status, body = self._respond(head, now)
                fields = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
                writer.write(f"HTTP/1.1 {status}\r\n{fields}\r\n".encode() + body)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def _respond(self, head: str, now: float) -> tuple[str, bytes]:
        path = head.split()[1]
        if path.startswith("/report/"):
            window = self._window(path.removeprefix("/report/"))
            return "200 OK", json.dumps({"accepted": window.accepted, "rejected": window.rejected}).encode()
        key = next(line.split()[-1] for line in head.split("\r\n") if line.startswith("Authorization:"))
        if not self._window(key).accept(now):
            return "429 Too Many Requests", b"{}"
        return "200 OK", json.dumps(_FLAG).encode()

    def _window(self, key: str) -> _Window:
        return self._windows.setdefault(key, _Window(self.per_second))


async def _serve(per_second: int) -> None:
    server = await asyncio.start_server(_Service(per_second).serve, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)  # noqa: T201 - the protocol
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1])))
