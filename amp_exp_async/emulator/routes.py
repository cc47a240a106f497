"""Routes to the handlers of operations, and the arguments and results of handlers.

An operation is one decorated function::

    @route("GET", "/flags/{id}/owner")
    def get_flag_owner(request: RequestContext) -> EmulatorResponse:
        return json_response({"owner": request.flag().document["createdBy"]})
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Final, TypeAlias
from urllib.parse import unquote

from attrs import Factory, field, frozen
from attrs.converters import optional

from amp_exp_async.emulator import json_text, refusals
from amp_exp_async.emulator.documents import (
    KINDS,
    READ_ONLY_TYPES,
    SINGULAR,
    Document,
    Kind,
    format_json,
    is_object,
    is_web,
)
from amp_exp_async.emulator.refusals import LiveSettings, Refusal
from amp_exp_async.emulator.store import EmulatorState, StoredFlag
from amp_exp_async.emulator.validation import Fields, HTTPError, validate

PREFIX: Final = "/api/1"
BETA_PREFIX: Final = "/beta"  # of the emulator only: the service has another host for the Beta API

_JSON: Final = "application/json"
_JSON_UTF8: Final = f"{_JSON}; charset=utf-8"


@frozen
class EmulatorResponse:
    """A response before it is sent; by default the text `OK`, which the service responds to most writes with."""

    body: bytes = b"OK"
    content_type: str = "text/plain; charset=utf-8"
    status: int = 200
    headers: Mapping[str, str] = field(factory=dict[str, str])


OK: Final = EmulatorResponse()


def json_response(value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> EmulatorResponse:
    """Return a response with a JSON body."""
    return EmulatorResponse(json_text.dumps(value), _JSON_UTF8, status, headers or {})


SCOPES: Final = frozenset({"experimentation", "experiment_groups", "experiment_multi_armed_bandit"})
"""The permissions of a user that its API keys inherit."""


def _string_set(values: Iterable[str]) -> frozenset[str]:
    if isinstance(values, str):
        raise TypeError(f"an API key needs lists of projects and scopes, not {format_json(values)}")
    return frozenset(map(str, values))


@frozen
class ApiKey:
    """An API key's access.

    Attributes:
        projects: The IDs of the projects that it can see, or `None` for all.
        scopes: The permissions of the user who created it. `experimentation` is for everything except lists,
            `experiment_groups` for groups, `experiment_multi_armed_bandit` for writing experiments of that type. A
            request that needs another scope is rejected with 403; lists need none.
    """

    projects: frozenset[str] | None = field(default=None, converter=optional(_string_set))
    scopes: frozenset[str] = field(default=SCOPES, converter=_string_set)

    def __attrs_post_init__(self) -> None:
        if unknown := sorted(self.scopes - SCOPES):
            raise ValueError(f"{format_json(unknown[0])} is not a scope; use {', '.join(sorted(SCOPES))}")

    def can_see(self, project: object) -> bool:
        """Return whether the key has access to the project."""
        return self.projects is None or str(project) in self.projects

    def require(self, project: object) -> None:
        """Reject the request with 403 if the key has no access to the project."""
        if not self.can_see(project):
            raise HTTPError(403, f"The key has no access to project {project}")

    def require_scope(self, scope: str) -> None:
        """Reject the request with 403 if the user who created the key lacks the permission."""
        if scope not in self.scopes:
            raise refusals.NO_PERMISSION.error(scope=scope)


@frozen
class PageSettings:
    """The behaviour of lists that the API reference does not specify."""

    default_limit: int
    cursor_type: str
    last_cursor: str


@frozen
class RequestContext:
    """An authorized request; `path` contains the decoded parameters of the route."""

    state: EmulatorState
    api_key: ApiKey
    page_settings: PageSettings
    path: Mapping[str, str]
    query: Mapping[str, str]
    content_type: str
    content: bytes
    live: LiveSettings | None = None
    """The settings of the live service's refusals; `None` if only the API reference is followed."""

    @property
    def kind(self) -> Kind:
        """Flags or experiments: what the path says, otherwise experiments."""
        return "flags" if self.path.get("kind") == "flags" else "experiments"

    @property
    def flag_name(self) -> str:
        """The name of the flag or experiment for messages."""
        return f"{SINGULAR[self.kind]} {self.path['id']}"

    def flag(self) -> StoredFlag:
        """Return the flag or experiment of the path; reject if it does not exist, 403 if it is not visible."""
        self.api_key.require_scope("experimentation")
        flag = self.state.stored_flags[self.kind].get(self.path["id"])
        if flag is None:
            raise self.not_found(refusals.FLAG_NOT_FOUND, f"No {SINGULAR[self.kind]} has ID {self.path['id']}")
        self.api_key.require(flag.document["projectId"])
        return flag

    def editable_flag(self, *, archived: bool = False) -> StoredFlag:
        """Return the flag or experiment of the path; also reject if this API cannot edit it.

        An archived one is rejected unless `archived` is set.
        """
        flag = self.flag()
        if is_web(flag.document):
            raise self.rejection(refusals.WEB_EXPERIMENT, 405, "A web-experiment cannot be edited through this API")
        if (type_ := flag.document.get("_type")) in READ_ONLY_TYPES:
            raise HTTPError(405, f"A {type_} cannot be edited through this API")
        if self.live is not None and flag.document["deleted"] and not archived:
            raise refusals.ARCHIVED_FLAG.error()
        return flag

    def variant(self, flag: StoredFlag) -> Document:
        """Return the variant of the path; reject if it does not exist."""
        key = self.path["variant"]
        variant = flag.variant(key)
        if variant is None:
            raise self.not_found(refusals.VARIANT_NOT_FOUND, f"The {self.flag_name} has no variant {key}")
        return variant

    def not_found(self, refusal: Refusal, message: str) -> HTTPError:
        """Return the error for an object that does not exist: 404 by the API reference."""
        return self.rejection(refusal, 404, message)

    def rejection(self, refusal: Refusal, status: int, message: str) -> HTTPError:
        """Return the live service's error, or that of the API reference."""
        return HTTPError(status, message) if self.live is None else refusal.error()

    def fields(self, fields: Fields, required: tuple[str, ...] = ()) -> Document:
        """Return the body, a JSON object of these fields; reject any other with 400."""
        return validate(self.body(), fields, required)

    def changes(self, fields: Fields) -> Document:
        """Return the body of an edit, a JSON object of some of these fields; reject any other with 400."""
        changes = self.fields(fields)
        require_changes(changes)
        return changes

    def body(self) -> Document:
        """Return the body, a JSON object of any fields; reject any other with 400."""
        if self.content_type != _JSON:
            raise HTTPError(400, f"The body's Content-Type must be {_JSON}, not {self.content_type}")
        try:
            body: Any = json_text.loads(self.content)
        except ValueError as error:
            raise HTTPError(400, f"The body is not valid JSON: {error}") from None
        if not is_object(body):
            raise HTTPError(400, "The body must be a JSON object")
        return body


def require_changes(changes: Document) -> None:
    """Reject an edit without fields with 400."""
    if not changes:
        raise HTTPError(400, "The body has no field to change")


Handler: TypeAlias = Callable[[RequestContext], EmulatorResponse]
"""One operation of the API. It changes the state completely or not at all, and raises `HTTPError` to reject."""


@frozen
class Route:
    """An operation at a path. Parameters of the path, such as `{id}`, match any segment; `{kind}` a collection."""

    method: str
    path: str
    handler: Handler
    parameters: Mapping[str, str]
    segments: Sequence[str] = field(init=False, default=Factory(lambda self: self.path.split("/"), takes_self=True))


ROUTES: Final[dict[str, list[Route]]] = {PREFIX: [], BETA_PREFIX: []}
"""The routes of version 1 and of the Beta API, by prefix."""


def route(method: str, path: str, *, prefix: str = PREFIX, **parameters: str) -> Callable[[Handler], Handler]:
    """Return a decorator that serves a path by a handler, which finds `parameters` among those of the path."""

    def register(handler: Handler) -> Handler:
        ROUTES[prefix].append(Route(method, path, handler, parameters))
        return handler

    return register


beta_route = partial(route, prefix=BETA_PREFIX)


def find_route(method: str, path: str) -> tuple[Handler, Mapping[str, str]]:
    """Return the handler of an encoded path, and the path's decoded parameters.

    Rejects an unknown path with 404, and a method that the path does not have with 405.
    """
    prefix = next((prefix for prefix in ROUTES if path.startswith(f"{prefix}/")), None)
    if prefix is None:
        raise HTTPError(404, f"There is nothing at {path}: paths begin with {' or '.join(ROUTES)}")
    segments = path.removeprefix(prefix).split("/")
    matches = [
        (route, parameters) for route in ROUTES[prefix] if (parameters := _match(route.segments, segments)) is not None
    ]
    if not matches:
        raise HTTPError(404, f"There is nothing at {path}")
    # If several paths match, the one with the fewest parameters serves the request.
    template = min((route.path for route, _ in matches), key=lambda path: path.count("{"))
    by_method = {route.method: (route, parameters) for route, parameters in matches if route.path == template}
    if method not in by_method:
        raise HTTPError(405, f"{path} does not support {method}, only {', '.join(by_method)}")
    match, parameters = by_method[method]
    return match.handler, {**parameters, **match.parameters}


def _match(template: Sequence[str], segments: Sequence[str]) -> dict[str, str] | None:
    if len(template) != len(segments):
        return None
    parameters: dict[str, str] = {}
    for expected, segment in zip(template, segments, strict=True):
        if expected == "{kind}" and segment not in KINDS:
            return None
        if expected.startswith("{"):
            # Segments are decoded after splitting, so an encoded slash remains part of its parameter.
            parameters[expected[1:-1]] = unquote(segment)
        elif expected != segment:
            return None
    return parameters
