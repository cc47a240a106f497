"""Which operation a method and a path name."""

from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import unquote

from attrs import frozen

from amp_exp_async.emulator import (
    beta,
    deployments,
    group_operations,
    inclusions,
    toggle_deployments,
    toggles,
    variants,
    versions,
)
from amp_exp_async.emulator.call import Operation
from amp_exp_async.emulator.documents import KINDS
from amp_exp_async.emulator.refusal import Refusal

PREFIX: Final = "/api/1"
BETA_PREFIX: Final = "/beta"  # the emulator's own: at the service, the Beta API has a host of its own

Routes = tuple[tuple[str, str, Operation], ...]
"""Operations with their methods and paths; of two paths that a request may fit, the first is its path."""

_TOGGLES: Final = "/{kind}"
_TOGGLE: Final = "/{kind}/{id}"
_VARIANT: Final = "/{kind}/{id}/variants/{variant}"

ROUTES: Final[Routes] = (
    ("GET", _TOGGLES, toggles.list_toggles),
    ("POST", _TOGGLES, toggles.create_toggle),
    ("GET", _TOGGLE, toggles.get_toggle),
    ("PATCH", _TOGGLE, toggles.edit_toggle),
    ("GET", f"{_TOGGLE}/versions", toggles.list_versions),
    ("GET", f"{_TOGGLE}/versions/{{version}}", toggles.get_version),
    ("GET", f"{_TOGGLE}/variants", variants.list_variants),
    ("POST", f"{_TOGGLE}/variants", variants.create_variant),
    ("GET", _VARIANT, variants.get_variant),
    ("PATCH", _VARIANT, variants.edit_variant),
    ("DELETE", _VARIANT, variants.remove_variant),
    ("GET", f"{_VARIANT}/users", inclusions.list_members("users")),
    ("POST", f"{_VARIANT}/users", inclusions.add_members("users")),
    ("DELETE", f"{_VARIANT}/users", inclusions.remove_all_users),
    ("DELETE", f"{_VARIANT}/users/{{index}}", inclusions.remove_user),
    ("DELETE", f"{_VARIANT}/bulk-delete-users", inclusions.bulk_remove_members("users")),
    ("GET", f"{_VARIANT}/cohorts", inclusions.list_members("cohorts")),
    ("POST", f"{_VARIANT}/cohorts", inclusions.add_members("cohorts")),
    ("DELETE", f"{_VARIANT}/bulk-delete-cohorts", inclusions.bulk_remove_members("cohorts")),
    ("GET", f"{_TOGGLE}/deployments", toggle_deployments.list_toggle_deployments),
    ("POST", f"{_TOGGLE}/deployments", toggle_deployments.add_deployments),
    ("DELETE", f"{_TOGGLE}/deployments/{{deployment}}", toggle_deployments.remove_deployment),
    ("GET", "/deployments", deployments.list_deployments),
    ("POST", "/deployments", deployments.create_deployment),
    ("PATCH", "/deployments/{id}", deployments.edit_deployment),
    ("GET", "/versions", versions.list_all_versions),
    ("GET", "/mutexes", group_operations.list_groups("mutexes")),
    ("POST", "/mutexes", group_operations.create_group("mutexes")),
    ("GET", "/mutexes/{id}", group_operations.get_group("mutexes")),
    ("PATCH", "/mutexes/{id}", group_operations.edit_group("mutexes")),
    ("PATCH", "/mutexes/{id}/slots/{slot}", group_operations.edit_slot),
    ("GET", "/holdouts", group_operations.list_groups("holdouts")),
    ("POST", "/holdouts", group_operations.create_group("holdouts")),
    ("GET", "/holdouts/{id}", group_operations.get_group("holdouts")),
    ("PATCH", "/holdouts/{id}", group_operations.edit_group("holdouts")),
)

BETA_ROUTES: Final[Routes] = (
    ("GET", "/{kind}/list", beta.list_toggles),
    ("GET", "/deployments/list", deployments.list_deployments),
    ("POST", "/experiments/new", beta.create_experiment),
    ("GET", _TOGGLE, toggles.get_toggle),
    ("GET", f"{_TOGGLE}/versions", toggles.list_versions),
    ("GET", f"{_TOGGLE}/versions/{{version}}", toggles.get_version),
    ("POST", "/experiments/{id}/activate", beta.set_enabled(True)),
    ("POST", "/experiments/{id}/deactivate", beta.set_enabled(False)),
    ("POST", "/experiments/{id}/rollout-weights", beta.set_rollout_weights),
)


@frozen
class Route:
    """An operation with the decoded parameters of the path that named it."""

    operation: Operation
    path: Mapping[str, str]


def below_prefix(path: str) -> str:
    """The path after `/api/1`; one that does not begin with it stays whole."""
    return path.removeprefix(PREFIX) if path.startswith(f"{PREFIX}/") else path


def find(method: str, path: str) -> Route:
    """The route of a path as it came over the wire: 404 if there is none, 405 if it has other methods."""
    prefix = next((prefix for prefix in _TABLES if path.startswith(f"{prefix}/")), None)
    if prefix is None:
        raise Refusal(404, f"There is nothing at {path}; every path begins with {' or '.join(_TABLES)}")
    segments = path.removeprefix(prefix).split("/")
    for template, operations in _TABLES[prefix].get(len(segments), {}).items():
        parameters = _parameters(template, segments)
        if parameters is None:
            continue
        if method not in operations:
            raise Refusal(405, f"{path} has no {method}, only {', '.join(operations)}")
        return Route(operations[method], parameters)
    raise Refusal(404, f"There is nothing at {path}")


def _parameters(template: Sequence[str], segments: Sequence[str]) -> dict[str, str] | None:
    """The decoded parameters of a path that fits the template; `None` if it does not."""
    parameters: dict[str, str] = {}
    for wanted, segment in zip(template, segments, strict=True):
        if wanted == "{kind}" and segment not in KINDS:
            return None
        # Decoding comes after splitting, so an encoded slash stays a part of its parameter.
        if wanted.startswith("{"):
            parameters[wanted[1:-1]] = unquote(segment)
        elif wanted != segment:
            return None
    return parameters


def _by_length(routes: Routes) -> dict[int, dict[Sequence[str], dict[str, Operation]]]:
    """The operations by method, by template, by its number of segments."""
    table: dict[int, dict[Sequence[str], dict[str, Operation]]] = {}
    for method, template, operation in routes:
        segments = tuple(template.split("/"))
        table.setdefault(len(segments), {}).setdefault(segments, {})[method] = operation
    return table


_TABLES: Final = {PREFIX: _by_length(ROUTES), BETA_PREFIX: _by_length(BETA_ROUTES)}
