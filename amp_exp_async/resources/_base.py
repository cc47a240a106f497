"""What every section of the API shares: a transport, and the shapes of its requests."""

from __future__ import annotations

from collections.abc import Coroutine, Mapping
from typing import Any, Generic, TypeVar

from attrs import frozen

from amp_exp_async import serialization, validation
from amp_exp_async.http import Idempotency, Request, Response, Transport, build_path
from amp_exp_async.models import UNSET, Created, Experiment, Flag, FlagConfig, Model, Page, Version
from amp_exp_async.pagination import AsyncPager, single

M = TypeVar("M", bound=Model)
FlagConfigT_co = TypeVar("FlagConfigT_co", bound=FlagConfig, covariant=True)


@frozen
class Kind(Generic[FlagConfigT_co]):
    """Flags or experiments: the same operations under another word of the path.

    Attributes:
        name: the word of the path, which is also the name of the list.
        model: what one of them is.
        version: what a version of one of them is.
    """

    name: str
    model: type[FlagConfigT_co]
    version: type[Version[FlagConfigT_co]]


FLAGS = Kind("flags", Flag, Version[Flag])
EXPERIMENTS = Kind("experiments", Experiment, Version[Experiment])


def created_by(reply: Response) -> Created:
    """What a reply to a creation says was created."""
    return reply.parse_object(Created)


def acknowledged(reply: Response) -> None:
    """Make sure that it is the service that says OK."""
    reply.parse(serialization.expect_ok)


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
        return reply.parse_object(model)

    def _send(
        self,
        method: str,
        path: str,
        fields: Mapping[str, Any] | None = None,
        idempotency: Idempotency = Idempotency.IDEMPOTENT,
    ) -> Coroutine[Any, Any, None]:
        body = None if fields is None else serialization.encode(fields)
        return self._transport.write(Request(method, path, body=body, idempotency=idempotency), acknowledged)

    def _creation(self, path: str, fields: Mapping[str, Any]) -> Request:
        return Request("POST", path, body=serialization.encode(fields), idempotency=Idempotency.CREATE)

    def _array(self, model: type[M], path: str) -> AsyncPager[M]:
        async def fetch() -> list[M]:
            reply = await self._transport.send(Request("GET", path))
            return await reply.parse_list(model)

        return single(fetch, self._transport.session.spawn)

    def _identifiers(self, path: str) -> AsyncPager[str]:
        async def fetch() -> list[str]:
            return (await self._transport.send(Request("GET", path))).parse(serialization.parse_ids)

        return single(fetch, self._transport.session.spawn)

    def _paged(self, model: type[M], name: str, path: str, query: Mapping[str, Any], cursor: object) -> AsyncPager[M]:
        start = validation.cursor("cursor", cursor)

        async def fetch(cursor: str | None) -> Page[M]:
            fields = {**query, "cursor": UNSET if cursor is None else cursor}
            reply = await self._transport.send(Request("GET", path, query=serialization.query(fields)))
            return await reply.parse_page(model, name)

        return AsyncPager(fetch, self._transport.session.spawn, start)


class KindResource(Resource, Generic[FlagConfigT_co]):
    """A section under one flag or experiment."""

    def __init__(self, transport: Transport, kind: Kind[FlagConfigT_co]) -> None:
        super().__init__(transport)
        self._kind = kind

    @property
    def kind(self) -> Kind[FlagConfigT_co]:
        """Flags or experiments."""
        return self._kind

    def _path(self, id: str, *rest: str) -> str:
        return build_path(self._kind.name, validation.identifier("id", id), *rest)
