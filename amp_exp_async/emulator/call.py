"""One operation's call: who asks for what, and how it is answered."""

from collections.abc import Callable, Mapping
from typing import Any, Final

import orjson
from attrs import field, frozen

from amp_exp_async.emulator.checks import Check, checked
from amp_exp_async.emulator.documents import READ_ONLY_TYPES, Document, Kind, is_object
from amp_exp_async.emulator.refusal import Refusal
from amp_exp_async.emulator.state import EmulatorState
from amp_exp_async.emulator.store import FlagConfig

JSON: Final = "application/json"
_JSON_TEXT: Final = f"{JSON}; charset=utf-8"


@frozen
class Reply:
    """What is answered, before it becomes a response; by default the text `OK` that writes are answered with."""

    body: bytes = b"OK"
    content_type: str = "text/plain; charset=utf-8"
    status: int = 200
    headers: Mapping[str, str] = field(factory=dict[str, str])


OK: Final = Reply()


def json_reply(value: object, status: int = 200) -> Reply:
    """A reply that carries JSON."""
    return Reply(orjson.dumps(value), _JSON_TEXT, status)


def error_reply(status: int, message: str, headers: Mapping[str, str] | None = None) -> Reply:
    """A reply that says what is wrong."""
    return Reply(orjson.dumps({"error": message}), _JSON_TEXT, status, headers or {})


@frozen
class Caller:
    """The owner of a key: the projects that the key may see, `None` for all of them."""

    projects: frozenset[str] | None

    def sees(self, project: object) -> bool:
        """Whether the key has access to the project."""
        return self.projects is None or str(project) in self.projects

    def require(self, project: object) -> None:
        """Refuse with 403 if the key has no access to the project."""
        if not self.sees(project):
            raise Refusal(403, f"The key has no access to project {project}")


@frozen
class Paging:
    """How lists are cut into pages where the contract leaves it open."""

    default_limit: int
    cursor_type: str
    last_cursor: str


@frozen
class Call:
    """A request that has been authorised and routed; `path` holds the decoded parameters of the route."""

    state: EmulatorState
    caller: Caller
    paging: Paging
    path: Mapping[str, str]
    query: Mapping[str, str]
    content_type: str
    content: bytes

    @property
    def kind(self) -> Kind:
        """Flags or experiments; experiments where the path does not leave it open."""
        return "flags" if self.path.get("kind") == "flags" else "experiments"

    def toggle(self) -> FlagConfig:
        """The flag or experiment that the path names: 404 if there is none, 403 if the key may not see it."""
        id = self.path["id"]
        toggle = self.state.toggles[self.kind].get(id)
        if toggle is None:
            raise Refusal(404, f"There is no {self.kind[:-1]} with id {id!r}")
        self.caller.require(toggle.document["projectId"])
        return toggle

    def toggle_to_edit(self) -> FlagConfig:
        """The same for a write: 405 if it is a web experiment, a guide or a survey."""
        toggle = self.toggle()
        if (type_ := toggle.document.get("_type")) in READ_ONLY_TYPES:
            raise Refusal(405, f"A {type_} cannot be edited through this API")
        return toggle

    def variant(self, toggle: FlagConfig) -> Document:
        """The variant that the path names: 404 if there is none."""
        key = self.path["variant"]
        variant = toggle.variant(key)
        if variant is None:
            raise Refusal(404, f"{self.kind[:-1].title()} {self.path['id']} has no variant {key!r}")
        return variant

    def fields(self, fields: Mapping[str, Check], required: tuple[str, ...] = ()) -> Document:
        """The body, a JSON object of these fields and no others; anything else is refused with 400."""
        return checked(self.body(), fields, required)

    def body(self) -> Document:
        """The body, a JSON object of any fields; anything else is refused with 400."""
        if self.content_type != JSON:
            raise Refusal(400, f"The body's Content-Type must be {JSON}, not {self.content_type}")
        try:
            body: Any = orjson.loads(self.content)
        except orjson.JSONDecodeError as error:
            raise Refusal(400, f"The body is no valid JSON: {error}") from None
        if not is_object(body):
            raise Refusal(400, "The body must be a JSON object")
        return body


Operation = Callable[[Call], Reply]
"""One operation of the API: it answers, or raises `Refusal`; it changes the state wholly or not at all."""
