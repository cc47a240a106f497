"""Every operation meets every fault: its outcome, the requests on the wire, and the account afterwards are right."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator

import pytest

from tests.reliability.conftest import CALLERS_SESSION, OWN_SESSION, SESSION_PATHS, ClientFactory
from tests.reliability.emulator_process import EmulatorProcess
from tests.reliability.exposure import LogWatch
from tests.reliability.fault_matrix import Baseline, Cell, IdleCell, Matrix
from tests.reliability.fault_proxy import FaultProxy
from tests.reliability.figures import Figures
from tests.reliability.wire_faults import FAULTS, IDLE_FAULTS, WireFault
from tests.reliability.world import CALLS

AREA = "Fault matrix"
_SEED = 12
_SAMPLES = 2


@pytest.fixture(scope="session")
def proxy(shared_emulator_process: EmulatorProcess) -> Iterator[FaultProxy]:
    """Serve a proxy of the emulator."""
    with FaultProxy(shared_emulator_process) as proxy:
        yield proxy


@pytest.fixture(scope="session")
def baselines() -> dict[str, Baseline]:
    """Return what calls do without a fault. All tests share it, and add to it."""
    return {}


@pytest.fixture
def matrix(
    proxy: FaultProxy,
    emulator_process: EmulatorProcess,
    make_client: ClientFactory,
    log_watch: LogWatch,
    baselines: dict[str, Baseline],
) -> Matrix:
    """Return a runner of cells."""
    return Matrix(proxy, emulator_process, make_client, log_watch, baselines)


def sample() -> list[Cell]:
    """Return cells in which each call and each fault occurs, once or always; what is slow occurs once."""
    rng = random.Random(_SEED)
    calls, faults = rng.sample(CALLS, len(CALLS)), rng.sample(FAULTS, len(FAULTS))
    quick = [fault for fault in faults if not fault.is_slow]
    cells = [Cell(call, fault, rng.random() < 0.5) for call, fault in zip(calls, itertools.cycle(quick))]
    return cells + [Cell(rng.choice(calls), fault, always=False) for fault in faults if fault.is_slow]


@pytest.mark.parametrize("part", range(_SAMPLES))
async def test_a_sample(matrix: Matrix, figures: Figures, part: int) -> None:
    """Each call and each fault occurs in a sample of the matrix."""
    for cell in sample()[part::_SAMPLES]:
        await matrix.run(cell)
    matrix.check(figures)


@pytest.mark.slow
@pytest.mark.parametrize("always", [False, True], ids=["once", "always"])
@pytest.mark.parametrize("fault", FAULTS, ids=str)
async def test_all(matrix: Matrix, figures: Figures, session_path: str, fault: WireFault, always: bool) -> None:
    """Every call meets the fault. Paths take turns if they do not matter, or the cell lasts until a timeout."""
    for number, call in enumerate(CALLS):
        takes_turns = fault.is_slow or fault.kind == "refused"
        if not takes_turns or SESSION_PATHS[(number + always) % len(SESSION_PATHS)] == session_path:
            await matrix.run(Cell(call, fault, always))
    matrix.check(figures)


own_session = pytest.mark.parametrize("session_path", [OWN_SESSION], indirect=True)
callers_session = pytest.mark.parametrize("session_path", [CALLERS_SESSION], indirect=True)
each_moment = pytest.mark.parametrize("blocked", [False, True], ids=["noticed", "unnoticed"])
few_or_all = pytest.mark.parametrize(
    "number", [8, pytest.param(len(CALLS), marks=pytest.mark.slow)], ids=["few calls", "all calls"]
)


@own_session
@each_moment
@few_or_all
@pytest.mark.parametrize("fault", IDLE_FAULTS)
async def test_idle_connections(matrix: Matrix, figures: Figures, fault: str, blocked: bool, number: int) -> None:
    """What happens to an idle connection does not affect the next call."""
    for call in random.Random(f"{_SEED} {fault} {blocked}").sample(CALLS, number):
        await matrix.run_idle(IdleCell(call, fault, blocked))
    matrix.check(figures)


@callers_session
@each_moment
@few_or_all
async def test_idle_connections_of_a_callers_session(
    matrix: Matrix, figures: Figures, blocked: bool, number: int
) -> None:
    """A session may not notice the end of a connection: a request is lost, unless it must not be repeated."""
    for call in random.Random(f"{_SEED} {blocked}").sample(CALLS, number):
        await matrix.run_idle(IdleCell(call, "idle connection closed", blocked), is_lost=blocked)
    matrix.check(figures)
