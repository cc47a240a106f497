"""The variants of a flag or an experiment."""

from typing import Any

from amp_exp_async.emulator.call import OK, Call, Reply, json_reply
from amp_exp_async.emulator.documents import Document, is_list, is_object, variant_details
from amp_exp_async.emulator.fields import VARIANT
from amp_exp_async.emulator.refusal import Refusal
from amp_exp_async.emulator.store import FlagConfig


def list_variants(call: Call) -> Reply:
    """List variants in their long form."""
    document = call.toggle().document
    return json_reply([variant_details(document, variant) for variant in document["variants"]])


def get_variant(call: Call) -> Reply:
    """Get variant details."""
    toggle = call.toggle()
    return json_reply(variant_details(toggle.document, call.variant(toggle)))


def create_variant(call: Call) -> Reply:
    """Create a variant; without a rollout weight it gets 0, so that no traffic moves to it."""
    toggle = call.toggle_to_edit()
    variant = call.fields(VARIANT, required=("key",))
    _require_free(toggle, variant["key"])
    weight = variant.pop("rolloutWeight", 0)
    call.state.commit(
        toggle,
        variants=[*toggle.document["variants"], variant],
        rolloutWeights={**_weights(toggle.document), variant["key"]: weight},
    )
    return OK


def edit_variant(call: Call) -> Reply:
    """Edit a variant; under a new key its weights and inclusions go with it."""
    toggle = call.toggle_to_edit()
    old = call.variant(toggle)
    changes = call.fields(VARIANT)
    if not changes:
        raise Refusal(400, "The body has no field to change")
    key: str = old["key"]
    new_key: str = changes.get("key", key)
    if new_key != key:
        _require_free(toggle, new_key)
    weight = {new_key: changes.pop("rolloutWeight")} if "rolloutWeight" in changes else {}
    new = {**old, **changes}
    renamed: Document = _with_key(toggle.document, key, new_key) if new_key != key else {}
    weights = renamed.get("rolloutWeights", _weights(toggle.document))
    if new_key != key and key in toggle.inclusions:
        toggle.inclusions[new_key] = toggle.inclusions.pop(key)
    variants = [new if variant is old else variant for variant in toggle.document["variants"]]
    call.state.commit(toggle, **{**renamed, "rolloutWeights": {**weights, **weight}, "variants": variants})
    return OK


def remove_variant(call: Call) -> Reply:
    """Remove a variant with its weights and inclusions."""
    toggle = call.toggle_to_edit()
    removed = call.variant(toggle)
    variants = [variant for variant in toggle.document["variants"] if variant is not removed]
    toggle.inclusions.pop(removed["key"], None)
    call.state.commit(toggle, **{**_with_key(toggle.document, removed["key"], None), "variants": variants})
    return OK


def _require_free(toggle: FlagConfig, key: str) -> None:
    if toggle.variant(key) is not None:
        raise Refusal(400, f"A variant with key {key!r} already exists")


def _weights(document: Document) -> dict[str, Any]:
    weights = document["rolloutWeights"]
    return weights if is_object(weights) else {}


def _with_key(document: Document, key: str, new_key: str | None) -> Document:
    """The fields that name variants, with the key replaced, or taken out where the new one is `None`."""
    changes: Document = {"rolloutWeights": _rekeyed(_weights(document), key, new_key)}
    if is_list(segments := document["targetSegments"]):
        changes["targetSegments"] = [
            {**segment, "rolloutWeights": _rekeyed(weights, key, new_key)}
            if is_object(weights := segment.get("rolloutWeights"))
            else segment
            for segment in segments
        ]
    return changes


def _rekeyed(weights: dict[str, Any], key: str, new_key: str | None) -> dict[str, Any]:
    """The weights in the same order with one key replaced or taken out."""
    return {
        (new_key if name == key and new_key is not None else name): weight
        for name, weight in weights.items()
        if name != key or new_key is not None
    }
