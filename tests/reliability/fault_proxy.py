"""A proxy between a client and the emulator, which makes requests meet a fault."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self

from attrs import define, field

from tests.polling import TIMEOUT
from tests.reliability.emulator_process import EmulatorProcess
from tests.reliability.raw_server import RawConnection, RawRequest, RawServer
from tests.reliability.wire_faults import Answer, WireFault

WARM_UP = "/warm-up"


@define(eq=False)
class Plan:
    """What the proxy does with the next requests.

    Attributes:
        fault: what a request meets; None for nothing.
        always: whether every request meets it, or the first one only.
        idle: what happens to a connection after each answer on it, if it is to happen; the first time after a warm-up.
        requests: the requests that have arrived, without those that warm a connection up.
        warm_ups: how many of those have arrived.
        is_idle: set once the connection of the warm-up has met `idle`.
    """

    fault: WireFault | None = None
    always: bool = False
    idle: Callable[[RawConnection], Awaitable[None]] | None = None
    requests: list[RawRequest] = field(factory=list[RawRequest])
    warm_ups: int = 0
    is_idle: threading.Event = field(factory=threading.Event)


class FaultProxy:
    """A server that passes requests on to the emulator in its process, and answers as the plan says.

    Attributes:
        plan: what it does with the next requests. A new plan starts with an empty log.
    """

    def __init__(self, emulator: EmulatorProcess) -> None:
        self.plan = Plan()
        self._emulator = emulator
        self._server = RawServer(self._serve)

    @property
    def url(self) -> str:
        """The URL of the proxy."""
        return self._server.url

    def __enter__(self) -> Self:
        self._server.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.__exit__(kind, error, traceback)

    async def _serve(self, connection: RawConnection) -> None:
        plan = self.plan
        while (request := await connection.read_request()) is not None:
            if request.target.endswith(WARM_UP):
                plan.warm_ups += 1
                await connection.send(Answer("200 OK", "application/json", b"{}").encode())
            else:
                plan.requests.append(request)
                await self._answer(plan, connection, request)
            if plan.idle is not None:
                # The client must have read the answer, or what follows would be a part of it.
                await asyncio.sleep(0.02)
                await plan.idle(connection)
                plan.is_idle.set()

    async def _answer(self, plan: Plan, connection: RawConnection, request: RawRequest) -> None:
        fault = plan.fault if plan.always or len(plan.requests) == 1 else None
        if fault is None:
            await connection.send((await self._forward(request)).encode())
            return
        answer = Answer("200 OK", "application/json", b"{}")
        if fault.applied:
            answer = await self._forward(request)
        await fault.send(connection, answer)

    async def _forward(self, request: RawRequest) -> Answer:
        """Pass a request on over a connection of its own, with the emulator's key, and return the answer."""
        kept = [
            line for line in request.head.split(b"\r\n") if not line.lower().startswith((b"authorization", b"conn"))
        ]
        added = [f"Authorization: Bearer {self._emulator.api_key}".encode(), b"Connection: close"]
        head = b"\r\n".join([kept[0], *added, *kept[1:]])
        async with asyncio.timeout(TIMEOUT):
            reader, writer = await asyncio.open_connection("127.0.0.1", int(self._emulator.base_url.rpartition(":")[2]))
            writer.write(head + request.body)
            answered, _, body = (await reader.read()).partition(b"\r\n\r\n")
            writer.close()
        line, *fields = answered.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (field.partition(":") for field in fields)}
        return Answer(line.split(" ", 1)[1], headers["content-type"], body)
