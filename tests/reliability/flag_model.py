"""A model of flags: what each operation of a bulk run makes of a flag, as the documentation of the service says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import attrs
from attrs import field, frozen

from amp_exp_async import (
    AddCohorts,
    AddDeployments,
    AddUsers,
    CreateExperiment,
    CreateFlag,
    CreateVariant,
    Edit,
    EditVariant,
    Operation,
    RemoveAllUsers,
    RemoveCohorts,
    RemoveDeployment,
    RemoveUsers,
    RemoveVariant,
    ReplaceCohorts,
    ReplaceUsers,
)
from amp_exp_async.bulk.operations import InclusionOperation, VariantOperation


class RejectedError(Exception):
    """The service rejects the operation: it does not change the flag."""


@frozen
class VariantModel:
    """A variant.

    Attributes:
        fields: the fields that were set, by JSON field name; `rolloutWeight` always is.
        users, cohorts: the IDs that it includes, in order.
    """

    fields: Mapping[str, Any]
    users: tuple[str, ...] = ()
    cohorts: tuple[str, ...] = ()


@frozen
class FlagModel:
    """A flag or experiment.

    Attributes:
        fields: some of its fields, by JSON field name.
        variants: its variants by key, in order.
        deployments: the IDs of its deployments, in order.
    """

    fields: Mapping[str, Any]
    variants: Mapping[str, VariantModel] = field(factory=dict[str, VariantModel])
    deployments: tuple[str, ...] = ()


FIELDS = {"name": "name", "description": "description", "tags": "tags", "rollout_percentage": "rolloutPercentage"}
"""The fields of a flag that are compared, with their JSON field names."""
_DEFAULTS = {"description": "", "tags": [], "rolloutPercentage": 0}
_VARIANT_FIELDS = {"name": "name", "payload": "payload", "rollout_weight": "rolloutWeight"}


def apply(flag: FlagModel | None, operation: Operation) -> FlagModel:
    """Return a flag after an operation.

    Args:
        flag: the flag; None if it does not exist.
        operation: the operation.

    Raises:
        RejectedError: If the service rejects it.
    """
    if isinstance(operation, CreateFlag | CreateExperiment):
        return _create(flag, operation)
    if flag is None:
        raise RejectedError
    match operation:
        case Edit(changes=changes):
            return attrs.evolve(flag, fields={**flag.fields, **{FIELDS[name]: new for name, new in changes.items()}})
        case AddDeployments(deployments=deployments):
            return attrs.evolve(flag, deployments=_union(flag.deployments, deployments))
        case RemoveDeployment(deployment=deployment):
            return attrs.evolve(flag, deployments=_without(flag.deployments, [deployment]))
        case CreateVariant(variant=key):
            if key in flag.variants:
                raise RejectedError
            return _with_variant(flag, key, VariantModel({"rolloutWeight": 0, **_variant_fields(operation.fields)}))
        case VariantOperation(variant=key):
            if key not in flag.variants:
                raise RejectedError
            return _change_variant(flag, operation)
    raise AssertionError(operation)


def _create(flag: FlagModel | None, operation: CreateFlag | CreateExperiment) -> FlagModel:
    if flag is not None:
        raise RejectedError
    fields = {"name": operation.key, **_DEFAULTS, **{FIELDS[name]: operation.fields[name] for name in ("description",)}}
    variants = [variant.key for variant in operation.fields["variants"]]
    return FlagModel(fields, {key: VariantModel({"rolloutWeight": 1}) for key in variants})


def _change_variant(flag: FlagModel, operation: VariantOperation) -> FlagModel:
    key, variant = operation.variant, flag.variants[operation.variant]
    if isinstance(operation, RemoveVariant):
        return attrs.evolve(flag, variants={name: kept for name, kept in flag.variants.items() if name != key})
    if isinstance(operation, EditVariant):
        return _edit_variant(flag, operation)
    if isinstance(operation, RemoveAllUsers):
        return _with_variant(flag, key, attrs.evolve(variant, users=()))
    assert isinstance(operation, InclusionOperation)
    member = operation.member
    return _with_variant(flag, key, attrs.evolve(variant, **{member: _include(getattr(variant, member), operation)}))


def _edit_variant(flag: FlagModel, operation: EditVariant) -> FlagModel:
    changes = dict(operation.changes)
    old, new = operation.variant, changes.pop("key", operation.variant)
    if new != old and new in flag.variants:
        raise RejectedError
    variant = flag.variants[old]
    edited = attrs.evolve(variant, fields={**variant.fields, **_variant_fields(changes)})
    # The variant keeps its place under its new key.
    variants = {new if key == old else key: edited if key == old else kept for key, kept in flag.variants.items()}
    return attrs.evolve(flag, variants=variants)


def _include(current: tuple[str, ...], operation: InclusionOperation) -> tuple[str, ...]:
    ids = operation.ids
    match operation:
        case AddUsers() | AddCohorts():
            return _union(current, ids)
        case RemoveUsers() | RemoveCohorts():
            return _without(current, ids)
        case ReplaceUsers() | ReplaceCohorts():
            return _union([id for id in current if id in ids], ids)
    raise AssertionError(operation)


def _variant_fields(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {_VARIANT_FIELDS[name]: value for name, value in fields.items()}


def _with_variant(flag: FlagModel, key: str, variant: VariantModel) -> FlagModel:
    return attrs.evolve(flag, variants={**flag.variants, key: variant})


def _union(current: Iterable[str], ids: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys([*current, *ids]))


def _without(current: Iterable[str], ids: Iterable[str]) -> tuple[str, ...]:
    removed = set(ids)
    return tuple(id for id in current if id not in removed)
