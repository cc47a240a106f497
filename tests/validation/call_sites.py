"""Call sites: every argument of the client that is an ID, a key or a list of IDs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from operator import attrgetter
from typing import Any, NamedTuple, Protocol, TypeAlias

from amp_exp_async import AsyncExperimentClient

Call: TypeAlias = Callable[[AsyncExperimentClient], Awaitable[object]]

KINDS = ["flags", "experiments"]

VALUE: Any = object()  # a placeholder for the value that a test passes


class Rejected(Protocol):
    """The type of the fixture `rejected`."""

    async def __call__(self, call: Call, argument: str, rule: str) -> str:
        """Assert that a call is rejected, and return the message."""
        ...


class CallSite(NamedTuple):
    """An argument of a method.

    Attributes:
        method: the path of the method; `{kind}` stands for flags and experiments.
        args: the positional arguments.
        keywords: the keyword arguments.
        argument: the name of the argument whose value is `VALUE`.
        max_count: the maximum length of the list; 0 for no maximum.
    """

    method: str
    args: tuple[Any, ...]
    keywords: dict[str, Any]
    argument: str
    max_count: int = 0

    def call(self, kind: str, value: Any) -> Call:
        """Return the call of the method with the value."""
        args = [value if item is VALUE else item for item in self.args]
        keywords = {name: value if item is VALUE else item for name, item in self.keywords.items()}
        return lambda client: attrgetter(self.method.format(kind=kind))(client)(*args, **keywords)


IDS = [
    CallSite("{kind}.get", (VALUE,), {}, "id"),
    CallSite("{kind}.edit", (VALUE,), {"enabled": True}, "id"),
    CallSite("{kind}.archive", (VALUE,), {}, "id"),
    CallSite("{kind}.restore", (VALUE,), {}, "id"),
    CallSite("{kind}.create", (), {"project_id": VALUE, "key": "k"}, "project_id"),
    CallSite("{kind}.list", (), {"project_id": VALUE}, "project_id"),
    CallSite("{kind}.variants.list", (VALUE,), {}, "id"),
    CallSite("{kind}.users.add", (VALUE, "on", ["u"]), {}, "id"),
    CallSite("{kind}.users.remove_all", (VALUE, "on"), {}, "id"),
    CallSite("{kind}.cohorts.list", (VALUE, "on"), {}, "id"),
    CallSite("{kind}.deployments.remove", ("1", VALUE), {}, "deployment"),
    CallSite("{kind}.versions.get", ("1", VALUE), {}, "version"),
    CallSite("deployments.edit", (VALUE,), {"label": "x"}, "id"),
    CallSite("deployments.archive", (VALUE,), {}, "id"),
    CallSite("deployments.restore", (VALUE,), {}, "id"),
    CallSite("mutexes.get", (VALUE,), {}, "id"),
    CallSite("mutexes.edit", (VALUE,), {"name": "x"}, "id"),
    CallSite("mutexes.edit_slot", (VALUE, 1), {"experiments": []}, "id"),
    CallSite("mutexes.archive", (VALUE,), {}, "id"),
    CallSite("mutexes.restore", (VALUE,), {}, "id"),
    CallSite("holdouts.get", (VALUE,), {}, "id"),
    CallSite("holdouts.edit", (VALUE,), {"name": "x"}, "id"),
    CallSite("holdouts.archive", (VALUE,), {}, "id"),
    CallSite("holdouts.restore", (VALUE,), {}, "id"),
]
KEYS = [
    CallSite("{kind}.create", (), {"project_id": "1", "key": VALUE}, "key"),
    CallSite("{kind}.variants.create", ("1",), {"key": VALUE}, "key"),
    CallSite("{kind}.variants.edit", ("1", "on"), {"key": VALUE}, "key"),
    CallSite("deployments.create", (), {"project_id": "1", "label": VALUE, "type": "client"}, "label"),
    CallSite("deployments.edit", ("1",), {"label": VALUE}, "label"),
    CallSite(
        "mutexes.create", (), {"project_id": "1", "name": "n", "slots": [{"percentage": 100}], "key": VALUE}, "key"
    ),
    CallSite("holdouts.create", (), {"project_id": "1", "name": "n", "holdout_percentage": 5, "key": VALUE}, "key"),
]
EXISTING_KEYS = [
    CallSite("{kind}.find", (VALUE,), {}, "key"),
    CallSite("{kind}.list", (), {"key": VALUE}, "key"),
    CallSite("{kind}.variants.get", ("1", VALUE), {}, "variant"),
    CallSite("{kind}.variants.edit", ("1", VALUE), {"name": "x"}, "variant"),
    CallSite("{kind}.variants.remove", ("1", VALUE), {}, "variant"),
    CallSite("{kind}.users.list", ("1", VALUE), {}, "variant"),
    CallSite("{kind}.users.add", ("1", VALUE, ["u"]), {}, "variant"),
    CallSite("{kind}.users.add_many", ("1", VALUE, ["u"]), {}, "variant"),
    CallSite("{kind}.users.remove_at", ("1", VALUE, 0), {}, "variant"),
    CallSite("{kind}.cohorts.list", ("1", VALUE), {}, "variant"),
    CallSite("{kind}.cohorts.add", ("1", VALUE, ["c"]), {}, "variant"),
    CallSite("{kind}.cohorts.remove_many", ("1", VALUE, ["c"]), {}, "variant"),
]
LISTS = [
    CallSite("{kind}.users.add", ("1", "on", VALUE), {}, "users", 2000),
    CallSite("{kind}.users.remove", ("1", "on", VALUE), {}, "users", 100),
    CallSite("{kind}.cohorts.add", ("1", "on", VALUE), {}, "cohorts", 2000),
    CallSite("{kind}.cohorts.remove", ("1", "on", VALUE), {}, "cohorts", 100),
    CallSite("{kind}.deployments.add", ("1", VALUE), {}, "deployments"),
]


def with_kinds(sites: list[CallSite]) -> Iterator[tuple[CallSite, str]]:
    """Yield each call site for flags and for experiments."""
    for site in sites:
        for kind in KINDS if "{kind}" in site.method else KINDS[:1]:
            yield site, kind
