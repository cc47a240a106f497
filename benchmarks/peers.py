"""The flag as a model of pydantic, and of plain cattrs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import attrs
from cattrs import Converter
from cattrs.gen import make_dict_structure_fn, override
from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


class _PydanticModel(BaseModel):
    model_config = ConfigDict(extra="allow", alias_generator=to_camel)


class PydanticVariant(_PydanticModel):
    """A variant."""

    key: str
    name: str | None = None
    payload: Any = None
    description: str | None = None
    rollout_weight: float | None = None


class PydanticCondition(_PydanticModel):
    """A condition of a segment."""

    prop: str | None = None
    op: str | None = None
    values: list[str] | None = None
    type: str | None = None


class PydanticSegment(_PydanticModel):
    """A target segment."""

    name: str | None = None
    conditions: list[PydanticCondition] | None = None
    percentage: float | None = None
    rollout_weights: dict[str, float] | None = None
    bucketing_key: str | None = None


class PydanticParents(_PydanticModel):
    """The flags that a flag depends on."""

    flags: dict[str, list[str]] | None = None
    operator: str | None = None


class PydanticFlag(_PydanticModel):
    """A flag."""

    id: str
    key: str
    project_id: str | None = None
    name: str | None = None
    description: str | None = None
    enabled: bool | None = None
    deployments: list[str] | None = None
    evaluation_mode: str | None = None
    bucketing_key: str | None = None
    bucketing_salt: str | None = None
    bucketing_unit: str | None = None
    variants: list[PydanticVariant] | None = None
    rollout_percentage: float | None = None
    rollout_weights: dict[str, float] | None = None
    target_segments: list[PydanticSegment] | None = None
    parent_dependencies: PydanticParents | None = None
    tags: list[str] | None = None
    deleted: bool | None = None
    created_by: str | None = None
    created_at: datetime | None = None
    last_modified_by: str | None = None
    last_modified_at: datetime | None = None


class PydanticPage(_PydanticModel):
    """A page of flags."""

    flags: list[PydanticFlag]
    next_cursor: str | None = None


def _attrs_class(model: type[BaseModel], **nested: Any) -> type:
    """Return a frozen attrs class with the fields of a pydantic model, and `extra` for unknown ones."""
    fields = {name: nested.get(name, info.annotation) for name, info in model.model_fields.items()}
    body: dict[str, Any] = {
        name: attrs.field(default=attrs.NOTHING if model.model_fields[name].is_required() else None, type=kind)
        for name, kind in fields.items()
    }
    body["extra"] = attrs.field(factory=dict, type=dict[str, Any])
    return attrs.make_class(model.__name__.replace("Pydantic", "Plain"), body, frozen=True, slots=True, kw_only=True)


PlainVariant: Any = _attrs_class(PydanticVariant)
PlainCondition: Any = _attrs_class(PydanticCondition)
PlainSegment: Any = _attrs_class(PydanticSegment, conditions=list[PlainCondition] | None)
PlainParents: Any = _attrs_class(PydanticParents)
PlainFlag: Any = _attrs_class(
    PydanticFlag,
    variants=list[PlainVariant] | None,
    target_segments=list[PlainSegment] | None,
    parent_dependencies=PlainParents | None,
)
PlainPage: Any = _attrs_class(PydanticPage, flags=list[PlainFlag])


def make_plain_converter() -> Converter:
    """Return a converter that renames fields to camelCase and keeps unknown ones, as in the docs of cattrs."""
    converter = Converter()
    converter.register_structure_hook(datetime, lambda value, _: datetime.fromisoformat(value))

    def keep_unknown(cls: Any) -> Callable[[Any, Any], Any]:
        names = [field.name for field in attrs.fields(cls) if field.name != "extra"]
        overrides: Any = {name: override(rename=to_camel(name)) for name in names}
        structure = make_dict_structure_fn(cls, converter, **overrides)
        known = {to_camel(name) for name in names}

        def hook(document: dict[str, Any], kind: Any) -> Any:
            unknown = {name: value for name, value in document.items() if name not in known}
            return structure({**document, "extra": unknown}, kind)

        return hook

    converter.register_structure_hook_factory(attrs.has)(keep_unknown)
    return converter
