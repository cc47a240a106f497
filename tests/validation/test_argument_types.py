"""Arguments of a wrong type end in an error of the library."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from amp_exp_async import AmpExpError, Edit, ExperimentClient, Manifest, Plan, find_emails, load, read_ids, save

PLAN = Plan(changes=(), service="https://host", manifest=Manifest())
CLIENT = ExperimentClient("management-key", base_url="http://127.0.0.1:1")


@pytest.fixture(scope="module", autouse=True)
def _close_the_client() -> Iterator[None]:
    """End the thread of the client."""
    yield
    CLIENT.close()


class Array:
    """A value that cannot be compared for truth, as an array of numpy."""

    def __eq__(self, other: object) -> Any:
        return self

    __hash__ = None  # type: ignore[assignment]

    def __bool__(self) -> bool:
        raise ValueError("The truth value of an array is ambiguous")


CALLS: dict[str, Callable[[Any], object]] = {
    "load": load,
    "save": lambda wrong: save(Manifest(), wrong),
    "Plan.load": Plan.load,
    "Plan.save": PLAN.save,
    "journal": lambda wrong: CLIENT.bulk([], journal=wrong),
    "read_ids": read_ids,
    "find_emails": find_emails,
    "guarded_edit": lambda wrong: CLIENT.flags.guarded_edit("1", wrong),
    "export": lambda wrong: CLIENT.export(users=wrong),
    "plan": lambda wrong: CLIENT.plan(Manifest(), prune=wrong),
    "kind": lambda wrong: Edit(wrong, "1", {"name": "n"}),
    "on_error": lambda wrong: CLIENT.bulk([], on_error=wrong),
    "allow_insecure_http": lambda wrong: ExperimentClient("management-key", allow_insecure_http=wrong),
    "ssl": lambda wrong: ExperimentClient("management-key", ssl=wrong),
}


@pytest.mark.parametrize("wrong", [5, Array()], ids=["int", "array"])
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_wrong_type(call: Callable[[Any], object], wrong: Any) -> None:
    """It is rejected by name; nothing fails inside."""
    with pytest.raises(AmpExpError, match="must be"):
        call(wrong)


def test_paths_are_text_or_paths(tmp_path: Path) -> None:
    """A file is named by its path, as text or as a `Path`."""
    for path in (tmp_path / "plan.json", str(tmp_path / "plan.json")):
        PLAN.save(path)
        assert Plan.load(path).service == "https://host"
    for path in (tmp_path / "flags.json", str(tmp_path / "flags.json")):
        save(Manifest(flags=[]), path)
        assert load(path) == Manifest(flags=[])
