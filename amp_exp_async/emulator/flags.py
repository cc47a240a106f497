"""Operations on flags and experiments, and on their variants, inclusions, deployments and versions."""

from collections.abc import Callable, Collection, Iterable
from datetime import datetime
from typing import Any, Final

from amp_exp_async.emulator import flag_fields, refusals
from amp_exp_async.emulator.documents import (
    SINGULAR,
    Document,
    is_list,
    is_object,
    is_web,
    parse_timestamp,
    public,
    variant_details,
)
from amp_exp_async.emulator.paging import page_response
from amp_exp_async.emulator.routes import OK, EmulatorResponse, RequestContext, beta_route, json_response, route
from amp_exp_async.emulator.store import Member, StoredFlag
from amp_exp_async.emulator.validation import Fields, HTTPError, list_of, mapping_of, non_empty_string, string, weight

_FLAGS: Final = "/{kind}"
_FLAG: Final = "/{kind}/{id}"
_VARIANT: Final = "/{kind}/{id}/variants/{variant}"

_MAX_USERS: Final = 2000
_MAX_REMOVED: Final = 100

# Flags and experiments


@route("GET", _FLAGS)
def list_flags(request: RequestContext) -> EmulatorResponse:
    """List flags or experiments."""
    key, project = request.query.get("key"), request.query.get("projectId")
    delivery_method = request.query.get("deliveryMethod") if request.kind == "experiments" else None
    if delivery_method not in (None, "feature", "web"):
        raise HTTPError(400, f'"deliveryMethod" must be feature or web, not {delivery_method}')
    include_archived = _boolean_parameter(request, "includeArchived")
    if project is not None:
        request.api_key.require(project)
    return _page_of_flags(
        request,
        lambda document: (
            (include_archived or not document["deleted"])
            and key in (None, document["key"])
            and (delivery_method is None or is_web(document) == (delivery_method == "web"))
            and project in (None, str(document["projectId"]))
        ),
    )


@route("POST", _FLAGS)
def create_flag(request: RequestContext) -> EmulatorResponse:
    """Create a flag or experiment."""
    created = _add_flag(request, request.fields(flag_fields.CREATE[request.kind], flag_fields.REQUIRED))
    id, project = created["id"], created["projectId"]
    return json_response({"id": id, "url": f"http://experiment.amplitude.com/amplitude/{project}/config/{id}"})


@route("GET", _FLAG)
@beta_route("GET", _FLAG)
def get_flag(request: RequestContext) -> EmulatorResponse:
    """Get a flag or experiment."""
    return json_response(public(request.flag().document))


@route("PATCH", _FLAG)
def edit_flag(request: RequestContext) -> EmulatorResponse:
    """Edit the fields that were sent, null included."""
    flag = request.editable_flag(archived=True)
    changes = request.changes(flag_fields.EDIT[request.kind])
    _require_bandit_scope(request, {**flag.document, **changes})
    if request.live is not None:
        refusals.check_edit(request.state, request.kind, flag, changes, request.live)
    if "archive" in changes:
        changes["deleted"] = changes.pop("archive")
    request.state.update(flag, **changes)
    return OK


@beta_route("GET", "/{kind}/list")
def list_flags_beta(request: RequestContext) -> EmulatorResponse:
    """List flags or experiments; the Beta API has no filters, and omits archived ones."""
    return _page_of_flags(request, lambda document: not document["deleted"])


@beta_route("POST", "/experiments/new")
def create_experiment_beta(request: RequestContext) -> EmulatorResponse:
    """Create an experiment, and respond with its document."""
    return json_response(public(_add_flag(request, request.fields(flag_fields.BETA_CREATE, flag_fields.REQUIRED))))


@beta_route("POST", "/experiments/{id}/activate")
def activate_experiment(request: RequestContext) -> EmulatorResponse:
    """Enable an experiment, which may be enabled; a body is ignored."""
    flag = request.editable_flag()
    if request.live is not None:
        refusals.check_enable(request.state, request.kind, flag)
    request.state.update(flag, enabled=True)
    return OK


@beta_route("POST", "/experiments/{id}/deactivate")
def deactivate_experiment(request: RequestContext) -> EmulatorResponse:
    """Disable an experiment, which may be disabled; a body is ignored."""
    request.state.update(request.editable_flag(), enabled=False)
    return OK


@beta_route("POST", "/experiments/{id}/rollout-weights")
def set_rollout_weights(request: RequestContext) -> EmulatorResponse:
    """Replace the rollout weights."""
    fields: Fields = {"rolloutWeights": mapping_of(weight)}
    request.state.update(request.editable_flag(), **request.fields(fields, ("rolloutWeights",)))
    return OK


def _page_of_flags(request: RequestContext, is_listed: Callable[[Document], bool]) -> EmulatorResponse:
    def document_of(flag: StoredFlag) -> Document | None:
        document = flag.document
        listed = is_listed(document) and request.api_key.can_see(document["projectId"])
        return public(document) if listed else None

    return page_response(request, request.kind, list(request.state.stored_flags[request.kind].values()), document_of)


def _add_flag(request: RequestContext, fields: Document) -> Document:
    """Add a flag or experiment with fields that are valid one by one. Returns its document."""
    request.api_key.require_scope("experimentation")
    _require_bandit_scope(request, fields)
    project, key = fields["projectId"], fields["key"]
    request.api_key.require(project)
    for flag in request.state.stored_flags[request.kind].values():
        if flag.document["key"] == key and str(flag.document["projectId"]) == project:
            name = SINGULAR[request.kind].title()
            raise HTTPError(400, f"{name} {key} already exists in project {project}")
    keys = [variant["key"] for variant in fields.get("variants", [])]
    if len(keys) != len(set(keys)):
        raise HTTPError(400, '"variants" has duplicate keys')
    if request.live is not None:
        refusals.check_create(request.state, fields)
    _require_deployments(request, fields.get("deployments", []))
    return request.state.add(request.kind, fields)


def _require_bandit_scope(request: RequestContext, fields: Document) -> None:
    if request.kind == "experiments" and fields.get("experimentType") == "multi-arm-bandit":
        request.api_key.require_scope("experiment_multi_armed_bandit")


def _boolean_parameter(request: RequestContext, name: str) -> bool:
    text = request.query.get(name, "false")
    if text not in ("true", "false"):
        raise HTTPError(400, f'"{name}" must be true or false, not {text}')
    return text == "true"


# Variants


@route("GET", f"{_FLAG}/variants")
def list_variants(request: RequestContext) -> EmulatorResponse:
    """List variants in their long form."""
    document = request.flag().document
    return json_response([variant_details(document, variant) for variant in document["variants"]])


@route("POST", f"{_FLAG}/variants")
def create_variant(request: RequestContext) -> EmulatorResponse:
    """Create a variant; its default weight is 0, so that it gets no traffic."""
    flag = request.editable_flag()
    variant = request.fields(flag_fields.EDIT_VARIANT, required=("key",))
    _require_usable_key(request, flag, variant["key"])
    weight = variant.pop("rolloutWeight", 0)
    request.state.update(
        flag,
        variants=[*flag.document["variants"], variant],
        rolloutWeights={**_weights(flag.document), variant["key"]: weight},
    )
    return OK


@route("GET", _VARIANT)
def get_variant(request: RequestContext) -> EmulatorResponse:
    """Get a variant in its long form."""
    flag = request.flag()
    return json_response(variant_details(flag.document, request.variant(flag)))


@route("PATCH", _VARIANT)
def edit_variant(request: RequestContext) -> EmulatorResponse:
    """Edit a variant; if its key changes, its weights and inclusions move to the new key."""
    flag = request.editable_flag()
    variant = request.variant(flag)
    changes = request.changes(flag_fields.EDIT_VARIANT)
    key: str = variant["key"]
    new_key: str = changes.get("key", key)
    renamed: Document = {}
    if new_key != key:
        _require_usable_key(request, flag, new_key)
        _require_no_dependents(request, flag, key, "rename the variant")
        renamed = _with_key(flag.document, key, new_key)
    weights = renamed.get("rolloutWeights", _weights(flag.document))
    if "rolloutWeight" in changes:
        weights = {**weights, new_key: changes.pop("rolloutWeight")}
    if new_key != key and key in flag.inclusions:
        flag.inclusions[new_key] = flag.inclusions.pop(key)
    edited = {**variant, **changes}
    variants = [edited if other is variant else other for other in flag.document["variants"]]
    request.state.update(flag, **{**renamed, "rolloutWeights": weights, "variants": variants})
    return OK


@route("DELETE", _VARIANT)
def remove_variant(request: RequestContext) -> EmulatorResponse:
    """Remove a variant with its weights and inclusions."""
    flag = request.editable_flag()
    removed = request.variant(flag)
    _require_no_dependents(request, flag, removed["key"], "remove the variant")
    variants = [variant for variant in flag.document["variants"] if variant is not removed]
    flag.inclusions.pop(removed["key"], None)
    request.state.update(flag, **{**_with_key(flag.document, removed["key"], None), "variants": variants})
    return OK


def _require_usable_key(request: RequestContext, flag: StoredFlag, key: str) -> None:
    if request.live is not None:
        refusals.check_variant_key(key, "key")
    if flag.variant(key) is not None:
        raise HTTPError(400, f"Variant {key} already exists")


def _require_no_dependents(request: RequestContext, flag: StoredFlag, variant: str, action: str) -> None:
    if request.live is not None:
        refusals.check_dependents(request.state, flag, action, variant)


def _weights(document: Document) -> dict[str, Any]:
    weights = document["rolloutWeights"]
    return weights if is_object(weights) else {}


def _with_key(document: Document, key: str, new_key: str | None) -> Document:
    """Return the fields that name variants, with a key replaced, or removed if the new one is `None`."""
    changes: Document = {"rolloutWeights": _rename_key(_weights(document), key, new_key)}
    if is_list(segments := document["targetSegments"]):
        changes["targetSegments"] = [
            {**segment, "rolloutWeights": _rename_key(weights, key, new_key)}
            if is_object(weights := segment.get("rolloutWeights"))
            else segment
            for segment in segments
        ]
    return changes


def _rename_key(weights: dict[str, Any], key: str, new_key: str | None) -> dict[str, Any]:
    """Return the weights in the same order with a key replaced, or removed if the new one is `None`."""
    return {
        (new_key if name == key and new_key is not None else name): weight
        for name, weight in weights.items()
        if name != key or new_key is not None
    }


# Inclusions: the users and cohorts of a variant, two ordered sets of IDs


@route("GET", f"{_VARIANT}/users", member="users")
@route("GET", f"{_VARIANT}/cohorts", member="cohorts")
def list_inclusions(request: RequestContext) -> EmulatorResponse:
    """List the variant's users or cohorts."""
    flag = request.flag()
    return json_response(flag.members(request.variant(flag)["key"], _member(request)))


@route("POST", f"{_VARIANT}/users", member="users")
@route("POST", f"{_VARIANT}/cohorts", member="cohorts")
def add_inclusions(request: RequestContext) -> EmulatorResponse:
    """Add IDs; an existing one keeps its place. If there would be too many users, none is added."""
    flag, variant = _editable_variant(request)
    member = _member(request)
    ids = request.fields({"inclusions": list_of(non_empty_string)}, required=("inclusions",))["inclusions"]
    if member == "cohorts" and request.live is not None:
        refusals.check_cohorts(ids, request.live)
    merged = list(dict.fromkeys([*flag.members(variant, member), *ids]))
    if member == "users" and len(merged) > _MAX_USERS:
        raise HTTPError(400, f"Variant {variant} would have {len(merged)} inclusions; the maximum is {_MAX_USERS}")
    return _set_inclusions(request, flag, variant, member, merged)


@route("DELETE", f"{_VARIANT}/bulk-delete-users", member="users")
@route("DELETE", f"{_VARIANT}/bulk-delete-cohorts", member="cohorts")
def bulk_remove_inclusions(request: RequestContext) -> EmulatorResponse:
    """Remove at most 100 IDs, and ignore unknown ones. The field is `users` for cohorts too."""
    flag, variant = _editable_variant(request)
    member = _member(request)
    fields = request.fields({"users": list_of(string, max_items=_MAX_REMOVED)}, required=("users",))
    removed, included = set(fields["users"]), flag.members(variant, member)
    if member == "cohorts" and request.live is not None:
        refusals.check_cohorts(removed, request.live)
        refusals.check_removed_cohorts(removed, included)
    kept = [id for id in included if id not in removed]
    return _set_inclusions(request, flag, variant, member, kept)


@route("DELETE", f"{_VARIANT}/users")
def remove_all_users(request: RequestContext) -> EmulatorResponse:
    """Remove all users of the variant."""
    flag, variant = _editable_variant(request)
    return _set_inclusions(request, flag, variant, "users", [])


@route("DELETE", f"{_VARIANT}/users/{{index}}")
def remove_user(request: RequestContext) -> EmulatorResponse:
    """Remove the user at an index from 0; the later users move up."""
    flag, variant = _editable_variant(request)
    users, text = flag.members(variant, "users"), request.path["index"]
    if not (text.isascii() and text.isdigit()):
        raise HTTPError(400, f"The user's index must be an integer of at least 0, not {text}")
    index = int(text)
    if index >= len(users):
        raise HTTPError(404, f"Variant {variant} has {len(users)} users, none at index {index}")
    return _set_inclusions(request, flag, variant, "users", [*users[:index], *users[index + 1 :]])


def _member(request: RequestContext) -> Member:
    return "users" if request.path["member"] == "users" else "cohorts"


def _editable_variant(request: RequestContext) -> tuple[StoredFlag, str]:
    flag = request.editable_flag()
    return flag, request.variant(flag)["key"]


def _set_inclusions(
    request: RequestContext, flag: StoredFlag, variant: str, member: Member, ids: Collection[str]
) -> EmulatorResponse:
    flag.inclusions.setdefault(variant, {})[member] = list(ids)
    request.state.update(flag)
    return OK


# Deployments of a flag or experiment


@route("GET", f"{_FLAG}/deployments")
def list_flag_deployments(request: RequestContext) -> EmulatorResponse:
    """List the deployments as complete objects."""
    stored = request.state.stored_deployments
    ids = [str(id) for id in request.flag().document["deployments"]]
    return json_response([public(stored[id]) for id in ids if id in stored])


@route("POST", f"{_FLAG}/deployments")
def add_deployments(request: RequestContext) -> EmulatorResponse:
    """Add deployments, and ignore those that the flag has."""
    flag = request.editable_flag()
    ids = request.fields({"deployments": list_of(non_empty_string)}, required=("deployments",))["deployments"]
    _require_deployments(request, ids)
    current = [str(id) for id in flag.document["deployments"]]
    request.state.update(flag, deployments=list(dict.fromkeys([*current, *ids])))
    return OK


@route("DELETE", f"{_FLAG}/deployments/{{deployment}}")
def remove_deployment(request: RequestContext) -> EmulatorResponse:
    """Remove a deployment; reject with 404 if the flag does not have it."""
    flag = request.editable_flag()
    current, id = flag.document["deployments"], request.path["deployment"]
    kept = [other for other in current if str(other) != id]
    if len(kept) == len(current):
        raise HTTPError(404, f"The {request.flag_name} has no deployment {id}")
    request.state.update(flag, deployments=kept)
    return OK


def _require_deployments(request: RequestContext, ids: Iterable[str]) -> None:
    for id in ids:
        deployment = request.state.stored_deployments.get(id)
        if deployment is None:
            raise HTTPError(400, f"No deployment has ID {id}")
        request.api_key.require(deployment["projectId"])


# Versions


@route("GET", f"{_FLAG}/versions")
@beta_route("GET", f"{_FLAG}/versions")
def list_versions(request: RequestContext) -> EmulatorResponse:
    """List the versions of a flag or experiment, newest first."""
    return json_response(request.flag().versions[::-1])


@route("GET", f"{_FLAG}/versions/{{version}}")
@beta_route("GET", f"{_FLAG}/versions/{{version}}")
def get_version(request: RequestContext) -> EmulatorResponse:
    """Get a version of a flag or experiment."""
    number = request.path["version"]
    for version in request.flag().versions:
        if str(version["version"]) == number:
            return json_response(version)
    raise HTTPError(404, f"The {request.flag_name} has no version {number}")


@route("GET", "/versions")
def list_all_versions(request: RequestContext) -> EmulatorResponse:
    """List the versions of all flags and experiments, from `start` and before `end`.

    The cursor is a number, independent of the emulator's setting.
    """
    start, end = _time_parameter(request, "start"), _time_parameter(request, "end")

    def document_of(entry: tuple[StoredFlag, Document]) -> Document | None:
        flag, version = entry
        if not request.api_key.can_see(flag.document["projectId"]):
            return None
        created = parse_timestamp(version["createdAt"])
        return version if (start is None or start <= created) and (end is None or created < end) else None

    return page_response(request, "versions", request.state.history, document_of, cursor_type="number")


def _time_parameter(request: RequestContext, name: str) -> datetime | None:
    text = request.query.get(name)
    if text is None:
        return None
    try:
        return parse_timestamp(text)
    except ValueError:
        raise HTTPError(400, f'"{name}" must be a date in ISO 8601, not {text}') from None
