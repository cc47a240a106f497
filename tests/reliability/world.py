"""A small account at an emulator, and a call of every operation that changes it or reads from it."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from functools import cache
from operator import attrgetter
from typing import Any, Literal, TypeAlias

from attrs import field, frozen

from amp_exp_async import AsyncPager
from amp_exp_async.emulator import Emulator
from amp_exp_async.emulator.state_io import dump_state, parse_state
from amp_exp_async.http import Idempotency
from tests.operations.catalog import OPERATIONS, method_of

PROJECT = "7"
Returned: TypeAlias = Literal["acknowledgement", "created", "document"]

OBJECT, ARCHIVED, ENABLED = "100", "101", "102"
USED, UNUSED, ARCHIVED_DEPLOYMENT = "50", "51", "52"

_TIME = "2026-01-02T03:04:05.678Z"
_TIMES = {"createdAt": _TIME, "lastModifiedAt": _TIME}
_DATED = ("createdAt", "lastModifiedAt")


def _flag(id: str, key: str, *, deleted: bool) -> dict[str, Any]:
    variants = [{"key": "on", "payload": {"colour": "green"}}, {"key": "control"}, {"key": "spare", "name": "Spare"}]
    return {
        "id": id,
        "key": key,
        "projectId": PROJECT,
        "deployments": [USED],
        "variants": variants,
        "deleted": deleted,
        "_type": "release",
        **_TIMES,
    }


def _account() -> dict[str, Any]:
    account: dict[str, Any] = {"inclusions": {}, "versions": {}}
    for kind in ("flags", "experiments"):
        account[kind] = [_flag(OBJECT, f"a-{kind}", deleted=False), _flag(ARCHIVED, f"old-{kind}", deleted=True)]
        account[kind].append({**_flag(ENABLED, f"on-{kind}", deleted=False), "enabled": True})
        account["inclusions"][kind] = {OBJECT: {"on": {"users": ["u1", "u2", "u3"], "cohorts": ["c1", "c2"]}}}
        versions = [
            {
                "version": number,
                "createdAt": _TIME,
                "flagConfig": {"id": OBJECT, "key": f"a-{kind}", "name": f"v{number}"},
            }
            for number in (2, 1)
        ]
        account["versions"][kind] = dict.fromkeys((OBJECT, ARCHIVED, ENABLED), versions)
    account["deployments"] = [
        {"id": USED, "projectId": PROJECT, "label": "web"},
        {"id": UNUSED, "projectId": PROJECT, "label": "app"},
        {"id": ARCHIVED_DEPLOYMENT, "projectId": PROJECT, "label": "old", "deleted": True},
    ]
    project = {"projectId": int(PROJECT)}
    account["mutexes"] = [
        {**project, "id": OBJECT, "name": "prices"},
        {**project, "id": ARCHIVED, "name": "old prices", "_deleted": True},
    ]
    account["holdouts"] = [
        {**project, "id": OBJECT, "name": "no prices", **_TIMES},
        {**project, "id": ARCHIVED, "name": "no old prices", "deleted": True, **_TIMES},
    ]
    return account


@cache
def account() -> Mapping[str, Any]:
    """Return the account as a document. All times in it are fixed, so that two readings of it are equal."""
    return _account()


def restore_account(emulator: Emulator) -> None:
    """Replace the emulator's state by the account."""
    emulator._service.state = parse_state(account(), emulator._now)


def dump_account(emulator: Emulator) -> dict[str, Any]:
    """Return what is in the emulator, without the times of changes and without versions."""
    parts = dump_state(emulator.state)
    del parts["versions"]
    for name in ("flags", "experiments", "holdouts"):
        parts[name] = [{key: value for key, value in item.items() if key not in _DATED} for item in parts[name]]
    return parts


@frozen
class Call:
    """A call of an operation on the account.

    Attributes:
        name: the dotted name of the method.
        is_beta: whether it belongs to the Beta API.
        args, kwargs: the arguments.
        note: tells the calls of one operation apart.
    """

    name: str
    is_beta: bool
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(factory=dict[str, Any])
    note: str = ""

    async def __call__(self, client: Any) -> Any:
        """Make the call, and return its result; a list is read to its end."""
        result = attrgetter(self.name)(client)(*self.args, **self.kwargs)
        if isinstance(result, AsyncPager):
            return [item async for item in result]
        return await result

    def __str__(self) -> str:
        return f"{'beta ' * self.is_beta}{self.name}{self.note and f' ({self.note})'}"

    @property
    def is_read(self) -> bool:
        """Whether the operation changes nothing."""
        return OPERATIONS[self.is_beta, self.name].method == "GET"

    @property
    def idempotency(self) -> Idempotency:
        """What happens if the request is applied twice."""
        declared = OPERATIONS[self.is_beta, self.name].idempotency
        # Only a new key makes the edit of a variant differ the second time.
        return Idempotency.IDEMPOTENT if declared is Idempotency.RENAME and not self.note else declared

    @property
    def returned(self) -> Returned:
        """What the method makes of a response."""
        annotation = str(inspect.signature(method_of(self.name, self.is_beta)).return_annotation)
        if annotation == "None":
            return "acknowledgement"
        return "created" if self.idempotency is Idempotency.CREATE else "document"


_FLAG_CALLS: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = {
    "list": ((), {}),
    "get": ((OBJECT,), {}),
    "archive": ((OBJECT,), {}),
    "restore": ((ARCHIVED,), {}),
    "create": ((), {"project_id": PROJECT, "key": "created", "description": "d", "variants": [{"key": "on"}]}),
    "edit": ((OBJECT,), {"name": "edited", "description": "d"}),
    "variants.list": ((OBJECT,), {}),
    "variants.get": ((OBJECT, "on"), {}),
    "variants.create": ((OBJECT,), {"key": "created", "payload": [1, None]}),
    "variants.edit": ((OBJECT, "spare"), {"name": "edited"}),
    "variants.remove": ((OBJECT, "spare"), {}),
    "users.list": ((OBJECT, "on"), {}),
    "users.add": ((OBJECT, "on", ["u3", "u4"]), {}),
    "users.remove": ((OBJECT, "on", ["u1", "u2"]), {}),
    "users.remove_at": ((OBJECT, "on", 0), {}),
    "users.remove_all": ((OBJECT, "on"), {}),
    "cohorts.list": ((OBJECT, "on"), {}),
    "cohorts.add": ((OBJECT, "on", ["c3"]), {}),
    "cohorts.remove": ((OBJECT, "on", ["c1"]), {}),
    "deployments.list": ((OBJECT,), {}),
    "deployments.add": ((OBJECT, [UNUSED]), {}),
    "deployments.remove": ((OBJECT, USED), {}),
    "versions.list": ((OBJECT,), {}),
    "versions.get": ((OBJECT, "1"), {}),
    # Of the Beta API only.
    "activate": ((OBJECT,), {}),
    "deactivate": ((ENABLED,), {}),
    "set_rollout_weights": ((OBJECT,), {"rollout_weights": {"on": 3, "control": 1}}),
}
_CALLS: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = {
    "flags.find": (("a-flags",), {"project_id": PROJECT}),
    "experiments.find": (("a-experiments",), {}),
    "deployments.list": ((), {}),
    "deployments.create": ((), {"project_id": PROJECT, "label": "created", "type": "server"}),
    "deployments.edit": ((UNUSED,), {"label": "edited"}),
    "deployments.archive": ((UNUSED,), {}),
    "deployments.restore": ((ARCHIVED_DEPLOYMENT,), {}),
    "versions.list": ((), {}),
    "mutexes.create": ((), {"project_id": PROJECT, "name": "created", "slots": [{"percentage": 100}]}),
    "mutexes.edit_slot": ((OBJECT, 1), {"individuals": ["i1"]}),
    "holdouts.create": ((), {"project_id": PROJECT, "name": "created", "holdout_percentage": 5}),
}
_RENAMES = {f"{kind}.variants.edit": ((OBJECT, "spare"), {"key": "renamed"}) for kind in ("flags", "experiments")}


def _calls() -> Iterator[Call]:
    for is_beta, name in OPERATIONS:
        args, kwargs = _CALLS.get(name) or _FLAG_CALLS[name.partition(".")[2]]
        if is_beta and name == "experiments.create":
            kwargs = {**kwargs, "sticky_bucketing": True}
        yield Call(name, is_beta, args, kwargs)
        if name in _RENAMES:
            yield Call(name, is_beta, *_RENAMES[name], note="renamed")


CALLS = tuple(_calls())
"""At least one call of every operation."""
