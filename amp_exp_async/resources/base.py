"""The base classes of resources, and the declaration of the request that each operation sends."""

from __future__ import annotations

import copy
import inspect
import re
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping
from functools import cached_property, partial
from operator import attrgetter
from typing import Any, Generic, Self, TypeVar, cast

import attrs
from attrs import frozen

from amp_exp_async import serialization, validation
from amp_exp_async.errors import NotFoundError
from amp_exp_async.http import (
    AmbiguousWrite,
    Idempotency,
    RecentWrites,
    Request,
    Response,
    Transport,
    build_path,
    hide_headers,
    is_refusal,
    quote_segment,
)
from amp_exp_async.inherited_methods import name_inherited_methods
from amp_exp_async.matching import is_edited
from amp_exp_async.models import UNSET, Created, Experiment, Flag, FlagConfig, Model, Page, Version
from amp_exp_async.pagination import AsyncPager, Identify, single_page
from amp_exp_async.params import REQUEST_OPTIONS, RequestOptions
from amp_exp_async.serialization import MalformedDocumentError
from amp_exp_async.validation import Validator

from .missing_variant import explain_missing_variant
from .reconcile import IsApplied, send_confirmed

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])
ModelT = TypeVar("ModelT", bound=Model)
FlagConfigT_co = TypeVar("FlagConfigT_co", bound=FlagConfig, covariant=True)

# Every other path variable is an ID. A resource fills in its own kind.
_PATH_VALIDATORS: dict[str, Validator] = {
    "kind": lambda _, kind: kind,
    "variant": validation.path_key,
    "index": validation.index,
}
# The attribute of an object that a path variable identifies it by.
_IDENTIFIED_BY = {"id": "id", "variant": "key", "version": "version"}
_DOCS_LINK = re.compile(r"https://\S*amplitude\.com/\S+")


@frozen
class ApiOperation:
    """An operation of the API: the request that a method sends.

    Attributes:
        method: the HTTP method.
        path: the path below the API's prefix, with variables in braces, such as `/{kind}/{id}`.
        idempotency: what happens if the request is applied twice.
        docs: the pages in the vendor's API reference, from the method's docstring; several if kinds share the method.
    """

    method: str
    path: str
    idempotency: Idempotency
    docs: tuple[str, ...]

    @cached_property
    def _variables(self) -> list[tuple[str, Validator]]:
        names = re.findall(r"{(\w+)}", self.path)
        return [(name, _PATH_VALIDATORS.get(name, validation.identifier)) for name in names]

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    def build_path(self, variables: Mapping[str, object]) -> str:
        """Return the path with its variables filled in and percent-encoded.

        Raises:
            InvalidInputError: If a variable breaks a rule.
        """
        return self.path.format_map(
            {name: quote_segment(str(validate(name, variables[name]))) for name, validate in self._variables}
        )


def operation(method: str, path: str, idempotency: Idempotency = Idempotency.IDEMPOTENT) -> Callable[[F], F]:
    """Declare the request that a resource method sends.

    The declaration is an attribute of the function; a call does nothing more. The method passes itself to a helper of
    `Resource`, such as `_send`, which builds the declared request.

    Args:
        method: the HTTP method.
        path: the path below the API's prefix. Its variables are arguments; the resource fills in `{kind}`.
        idempotency: what happens if the request is applied twice.

    Example::

        @operation("DELETE", "/{kind}/{id}/variants/{variant}", Idempotency.DELETE)
        async def remove(self, id: str, variant: str, **options: Unpack[RequestOptions]) -> None:
            await self._for_call(self.remove, options)._send(self.remove, id=id, variant=variant)
    """

    def declare(function: F) -> F:
        docs = tuple(_DOCS_LINK.findall(function.__doc__ or ""))
        cast("Any", function).api_operation = ApiOperation(method, path, idempotency, docs)
        return function

    return declare


def operation_of(method: Callable[..., object]) -> ApiOperation | None:
    """Return the declared operation of a method, or None if the method sends other operations' requests."""
    return getattr(method, "api_operation", None)


def list_operations(client: object) -> dict[str, ApiOperation]:
    """Return the declared operations of an async client, by the dotted name of the method."""
    declared = {name: operation_of(method) for name, method in list_methods(client)}
    return {name: declaration for name, declaration in declared.items() if declaration is not None}


def list_methods(owner: object, prefix: str = "") -> Iterator[tuple[str, Callable[..., Any]]]:
    """Yield the public methods of a client's resources, by dotted name, in the order in which they are written."""
    for name, resource in vars(owner).items():
        if isinstance(resource, Resource) and not name.startswith("_"):
            for method in dict.fromkeys(method for cls in reversed(type(resource).__mro__) for method in vars(cls)):
                if not method.startswith("_") and inspect.isfunction(getattr(type(resource), method)):
                    yield f"{prefix}{name}.{method}", getattr(resource, method)
            yield from list_methods(resource, f"{prefix}{name}.")


class Resource:
    """A group of operations on a client, such as `client.deployments`.

    Args:
        transport: sends the requests.
        kind: fills `{kind}` in paths: `flags`, `experiments`, `mutexes` or `holdouts`.
    """

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        name_inherited_methods(cls)

    def __init__(self, transport: Transport, kind: str = "") -> None:
        self._transport = transport
        self._kind = kind

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._transport.session.endpoint.base_url!r}>"

    @property
    def transport(self) -> Transport:
        """The transport that sends the requests."""
        return self._transport

    def _as_one_call(self) -> Self:
        """Return this resource for a method that sends several requests: they share a deadline, which starts now."""
        return self._over(self._transport.as_one_call())

    def _for_call(self, method: Callable[..., object], options: RequestOptions) -> Self:
        """Return this resource for one call of a method that has no other keywords than these. They are emptied.

        Raises:
            TypeError: If there is another keyword.
            ConfigurationError: If an option is invalid.
        """
        if not options:
            return self
        unknown = next((name for name in options if name not in REQUEST_OPTIONS), None)
        if unknown is not None:
            cast("dict[str, object]", options).clear()  # one may be a header under a misspelt name
            raise TypeError(f"{method.__qualname__}() got an unexpected keyword argument '{unknown}'")
        return self._with_options(options)

    def _with_options(self, options: RequestOptions) -> Self:
        """Return this resource for one call with options, which are taken out of the keywords of a method.

        Header values may be secret, and a traceback may show the keywords, so this must be the first thing that a
        method does.

        Raises:
            ConfigurationError: If an option is invalid.
        """
        if REQUEST_OPTIONS.isdisjoint(options):
            return self
        headers, query = hide_headers(options.pop("extra_headers", UNSET)), options.pop("extra_query", UNSET)
        return self._over(self._transport.with_options(extra_headers=headers, extra_query=query))

    def _over(self, transport: Transport) -> Self:
        """Return this resource with another transport."""
        resource = copy.copy(self)
        resource._transport = transport
        return resource

    def _request(
        self,
        method: Callable[..., object],
        fields: Mapping[str, Any] | None = None,
        query: Mapping[str, Any] | None = None,
        /,
        **variables: object,
    ) -> Request:
        """Return the declared request of a method, with its body, query and path variables."""
        declared: ApiOperation = cast("Any", method).api_operation
        path = declared.build_path({"kind": self._kind, **variables})
        return Request(
            declared.method,
            path,
            () if query is None else serialization.query(query),
            None if fields is None else serialization.encode(fields),
            declared.idempotency,
        )

    def _send_confirmed(
        self,
        method: Callable[..., object],
        is_applied: IsApplied,
        fields: Mapping[str, Any] | None = None,
        /,
        **variables: object,
    ) -> Coroutine[Any, Any, None]:
        """Send a write whose response is OK. If it is ambiguous, `is_applied` reads whether it was applied."""
        write = send_confirmed(self._transport, self._request(method, fields, **variables), expect_ok, is_applied)
        return self._explained(write, variables)

    def _record_creation(self, id: str) -> None:
        """Record a new object for later reads."""
        self._transport.session.recent_writes.add_creation(build_path(self._kind or "deployments", id))

    async def _recorded(self, write: Awaitable[T], path: str, record: Callable[[RecentWrites], None]) -> T:
        """Make a write, and record it for later reads. If its outcome is not certain, nothing is known of its path."""
        recent = self._transport.session.recent_writes
        try:
            result = await write
        except BaseException:
            recent.forget(path)
            raise
        record(recent)
        return result

    def _send(
        self, method: Callable[..., object], fields: Mapping[str, Any] | None = None, /, **variables: object
    ) -> Coroutine[Any, Any, None]:
        """Send a write whose response is OK."""
        return self._explained(self._transport.write(self._request(method, fields, **variables), expect_ok), variables)

    def _explained(self, call: Coroutine[Any, Any, T], variables: Mapping[str, object]) -> Coroutine[Any, Any, T]:
        """Make a call. If its path names a variant that does not exist, the error names those that do."""
        return self._explain(call, variables) if "variant" in variables else call

    async def _explain(self, call: Awaitable[T], variables: Mapping[str, object]) -> T:
        started = self._transport.session.time()
        try:
            return await call
        except NotFoundError as error:
            names = {"kind": self._kind, "id": str(variables["id"]), "variant": str(variables["variant"])}
            await explain_missing_variant(error, self._transport, started, **names)
            raise

    def _get(
        self, method: Callable[..., object], model: type[ModelT], /, **variables: object
    ) -> Coroutine[Any, Any, ModelT]:
        """Read one object, which the last of the path variables identifies."""
        *_, name = variables
        attribute = _IDENTIFIED_BY[name]

        def parse(response: Response) -> ModelT:
            found = response.parse_object(model)
            error = response.other_object_error(attribute, getattr(found, attribute))
            if error is not None:
                del found  # a traceback may show local variables
                raise error
            return found

        return self._explained(self._transport.read(self._request(method, **variables), parse), variables)

    def _list(self, method: Callable[..., object], model: type[ModelT], /, **variables: object) -> AsyncPager[ModelT]:
        """Read an array of objects, in one request."""
        request = self._request(method, **variables)

        async def fetch() -> list[ModelT]:
            async with self._transport.call(request) as response:
                return await response.parse_list(model)

        return single_page(fetch, self._transport.session.spawn)

    def _list_ids(self, method: Callable[..., object], /, **variables: object) -> AsyncPager[str]:
        """Read an array of IDs, in one request."""
        request = self._request(method, **variables)

        async def read() -> list[str]:
            async with self._transport.call(request) as response:
                return response.parse(serialization.parse_ids)

        return single_page(lambda: self._explained(read(), variables), self._transport.session.spawn)

    def _paginate(
        self,
        method: Callable[..., object],
        model: type[ModelT],
        name: str,
        query: Mapping[str, Any],
        cursor: object,
        *,
        identify: Identify[ModelT] = attrgetter("id"),
    ) -> AsyncPager[ModelT]:
        """Read a list page by page; `name` is the list's JSON field in a page, `identify` tells its items apart."""
        start = validation.cursor("cursor", cursor)

        async def fetch(cursor: str | None) -> Page[ModelT]:
            position = {"cursor": UNSET if cursor is None else cursor}
            async with self._transport.call(self._request(method, None, {**query, **position})) as response:
                page = await response.parse_page(model, name)
                if cursor is not None and page.next_cursor == cursor:
                    response.close_connection()  # it is the page before; the pager ends here
                return page

        return AsyncPager(fetch, self._transport.session.spawn, start, identify)


@frozen
class Collection(Generic[FlagConfigT_co]):
    """Flags or experiments: the same operations on different paths.

    Attributes:
        name: `flags` or `experiments`: the path segment, and the JSON field of a list.
        model: the model of an item.
        version: the model of a version of an item.
    """

    name: str
    model: type[FlagConfigT_co]
    version: type[Version[FlagConfigT_co]]


FLAGS = Collection("flags", Flag, Version[Flag])
EXPERIMENTS = Collection("experiments", Experiment, Version[Experiment])


class CollectionResource(Resource, Generic[FlagConfigT_co]):
    """A resource of one collection, such as `client.flags` or `client.experiments.variants`."""

    def __init__(self, transport: Transport, collection: Collection[FlagConfigT_co]) -> None:
        super().__init__(transport, collection.name)
        self._collection = collection

    @property
    def collection(self) -> Collection[FlagConfigT_co]:
        """Flags or experiments."""
        return self._collection

    def _send_edit(
        self, method: Callable[..., object], fields: Mapping[str, Any], id: str
    ) -> Coroutine[Any, Any, None]:
        """Send an edit."""
        request = self._request(method, fields, id=id)
        if fields.get("archive") is True:
            request = attrs.evolve(request, idempotency=Idempotency.ARCHIVE)
        is_applied = partial(read_edit, request.path, self._collection.model, fields)
        write = send_confirmed(self._transport, request, expect_ok, is_applied)
        return self._recorded(write, request.path, lambda recent: recent.add_edit(request.path, fields))


async def read_edit(path: str, model: type[Model], fields: Mapping[str, Any], write: AmbiguousWrite) -> bool | None:
    """Read an object, and return whether it is as an edit makes it; None if the service does not show that."""
    async with write.transport().call(Request("GET", path)) as response:
        return is_edited(response.parse_object(model), fields)


def parse_created(response: Response) -> Created:
    """Return the object that a response says was created. Its key is that of the request, if the response has one."""
    created = response.parse_object(Created)
    error = response.created_object_error(created.extra.get("key"))
    if error is not None:
        del created  # a traceback may show local variables
        raise error
    return created


def expect_ok(response: Response) -> None:
    """Raise `UnexpectedResponseError` unless the service acknowledges a write, of this object if it names one."""
    id, key = response.parse(_parse_acknowledgement)
    error = response.written_object_error(id) or response.created_object_error(key)
    if error is not None:
        del id, key  # a traceback may show local variables
        raise error


def _parse_acknowledgement(body: bytes) -> tuple[object, object]:
    """Return the ID and the key in the response to a write; UNSET without them."""
    document = serialization.expect_ok(body)
    if is_refusal(document):
        raise MalformedDocumentError("", "a refusal")
    fields: dict[str, object] = document if document.__class__ is dict else {}
    return fields.get("id", UNSET), fields.get("key", UNSET)
