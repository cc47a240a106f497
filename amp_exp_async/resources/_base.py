"""What every section of the API shares: a transport, and the shapes of its requests."""

from __future__ import annotations

from collections.abc import Coroutine, Mapping
from typing import Any, Generic, TypeVar

from attrs import frozen

from amp_exp_async import checks, wire
from amp_exp_async.models import UNSET, Created, Experiment, Flag, Model, Page, Toggle, Version
from amp_exp_async.paging import Pager, single
from amp_exp_async.transport import Repeat, Reply, Request, Transport, beyond_settling, path_of

M = TypeVar("M", bound=Model)
ToggleT_co = TypeVar("ToggleT_co", bound=Toggle, covariant=True)


@frozen
class Kind(Generic[ToggleT_co]):
    """Flags or experiments: the same operations under another word of the path.

    Attributes:
        name: the word of the path, which is also the name of the list.
        model: what one of them is.
        version: what a version of one of them is.
    """

    name: str
    model: type[ToggleT_co]
    version: type[Version[ToggleT_co]]


FLAGS = Kind("flags", Flag, Version[Flag])
EXPERIMENTS = Kind("experiments", Experiment, Version[Experiment])


def created_by(reply: Reply) -> Created:
    """What a reply to a creation says was created."""
    return reply.read(lambda body: wire.one(Created, body))


def acknowledged(reply: Reply) -> None:
    """Make sure that it is the service that says OK."""
    reply.read(wire.acknowledged)


class Resource:
    """A section of the API."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    @property
    def transport(self) -> Transport:
        """What it sends its requests with."""
        return self._transport

    async def _get(self, model: type[M], path: str) -> M:
        reply = await self._transport.send(Request("GET", path))
        return reply.read(lambda body: wire.one(model, body))

    def _send(
        self, method: str, path: str, fields: Mapping[str, Any] | None = None, repeat: Repeat = Repeat.HARMLESS
    ) -> Coroutine[Any, Any, None]:
        body = None if fields is None else wire.encode(fields)
        request = Request(method, path, body=body, repeat=repeat)
        return self._transport.send_settled(request, acknowledged, beyond_settling)

    def _array(self, model: type[M], path: str) -> Pager[M]:
        async def fetch() -> list[M]:
            reply = await self._transport.send(Request("GET", path))
            return await reply.read_array(model)

        return single(fetch, self._transport.connection.spawn)

    def _identifiers(self, path: str) -> Pager[str]:
        async def fetch() -> list[str]:
            return (await self._transport.send(Request("GET", path))).read(wire.identifiers)

        return single(fetch, self._transport.connection.spawn)

    def _paged(self, model: type[M], name: str, path: str, query: Mapping[str, Any], cursor: object) -> Pager[M]:
        start = checks.cursor("cursor", cursor)

        async def fetch(cursor: str | None) -> Page[M]:
            fields = {**query, "cursor": UNSET if cursor is None else cursor}
            reply = await self._transport.send(Request("GET", path, query=wire.query(fields)))
            return await reply.read_page(model, name)

        return Pager(fetch, self._transport.connection.spawn, start)


class KindResource(Resource, Generic[ToggleT_co]):
    """A section under one flag or experiment."""

    def __init__(self, transport: Transport, kind: Kind[ToggleT_co]) -> None:
        super().__init__(transport)
        self._kind = kind

    @property
    def kind(self) -> Kind[ToggleT_co]:
        """Flags or experiments."""
        return self._kind

    def _path(self, id: str, *rest: str) -> str:
        return path_of(self._kind.name, checks.identifier("id", id), *rest)
