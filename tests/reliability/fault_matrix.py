"""The cells of the fault matrix, and what is checked in each."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator
from typing import Any

from attrs import define, field, frozen

from amp_exp_async import AmpExpError, Created, RetryPolicy
from amp_exp_async.http import Idempotency
from tests.polling import TIMEOUT
from tests.reliability.emulator_process import EmulatorProcess
from tests.reliability.exposure import LogWatch, find_secrets
from tests.reliability.fault_proxy import WARM_UP, FaultProxy, Plan
from tests.reliability.fault_rules import ATTEMPTS, Expectation, expect
from tests.reliability.figures import Figures
from tests.reliability.wire_faults import BODY_BOUND, DEADLINE, IDLE_FAULTS, LOST, SLOW, WireFault
from tests.reliability.world import Call, dump_account, restore_account

_keys = itertools.count()
_PATIENT_ATTEMPTS = 10  # of a call whose first attempt is too slow, because the next ones may be too on a busy machine


@frozen
class Cell:
    """A call whose first request, or every request, meets a fault."""

    call: Call
    fault: WireFault
    always: bool

    def __str__(self) -> str:
        return f"{self.call} meets {self.fault} {'always' if self.always else 'once'}"


@frozen
class IdleCell:
    """A call on a connection to which something has happened while it was idle.

    Attributes:
        call: the call.
        fault: the name of what has happened, in `IDLE_FAULTS`.
        blocked: whether the event loop was blocked meanwhile, so that it has not noticed.
    """

    call: Call
    fault: str
    blocked: bool

    def __str__(self) -> str:
        return f"{self.call} after {self.fault}{', unnoticed' * self.blocked}"


@frozen
class Baseline:
    """What a call does without a fault: its result, and the account before and after it."""

    result: Any
    before: Any
    after: Any


@define(eq=False)
class Matrix:
    """A runner of cells.

    Args:
        proxy: what the clients send their requests to.
        emulator: the emulator behind it.
        make_client: creates clients.
        log: watches for the keys of the clients.
        baselines: what calls do without a fault, by name; the runner adds those that it needs.

    Attributes:
        wrong: what was not as expected, one line for each finding.
        requests: the number of requests that arrived.
        cells: the number of cells that were run.
    """

    _proxy: FaultProxy
    _emulator: EmulatorProcess
    _make_client: Any
    _log: LogWatch
    _baselines: dict[str, Baseline]
    wrong: list[str] = field(factory=list[str])
    requests: int = 0
    cells: int = 0

    async def run(self, cell: Cell) -> None:
        """Run a cell, and record what is wrong."""
        await self._find_baseline(cell.call)
        timeout, attempts = 10.0, ATTEMPTS
        if cell.fault.is_slow:
            timeout, attempts = SLOW, ATTEMPTS if cell.always else _PATIENT_ATTEMPTS
        client = await self._open(cell.call, timeout=timeout, attempts=attempts)
        plan = self._start(Plan(cell.fault, cell.always))
        expected = expect(cell.call, cell.fault, always=cell.always)
        exact = not cell.fault.is_slow  # a busy machine may be slow once more
        await self._finish(cell, client, plan, expected, exact=exact)

    async def run_idle(self, cell: IdleCell, *, is_lost: bool = False) -> None:
        """Run a cell on an idle connection, and record what is wrong.

        Args:
            cell: the cell.
            is_lost: whether a request that may be repeated is lost, because nothing looks at the connection before it.
        """
        await self._find_baseline(cell.call)
        client = await self._open(cell.call)
        plan = self._start(Plan(idle=IDLE_FAULTS[cell.fault]))
        await client.request("GET", WARM_UP)
        if cell.blocked:
            assert plan.is_idle.wait(TIMEOUT)
        else:
            assert await asyncio.to_thread(plan.is_idle.wait, TIMEOUT)
            await asyncio.sleep(0.005)
        if is_lost:
            plan.idle = None
        is_lost = is_lost and cell.call.idempotency.may_repeat
        expected = expect(cell.call, LOST, always=False) if is_lost else Expectation(None, applied=True, sends=1)
        await self._finish(cell, client, plan, expected, exact=not is_lost)

    async def _open(self, call: Call, *, timeout: float = 10.0, attempts: int = ATTEMPTS) -> Any:  # noqa: ASYNC109 - of the client
        """Return a client with a key of its own, because a 429 pauses all clients that use a key."""
        key = f"canary-{next(_keys)}-of-the-matrix"
        self._log.secrets[:] = [key]
        url = f"{self._proxy.url}{'/beta' * call.is_beta}"
        return await self._make_client(
            url,
            beta=call.is_beta,
            api_key=key,
            timeout=timeout,
            deadline=DEADLINE,
            max_response_bytes=BODY_BOUND,
            retry=RetryPolicy(max_attempts=attempts, backoff_base=0.0),
        )

    def _start(self, plan: Plan) -> Plan:
        self._emulator.run(restore_account)
        self._proxy.plan = plan
        return plan

    async def _find_baseline(self, call: Call) -> None:
        """Find out what the call does without a fault, once."""
        if str(call) in self._baselines:
            return
        client = await self._open(call)
        self._start(Plan())
        before = self._emulator.run(dump_account)
        result = await call(client)
        await client.aclose()
        self._baselines[str(call)] = Baseline(result, before, self._emulator.run(dump_account))

    async def _finish(
        self, cell: Cell | IdleCell, client: Any, plan: Plan, expected: Expectation, *, exact: bool = True
    ) -> None:
        """Make the call, and compare everything with what is expected."""
        call, baseline = cell.call, self._baselines[str(cell.call)]
        is_unseen = isinstance(cell, IdleCell) and not exact  # what is written to a closed connection does not arrive
        result, error = None, None
        try:
            async with asyncio.timeout(TIMEOUT):
                result = await call(client)
        except Exception as raised:  # noqa: BLE001 - compared below
            error = raised
        usage = client.usage.requests
        await client.aclose()
        after = self._emulator.run(dump_account)
        problems = [
            *_problems_of_outcome(call, expected, baseline.result, result, error),
            *([] if is_unseen else _problems_on_the_wire(call, expected, plan, exact=exact)),
        ]
        desired = baseline.after if expected.applied else baseline.before
        if after != desired:
            problems.append(f"the account is {_name(after, baseline)}, and should be {_name(desired, baseline)}")
        sent = len(plan.requests) + plan.warm_ups
        if exact and usage != sent:
            problems.append(f"client.usage counts {usage} requests, and {sent} arrived")
        if error is not None:
            problems += find_secrets(error, self._log.secrets)
        problems += [f"logged: {text}" for text in self._log.found]
        self._log.found.clear()
        self.wrong += [f"{cell}: {problem}" for problem in problems]
        self.requests += len(plan.requests)
        self.cells += 1

    def check(self, figures: Figures) -> None:
        """Record the figures, and assert that nothing was wrong."""
        figures.count("cells", self.cells)
        figures.count("requests", self.requests)
        figures.count("findings", len(self.wrong))
        assert self.cells > 0
        assert self._log.records > 0, "the logs were off"
        assert not self.wrong, "\n".join(self.wrong)


def _name(account: Any, baseline: Baseline) -> str:
    if account == baseline.before:
        return "unchanged"
    return "changed" if account == baseline.after else "something else"


def _problems_of_outcome(
    call: Call, expected: Expectation, without_fault: Any, result: Any, error: BaseException | None
) -> Iterator[str]:
    if expected.error is None:
        if error is not None:
            yield f"raised {error!r}"
        elif _comparable(call, result) != _comparable(call, without_fault):
            yield f"returned {result!r}, not {without_fault!r}"
        return
    if type(error) is not expected.error:
        yield f"ended as {error!r} ({result!r}), not as {expected.error.__name__}"
        return
    assert isinstance(error, AmpExpError)
    if expected.cause is not None and type(error.__cause__) is not expected.cause:
        yield f"the cause is {error.__cause__!r}, not {expected.cause.__name__}"
    if not call.is_read and ("may have been" in str(error)) != expected.is_ambiguous:
        yield f"does not say rightly whether it may have been applied: {error}"


def _comparable(call: Call, result: Any) -> Any:
    """Return the part of a result that is the same in each run: times of creation are not."""
    if call.idempotency is Idempotency.CREATE and result is not None:
        return (type(result), result.id) if isinstance(result, Created) else (type(result), result.id, result.key)
    return result


def _problems_on_the_wire(call: Call, expected: Expectation, plan: Plan, *, exact: bool) -> Iterator[str]:
    if not plan.requests:
        yield "sent nothing"
        return
    first = plan.requests[0]
    same = [request for request in plan.requests if _what(request) == _what(first)]
    if len(same) != expected.sends and (exact or len(same) < expected.sends or expected.sends == 1):
        yield f"was sent {len(same)} times, not {expected.sends}"
    others = [request.line for request in plan.requests if request not in same and request.method != "GET"]
    if others:
        yield f"sent other writes too: {others}"
    if call.is_read and len(same) != len(plan.requests):
        yield f"sent other requests too: {[request.line for request in plan.requests]}"


def _what(request: Any) -> tuple[str, str, bytes]:
    return request.method, request.target, request.body
