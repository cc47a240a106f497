"""The explanation of an error that says that a variant, or its flag, does not exist."""

from __future__ import annotations

from collections.abc import Sequence

from amp_exp_async.errors import AmpExpError, NotFoundError
from amp_exp_async.escaping import escape
from amp_exp_async.formatting import format_value
from amp_exp_async.http import FLAG_NOT_FOUND, CallAbandonedError, Request, Transport, build_path
from amp_exp_async.models import Variant

_MAX_SHOWN = 20


async def explain_missing_variant(
    error: NotFoundError, transport: Transport, started: float, *, kind: str, id: str, variant: str
) -> None:
    """Let an error name the existing variants, or say that the flag does not exist.

    Unless the response says that the flag is missing, this reads the variants once. If they cannot be read, or the
    variant exists, the error stays as it is.

    Args:
        error: the error of a call whose path names a variant.
        transport: has sent the call.
        started: the loop time at which the call started.
        kind: `flags` or `experiments`.
        id: the flag's or experiment's ID.
        variant: the variant's key.
    """
    path, owner = build_path(kind, id, "variants"), f"{kind.removesuffix('s').title()} {id}"
    if FLAG_NOT_FOUND in str(error.body).lower():
        error.advice = f"{owner} does not exist. {error.advice}"
        return
    reads = transport.options.explanatory_reads
    if reads is not None and not reads.allow(path):
        return
    try:
        async with transport.to_explain(started).call(Request("GET", path)) as response:
            keys = [known.key for known in await response.parse_list(Variant)]
    except NotFoundError as missing:
        error.advice, error.code_advice = f"{owner} does not exist. {missing.advice}", missing.code_advice
    except (AmpExpError, CallAbandonedError):  # the error of the call is the one that matters
        return
    else:
        if variant not in keys:
            error.advice, error.code_advice = _format_missing_variant(owner, variant, keys), ""
            error.variants = tuple(keys)


def _format_missing_variant(owner: str, variant: str, variants: Sequence[str]) -> str:
    """Return that a flag or experiment does not have a variant, and the keys of the variants that it has."""
    shown = [*map(escape, variants[:_MAX_SHOWN]), *(["…"] if len(variants) > _MAX_SHOWN else [])]
    return f"{owner} has no variant {format_value(variant)}. Its variants: {', '.join(shown) or 'none'}."
