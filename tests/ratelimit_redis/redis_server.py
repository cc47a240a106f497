"""A real `redis-server` of the tests' own."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

from attrs import define, field
from redis import Redis
from redis.exceptions import RedisError

MISSING = (
    "these tests need redis-server on PATH: install the distribution's package (apt-get install redis-server), "
    "or set AMP_EXP_ASYNC_REDIS_URL to a Redis that they may use"
)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@define(eq=False)
class RedisServer:
    """It keeps nothing on disk, and may be killed and started again."""

    directory: Path
    password: str = ""
    port: int = field(factory=free_port)
    _process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it is."""
        user = f":{self.password}@" if self.password else ""
        return f"redis://{user}127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        binary = shutil.which("redis-server")
        if binary is None:
            raise RuntimeError(MISSING)
        options = {"port": self.port, "bind": "127.0.0.1", "save": "", "appendonly": "no", "dir": self.directory}
        if self.password:
            options["requirepass"] = self.password
        words = [str(word) for name, value in options.items() for word in (f"--{name}", value)]
        self._process = subprocess.Popen([binary, *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(500):
            try:
                with self.client() as client:
                    client.ping()
            except RedisError:
                time.sleep(0.01)
            else:
                return
        raise RuntimeError("redis-server did not start")

    def kill(self) -> None:
        """End it at once, with all that it knew."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def client(self) -> Redis:
        """A client of the test's own."""
        return Redis.from_url(self.url, socket_timeout=2)


def round_trips(client: Redis) -> int:
    """How many scripts were run since it was started or `CONFIG RESETSTAT`."""
    stats: Any = client.info("commandstats")
    return sum(stats.get(f"cmdstat_{name}", {}).get("calls", 0) for name in ("eval", "evalsha"))
