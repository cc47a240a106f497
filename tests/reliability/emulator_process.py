"""An emulator in a process of its own, and a way to call functions beside it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

from amp_exp_async.emulator import Emulator
from tests.polling import TIMEOUT

P = ParamSpec("P")
T = TypeVar("T")

_ROOT = Path(__file__).parents[2]


class EmulatorProcess:
    """An emulator that serves in a process of its own.

    It ends with the `with` block, and at the latest with the process of the test.

    Args:
        options: the arguments of `Emulator`, which must be picklable. The limits are off by default.

    Attributes:
        base_url, beta_base_url, api_key: as those of the emulator. A restart keeps them.
    """

    def __init__(self, **options: Any) -> None:
        self._options = {"per_second": None, "per_day": None, **options}
        self.base_url = self.beta_base_url = self.api_key = ""
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: Connection | None = None

    @property
    def pid(self) -> int:
        """The number of the process."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start the process and wait until it serves. After `kill`, the port is the same and the state is empty."""
        ours, theirs = Pipe()
        with theirs:
            command = [sys.executable, "-m", "tests.reliability.emulator_process", str(theirs.fileno())]
            self._process = subprocess.Popen(command, cwd=_ROOT, pass_fds=[theirs.fileno()])
        self._connection = ours
        ours.send(self._options)
        self.base_url, self.beta_base_url, self.api_key = self._receive()
        self._options["port"] = int(self.base_url.rpartition(":")[2])

    def run(self, function: Callable[Concatenate[Emulator, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a function of a module in the emulator's process, with the emulator as its first argument.

        The function is looked up by its name there, and what it takes and returns is pickled.
        """
        assert self._connection is not None
        self._connection.send((function, args, kwargs))
        return self._receive()

    def _receive(self) -> Any:
        assert self._connection is not None
        assert self._connection.poll(TIMEOUT), "the emulator's process does not answer"
        result = self._connection.recv()
        if isinstance(result, Exception):
            raise result
        return result

    def kill(self) -> None:
        """Kill the process. Its state is lost."""
        if self._process is not None:
            self._process.kill()
        self._end()

    def stop(self) -> None:
        """Let the requests in flight finish, and end the process."""
        self._end()

    def _end(self) -> None:
        if self._connection is not None:
            self._connection.close()
        if self._process is not None:
            self._process.wait(TIMEOUT)
        self._connection = self._process = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.kill()


def _serve(connection: Connection) -> None:
    """Serve until the other end of the connection is closed."""
    with Emulator(**connection.recv()) as emulator:
        connection.send((emulator.base_url, emulator.beta_base_url, emulator.api_key))
        while True:
            try:
                function, args, kwargs = connection.recv()
            except EOFError:
                return
            try:
                result = function(emulator, *args, **kwargs)
            except Exception as error:  # noqa: BLE001 - raised by `run`, in the test
                result = error
            connection.send(result)


if __name__ == "__main__":
    with Connection(int(sys.argv[1])) as control:
        _serve(control)
