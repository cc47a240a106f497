"""All operations of the clients, from their declarations, with an example call of each.

A test of all operations goes through `EXAMPLES`. A new operation needs no line here: its arguments are taken from
`ARGUMENTS` by name, otherwise made from their types, and its request follows from its declaration and its arguments.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Iterable, Mapping
from operator import attrgetter
from typing import Any, Literal

from attrs import field, frozen

from amp_exp_async import (
    AsyncBetaClient,
    AsyncExperimentClient,
    AsyncPager,
    Created,
    Deployment,
    HoldoutGroup,
    MutexGroup,
    Variant,
    Version,
)
from amp_exp_async.resources import ApiOperation, list_operations
from tests.operations import responses
from tests.operations.arguments import SLOTS, SLOTS_JSON
from tests.operations.recording_server import CannedResponse

WILD = "a/b c?d#e&f=g+h%2Fü"
WILD_ENCODED = "a%2Fb%20c%3Fd%23e%26f%3Dg%2Bh%252F%C3%BC"
KINDS: tuple[responses.Kind, ...] = ("flags", "experiments")

_KEY = "key-of-no-account"
CLIENTS = {
    False: AsyncExperimentClient(_KEY, base_url="https://host.invalid"),
    True: AsyncBetaClient(_KEY, base_url="https://host.invalid"),
}
OPERATIONS: dict[tuple[bool, str], ApiOperation] = {
    (is_beta, name): operation
    for is_beta, client in CLIENTS.items()
    for name, operation in list_operations(client).items()
}
"""The declared operations, by whether they belong to the Beta API, and by the dotted name of the method."""

ARGUMENTS: dict[str, Any] = {
    "id": responses.ID,
    "variant": "on",
    "version": 3,
    "index": 7,
    "users": ["user@example.com", "user-18442"],
    "cohorts": ["cohort-id-1", "cohort-id-2"],
    "deployment": "1001",
    "deployments": ["1001"],
    "key": "experiment-key",
    "label": "hello-world",
    "project_id": "654321",
    "holdout_percentage": 5,
    "slots": SLOTS,
    "rollout_weights": {"control": 1, "treatment": 2},
}
_JSON_VALUES: dict[str, Any] = {"slots": SLOTS_JSON}
_IDS_OF_GROUPS = {"mutexes.get": responses.MUTEX.id, "holdouts.get": responses.HOLDOUT.id}


@frozen
class Example:
    """A call of an operation, the request that it sends, and the result of a response.

    Attributes:
        name: the dotted name of the method.
        is_beta: whether it is a method of the Beta API's clients.
        args: the positional arguments.
        kwargs: the keyword arguments.
        query: the query of the request.
        body: the JSON body of the request; None for no body.
        response: the body of the response.
        result: what the call returns.
        note: what the example is about; empty for the plain example of an operation.
    """

    name: str
    is_beta: bool
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(factory=dict[str, Any])
    query: Mapping[str, str] = field(factory=dict[str, str])
    body: Any = None
    response: Any = "OK"
    result: Any = None
    note: str = ""

    @property
    def operation(self) -> ApiOperation:
        """The declaration."""
        return OPERATIONS[self.is_beta, self.name]

    @property
    def resource(self) -> str:
        """The client's resource, such as `flags`."""
        return self.name.partition(".")[0]

    @property
    def path(self) -> str:
        """The expected path: the declared one with the arguments in it."""
        arguments = inspect.signature(method_of(self.name, self.is_beta)).bind(*self.args, **self.kwargs).arguments
        values = {"kind": self.resource, **{name: _encode(value) for name, value in arguments.items()}}
        return self.operation.path.format_map(values)

    @property
    def is_list(self) -> bool:
        """Whether the result is read page by page."""
        return isinstance(self.response, dict) and self.resource in self.response

    def __call__(self, client: Any) -> Any:
        """Call the method of an async or blocking client."""
        return attrgetter(self.name)(client)(*self.args, **self.kwargs)

    def canned(self) -> CannedResponse:
        """The response, as the recording server sends it."""
        return CannedResponse(self.response)

    def __str__(self) -> str:
        return f"{'beta-' * self.is_beta}{self.name}{self.note and f' ({self.note})'}".replace(" ", "-")


def _encode(value: object) -> str:
    return WILD_ENCODED if value == WILD else str(value)


def method_of(name: str, is_beta: bool) -> Callable[..., Any]:
    """The method of an async client."""
    method: Callable[..., Any] = attrgetter(name)(CLIENTS[is_beta])
    return method


def plain_example(name: str, is_beta: bool) -> Example:
    """An example with the required arguments only, derived from the declaration."""
    method, operation = method_of(name, is_beta), OPERATIONS[is_beta, name]
    hints = typing.get_type_hints(method)
    required = [
        parameter
        for parameter in inspect.signature(method).parameters.values()
        if parameter.default is parameter.empty and parameter.kind is not parameter.VAR_KEYWORD
    ]
    values = {parameter.name: ARGUMENTS.get(parameter.name, _value_of(hints[parameter.name])) for parameter in required}
    if name in _IDS_OF_GROUPS:
        values["id"] = _IDS_OF_GROUPS[name]  # the object that comes must be the one that was asked for
    keywords = [parameter.name for parameter in required if parameter.kind is parameter.KEYWORD_ONLY]
    fields = {
        _camel_case(parameter): _JSON_VALUES.get(parameter, value)
        for parameter, value in values.items()
        if f"{{{parameter}}}" not in operation.path
    }
    response, result = _response_of(name, hints["return"])
    return Example(
        name,
        is_beta,
        tuple(value for parameter, value in values.items() if parameter not in keywords),
        {parameter: values[parameter] for parameter in keywords},
        query=fields if operation.method == "GET" else {},
        body=fields if fields and operation.method != "GET" else None,
        response=response,
        result=result,
    )


def _value_of(hint: Any) -> Any:
    """A value of a type, for an argument that `ARGUMENTS` does not name."""
    origin = typing.get_origin(hint) or hint
    if origin is Literal:
        return typing.get_args(hint)[0]
    if isinstance(origin, type) and issubclass(origin, Iterable) and origin is not str:
        return {"a": 1} if issubclass(origin, Mapping) else ["1"]
    return {int: 5, float: 0.5, bool: True}.get(origin, "text")


def _camel_case(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(map(str.title, rest))


def _response_of(name: str, returned: Any) -> tuple[Any, Any]:
    """A response for the type that a method returns, and what it becomes."""
    resource = name.partition(".")[0]
    if returned is type(None):
        return "OK", None
    if returned is Created:
        return responses.CREATED_JSON, responses.CREATED
    if typing.get_origin(returned) is not AsyncPager:
        return _object_of(resource, returned)
    (item,) = typing.get_args(returned)
    if item is str:
        return ["id-1", "id-2"], ["id-1", "id-2"]
    if name == f"{resource}.list":
        documents, items = _page_of(resource, item)
        return {resource: documents, "nextCursor": None}, items
    document, value = _object_of(resource, item)
    return [document], [value]


def _page_of(resource: str, item: Any) -> tuple[list[Any], list[Any]]:
    if resource == "versions":
        return responses.PROJECT_VERSIONS_JSON, list(responses.PROJECT_VERSIONS)
    if item is Deployment:
        return responses.DEPLOYMENTS_JSON, list(responses.DEPLOYMENTS)
    document, value = _object_of(resource, item)
    return [document], [value]


def _object_of(resource: str, model: Any) -> tuple[Any, Any]:
    """The example of a model. A type variable is the model of the resource."""
    if model is Variant:
        return responses.VARIANT_JSON, responses.VARIANT
    if model is Deployment:
        return responses.DEPLOYMENTS_JSON[0], responses.DEPLOYMENTS[0]
    groups: dict[str, tuple[Any, MutexGroup | HoldoutGroup]] = {
        "mutexes": (responses.MUTEX_JSON, responses.MUTEX),
        "holdouts": (responses.HOLDOUT_JSON, responses.HOLDOUT),
    }
    if resource in groups:
        return groups[resource]
    kind: Any = resource
    if typing.get_origin(model) is Version:
        return responses.VERSION_JSON[kind], responses.VERSION[kind]
    return responses.FLAG_CONFIG_JSON[kind], responses.FLAG_CONFIG[kind]
