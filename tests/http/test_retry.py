"""The retry decision, the waits, and the reading of `Retry-After`."""

from __future__ import annotations

from itertools import product

from hypothesis import example, given
from hypothesis import strategies as st

from amp_exp_async import RetryPolicy
from amp_exp_async.http.refusals import RefusalKind
from amp_exp_async.http.retry import AttemptResult, Idempotency, RetryDecision, decide

NOW = 1_700_000_000.0
NEVER_REPEATED = {Idempotency.CREATE, Idempotency.NON_IDEMPOTENT}
# How an attempt can end, by what follows from it.
RESULTS: dict[str, list[AttemptResult]] = {
    "accepted": [AttemptResult(200), AttemptResult(201), AttemptResult(204)],
    "rejected": [AttemptResult(status) for status in (301, 302, 307, 401, 403, 405, 418, 422)],
    "rejected for the object": [AttemptResult(status) for status in (400, 409)],
    "not found": [AttemptResult(status, refusal=RefusalKind.NOT_FOUND) for status in (404, 400)],
    "not included": [AttemptResult(400, refusal=RefusalKind.NOT_INCLUDED)],
    "archived": [AttemptResult(400, refusal=RefusalKind.ARCHIVED)],
    "not processed": [AttemptResult(429), AttemptResult(None, sent=False, retryable=True)],
    "hopeless": [AttemptResult(None, sent=False, retryable=False)],
    "ambiguous": [*(AttemptResult(status) for status in (500, 502, 503, 504, 599)), AttemptResult(None, sent=True)],
}


def expected_decision(
    kind: str, idempotency: Idempotency, *, attempts_left: bool, ambiguous_before: bool
) -> RetryDecision:
    """Return the decision that the rules ask for."""
    retry = RetryDecision.RETRY if attempts_left else RetryDecision.RAISE
    confirmed = {("not found", Idempotency.DELETE), ("not included", Idempotency.EXCLUDE)}
    refused = kind in {"rejected for the object", "not included", "archived"} or (kind, idempotency) == (
        "not found",
        Idempotency.RENAME,
    )
    if ambiguous_before and (kind, idempotency) in confirmed:
        return RetryDecision.RETURN
    if ambiguous_before and refused:
        return RetryDecision.RECONCILE
    match kind, idempotency:
        case "accepted", _:
            return RetryDecision.RETURN
        case "ambiguous", Idempotency.CREATE | Idempotency.NON_IDEMPOTENT:
            return RetryDecision.RECONCILE
        case (("ambiguous" | "not processed"), _):
            return retry
        case _:
            return RetryDecision.RAISE


def test_the_decision_after_an_attempt() -> None:
    """It follows the rules for every combination of result, idempotency, attempts left and earlier ambiguity."""
    wrong: list[str] = []
    combinations = product(RESULTS, Idempotency, (True, False), (True, False))
    for kind, idempotency, attempts_left, ambiguous_before in combinations:
        expected = expected_decision(kind, idempotency, attempts_left=attempts_left, ambiguous_before=ambiguous_before)
        for result in RESULTS[kind]:
            decision = decide(result, idempotency, attempts_left=attempts_left, ambiguous_before=ambiguous_before)
            if decision is not expected:
                wrong.append(f"{result} {idempotency} {attempts_left=} {ambiguous_before=}: {decision}")
    assert wrong == []


@given(st.integers(100, 599), st.sampled_from(Idempotency), st.booleans(), st.booleans())
def test_every_status_has_a_decision(
    status: int, idempotency: Idempotency, attempts_left: bool, ambiguous_before: bool
) -> None:
    """Only a 2xx is returned, if the body says nothing about the object. Without attempts left, nothing is retried."""
    result = AttemptResult(status)
    decision = decide(result, idempotency, attempts_left=attempts_left, ambiguous_before=ambiguous_before)
    if decision is RetryDecision.RETURN:
        assert 200 <= status < 300
    else:
        assert not 200 <= status < 300
    if decision is RetryDecision.RETRY:
        assert attempts_left
        assert status == 429 or (status >= 500 and idempotency not in NEVER_REPEATED)


def test_ambiguous_results() -> None:
    """A write may have been applied after a 5xx, or if it was sent and no response arrived."""
    ambiguous = {kind: {result.ambiguous for result in results} for kind, results in RESULTS.items()}
    assert ambiguous == {kind: {kind == "ambiguous"} for kind in RESULTS}


@given(
    attempt=st.integers(1, 5000),
    fraction=st.floats(0, 1),
    base=st.floats(0, 1000),
    cap=st.floats(0, 1000),
)
@example(attempt=1025, fraction=1.0, base=0.25, cap=20.0)
def test_the_bounds_of_a_wait(attempt: int, fraction: float, base: float, cap: float) -> None:
    """A wait is from 0 to the cap, and its bound grows at most by a factor of two per attempt."""
    policy = RetryPolicy(max_attempts=5000, backoff_base=base, backoff_cap=cap)

    assert 0.0 <= policy.wait(attempt, fraction) <= policy.wait(attempt, 1.0) <= cap
    assert policy.wait(attempt, 0.0) == 0.0
    assert policy.wait(1, 1.0) == min(base, cap)
    assert policy.wait(attempt, 1.0) <= policy.wait(attempt + 1, 1.0) <= 2 * policy.wait(attempt, 1.0)


def test_waits_double_up_to_the_cap() -> None:
    """The longest waits are those of the documentation."""
    policy = RetryPolicy(backoff_base=0.5, backoff_cap=3.0)

    assert [policy.wait(attempt, 1.0) for attempt in (1, 2, 3, 4, 5)] == [0.5, 1.0, 2.0, 3.0, 3.0]
    assert policy.wait(3, 0.25) == 0.5
