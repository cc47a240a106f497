"""The declared operations are those of the vendor's API reference, with what may be repeated, and are documented."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

from amp_exp_async.emulator import routes
from amp_exp_async.http import Idempotency
from tests.operations.catalog import KINDS, OPERATIONS, method_of
from tests.operations.examples import EXAMPLES

DOCS = Path(__file__).parent.parent.parent / "docs"
VENDOR_PAGES = re.compile(
    r"https://(amplitude\.com/docs/apis/experiment/experiment-management-api-[a-z-]+"
    r"|www\.docs\.developers\.amplitude\.com/experiment/apis/management-api/api-beta/)#[a-z-]+"
)

# From the API reference, independently of the declarations. `{kind}` is `flags` or `experiments`.
FLAGS_AND_EXPERIMENTS = {
    "list": "GET /{kind}",
    "get": "GET /{kind}/{id}",
    "create": "POST /{kind}",
    "edit": "PATCH /{kind}/{id}",
    "versions.list": "GET /{kind}/{id}/versions",
    "versions.get": "GET /{kind}/{id}/versions/{version}",
    "variants.list": "GET /{kind}/{id}/variants",
    "variants.get": "GET /{kind}/{id}/variants/{variant}",
    "variants.create": "POST /{kind}/{id}/variants",
    "variants.edit": "PATCH /{kind}/{id}/variants/{variant}",
    "variants.remove": "DELETE /{kind}/{id}/variants/{variant}",
    "users.list": "GET /{kind}/{id}/variants/{variant}/users",
    "users.add": "POST /{kind}/{id}/variants/{variant}/users",
    "users.remove_at": "DELETE /{kind}/{id}/variants/{variant}/users/{index}",
    "users.remove_all": "DELETE /{kind}/{id}/variants/{variant}/users",
    "users.remove": "DELETE /{kind}/{id}/variants/{variant}/bulk-delete-users",
    "cohorts.list": "GET /{kind}/{id}/variants/{variant}/cohorts",
    "cohorts.add": "POST /{kind}/{id}/variants/{variant}/cohorts",
    "cohorts.remove": "DELETE /{kind}/{id}/variants/{variant}/bulk-delete-cohorts",
    "deployments.list": "GET /{kind}/{id}/deployments",
    "deployments.add": "POST /{kind}/{id}/deployments",
    "deployments.remove": "DELETE /{kind}/{id}/deployments/{deployment}",
}
OTHERS = {
    "deployments.list": "GET /deployments",
    "deployments.create": "POST /deployments",
    "deployments.edit": "PATCH /deployments/{id}",
    "versions.list": "GET /versions",
    "mutexes.list": "GET /mutexes",
    "mutexes.get": "GET /mutexes/{id}",
    "mutexes.create": "POST /mutexes",
    "mutexes.edit": "PATCH /mutexes/{id}",
    "mutexes.edit_slot": "PATCH /mutexes/{id}/slots/{index}",
    "holdouts.list": "GET /holdouts",
    "holdouts.get": "GET /holdouts/{id}",
    "holdouts.create": "POST /holdouts",
    "holdouts.edit": "PATCH /holdouts/{id}",
}
V1 = OTHERS | {
    f"{kind}.{name}": endpoint.replace("{kind}", kind)
    for kind in KINDS
    for name, endpoint in FLAGS_AND_EXPERIMENTS.items()
}
BETA = {
    "experiments.list": "GET /experiments/list",
    "flags.list": "GET /flags/list",
    "deployments.list": "GET /deployments/list",
    "experiments.get": "GET /experiments/{id}",
    "flags.get": "GET /flags/{id}",
    "experiments.versions.list": "GET /experiments/{id}/versions",
    "experiments.versions.get": "GET /experiments/{id}/versions/{version}",
    "flags.versions.list": "GET /flags/{id}/versions",
    "flags.versions.get": "GET /flags/{id}/versions/{version}",
    "experiments.create": "POST /experiments/new",
    "experiments.activate": "POST /experiments/{id}/activate",
    "experiments.deactivate": "POST /experiments/{id}/deactivate",
    "experiments.set_rollout_weights": "POST /experiments/{id}/rollout-weights",
}
# Every other operation may be repeated: a second application changes nothing.
NOT_IDEMPOTENT = {
    Idempotency.CREATE: {
        *("flags.create", "experiments.create", "flags.variants.create", "experiments.variants.create"),
        *("deployments.create", "mutexes.create", "holdouts.create"),
    },
    Idempotency.NON_IDEMPOTENT: {"flags.users.remove_at", "experiments.users.remove_at"},
    Idempotency.DELETE: {
        *("flags.variants.remove", "experiments.variants.remove"),
        *("flags.deployments.remove", "experiments.deployments.remove"),
    },
    Idempotency.RENAME: {"flags.variants.edit", "experiments.variants.edit"},
}


def declared(*, is_beta: bool) -> dict[str, str]:
    """The declared method and path of each operation, with the kind filled in."""
    return {
        name: str(operation).replace("{kind}", name.partition(".")[0])
        for (beta, name), operation in OPERATIONS.items()
        if beta is is_beta
    }


@pytest.mark.parametrize(("reference", "is_beta", "count"), [(V1, False, 57), (BETA, True, 13)], ids=["v1", "beta"])
def test_every_operation_of_the_reference_is_declared(reference: dict[str, str], is_beta: bool, count: int) -> None:
    """All 57 of version 1 and 13 of the Beta API, each by the right method."""
    assert len(reference) == count
    assert reference.items() <= declared(is_beta=is_beta).items()


def test_what_may_be_repeated() -> None:
    """A write is only repeated after a lost response if the API reference allows it."""
    for idempotency, names in NOT_IDEMPOTENT.items():
        assert {name for name in V1 if OPERATIONS[False, name].idempotency is idempotency} == names
    not_idempotent = [name for name in BETA if OPERATIONS[True, name].idempotency is not Idempotency.IDEMPOTENT]
    assert not_idempotent == ["experiments.create"]
    assert OPERATIONS[True, "experiments.create"].idempotency is Idempotency.CREATE
    for operation in OPERATIONS.values():
        assert operation.method != "GET" or operation.idempotency is Idempotency.IDEMPOTENT


def test_docstrings_name_the_request_and_link_to_the_reference() -> None:
    """The docstring of each operation has the declared method and path, and a link to the vendor's page for it."""
    faults = []
    for (is_beta, name), operation in OPERATIONS.items():
        text = method_of(name, is_beta).__doc__ or ""
        kind = name.partition(".")[0]
        if f"`{operation}`" not in text and f"`{str(operation).replace('{kind}', kind)}`" not in text:
            faults.append(f"{name}: the docstring does not name {operation}")
        if not operation.docs or not all(map(VENDOR_PAGES.fullmatch, operation.docs)):
            faults.append(f"{name}: the docstring has no link to the API reference")
    assert not faults


def test_the_emulator_serves_every_operation() -> None:
    """Each operation has a route of its method, and each route has an operation."""
    served = set()
    for example in EXAMPLES:
        prefix = routes.BETA_PREFIX if example.is_beta else routes.PREFIX
        handler, _ = routes.find_route(example.operation.method, f"{prefix}{example.path}")
        served.add(handler)
    assert served == {route.handler for table in routes.ROUTES.values() for route in table}


@pytest.fixture(scope="module")
def generate() -> ModuleType:
    """The script that generates the page, as a module."""
    spec = importlib.util.spec_from_file_location("generate_docs", DOCS / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_the_page_is_up_to_date(generate: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a change of an operation, `python docs/generate.py` updates the page."""
    monkeypatch.setattr(sys, "argv", ["generate.py", "--check"])
    assert generate.main() == 0


def test_an_outdated_page_is_detected(
    generate: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The check fails with a message and writes nothing. Without it, the page is written."""
    page = tmp_path / "operations.md"
    page.write_text(generate.PAGE.read_text(encoding="utf-8").replace("/slots/", "/places/"), encoding="utf-8")
    before = page.read_text(encoding="utf-8")
    monkeypatch.setattr(generate, "PAGE", page)
    monkeypatch.setattr(sys, "argv", ["generate.py", "--check"])
    assert generate.main() == 1
    assert "is out of date" in capsys.readouterr().err
    assert page.read_text(encoding="utf-8") == before
    monkeypatch.setattr(sys, "argv", ["generate.py"])
    assert generate.main() == 0
    assert page.read_text(encoding="utf-8") == (DOCS / "operations.md").read_text(encoding="utf-8")


def test_every_operation_is_on_the_page() -> None:
    """The page has a line for each declared operation, and one line for flags and experiments together."""
    v1, beta = (DOCS / "operations.md").read_text(encoding="utf-8").split("## Beta API")
    lines = re.compile(r"^\| `(\w+ /[^`]*)` \|", re.MULTILINE)
    kinds = re.compile(f" /({'|'.join(KINDS)})(?=/|$)")
    assert set(lines.findall(v1)) == {kinds.sub(" /{kind}", call) for call in declared(is_beta=False).values()}
    assert set(lines.findall(beta)) == set(declared(is_beta=True).values())
