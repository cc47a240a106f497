"""A blocking client works after a fork, in the child and in the parent."""

from __future__ import annotations

import json
import multiprocessing
import subprocess
import sys
import threading
from typing import Any

import pytest

from amp_exp_async import ExperimentClient
from amp_exp_async.emulator import Emulator, Fault
from tests.crossing import long_form
from tests.polling import TIMEOUT, wait_until
from tests.sync.timeouts import start, within

# From Python 3.12 on, forking with threads warns; here it is what is tested.
pytestmark = pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")

# Every process ends itself by a signal when it hangs.
SCRIPT = """
import gc, json, logging, os, signal, sys, threading, time
from amp_exp_async import AmpExpError, ClientClosedError, ExperimentClient

logging.getLogger('asyncio').setLevel(logging.ERROR)  # a busy machine causes slow callbacks
signal.alarm(120)
url, key, ids, options = map(json.loads, sys.argv[1:])
client = ExperimentClient(key, base_url=url, rate_limit=None)
items = pages = None
errors = []

def work():
    assert client.flags.get(ids[0]).id == ids[0]
    assert [flag.id for flag in client.flags.list(limit=4)] == ids

def threads():
    return [thread for thread in threading.enumerate() if thread.name == "amp_exp_async"]

def others_work():
    try:
        for _ in range(options["calls"]):
            work()
    except BaseException as error:
        errors.append(error)

if options["used"]:
    work()
if options["iterating"]:
    items, pages = iter(client.flags.list(limit=4)), client.flags.list(limit=4).pages()
    next(items), next(items), next(pages), next(items)  # the last one has a page read ahead
others = [threading.Thread(target=others_work) for _ in range(options["others"])]
for other in others:
    other.start()
if others:
    while not client.usage.requests_today:  # counted before it is sent; a fork during an import would break the child
        time.sleep(0.01)
    time.sleep(0.05)

for _ in range(options["forks"]):
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        signal.alarm(90)
        match options["child"]:
            case "calls":
                work()
                assert len(threads()) == 1
            case "closes":
                client.close()
                client.close()
            case "calls and closes":
                with client:
                    work()
                assert threads() == []
                try:
                    work()
                except ClientClosedError:
                    pass
            case "forgets":
                del client, items, pages
                gc.collect()
            case "drops its iterators":
                items = pages = None
                gc.collect()
                work()
            case "goes on with its iterators":
                for iterator in (pages, items):
                    try:
                        rest = [flag.id for page in iterator for flag in getattr(page, "items", [page])]
                        assert rest == ids[3 if iterator is items else 4 :]
                    except AmpExpError as error:
                        assert "fork" in str(error)
                work()
            case "forks":
                work()
                grandchild = os.fork()
                if grandchild == 0:
                    signal.alarm(60)
                    work()
                    sys.exit()
                assert os.waitpid(grandchild, 0)[1] == 0
                work()
        print("child")
        if options["leave"] == "os._exit":
            sys.stdout.flush()
            os._exit(0)
        sys.exit(0)
    status = os.waitpid(pid, 0)[1]
    assert status == 0, status
    work()
    assert len(threads()) == 1

for other in others:
    other.join()
assert not errors, errors
if items is not None:
    assert [flag.id for flag in items] == ids[3:]
    assert [len(page.items) for page in pages] == [4, 1]
work()
if options["parent closes"]:
    client.close()
    assert threads() == []
print("parent")
"""

USUAL: dict[str, Any] = {
    "used": True,  # the client, before the fork
    "iterating": False,  # two iterators are active at the fork
    "others": 0,  # number of threads that call during the fork
    "calls": 1,  # by each of them
    "forks": 1,
    "child": "calls",
    "leave": "sys.exit",
    "debug": True,  # in Python's development mode, in which asyncio checks more and hangs less
    "parent closes": True,
}
CASES: dict[str, dict[str, Any]] = {
    "usual": {},
    "never used": {"used": False},
    "never used, child closes": {"used": False, "child": "closes"},
    "left by os._exit": {"leave": "os._exit"},
    "child closes": {"child": "closes"},
    "child calls and closes": {"child": "calls and closes"},
    "child forgets": {"child": "forgets"},
    "child does nothing": {"child": "nothing"},
    "child forks": {"child": "forks"},
    "iterating": {"iterating": True},
    "iterating, child closes": {"iterating": True, "child": "closes"},
    "iterating, child forgets": {"iterating": True, "child": "forgets"},
    "iterating, child drops its iterators": {"iterating": True, "child": "drops its iterators"},
    "iterating, child goes on": {"iterating": True, "child": "goes on with its iterators"},
    "iterating, child goes on, no debug": {
        "iterating": True,
        "child": "goes on with its iterators",
        "debug": False,
    },
    "iterating, child drops its iterators, no debug": {
        "iterating": True,
        "child": "drops its iterators",
        "debug": False,
    },
    "iterating, left by os._exit": {"iterating": True, "leave": "os._exit"},
    "others call": {"others": 4, "calls": 12},
    "others call, child closes": {"others": 4, "calls": 12, "child": "closes"},
    "others call, many forks": {"others": 3, "calls": 30, "forks": 5},
    "many forks": {"forks": 5},
    "parent never closes": {"parent closes": False},
}


def run(emulator: Emulator, ids: list[str], options: dict[str, Any]) -> tuple[int, list[str], str]:
    """Run the script in an interpreter that reports every warning."""
    options = USUAL | options
    flags = ["-W", "error", "-W", "ignore:This process:DeprecationWarning", *["-X", "dev"] * options["debug"]]
    values = (emulator.base_url, emulator.api_key, ids, options)
    command = [sys.executable, *flags, "-c", SCRIPT, *map(json.dumps, values)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT * 3, check=False)
    return done.returncode, done.stdout.split(), done.stderr


SHORT = (
    "never used, child closes",
    "left by os._exit",
    "child calls and closes",
    "child forks",
    "iterating, child goes on",
    "others call, child closes",
)


@pytest.mark.parametrize("case", long_form(CASES, short=SHORT))
def test_after_a_fork(emulator: Emulator, ids: list[str], case: str) -> None:
    """Parent and child can both call, both exit by themselves, and neither prints a warning."""
    options = CASES[case]
    if options.get("iterating"):
        emulator.inject(Fault.delay(0.4), path="/flags", nth=6)  # the page requested ahead is in flight at the fork
    forks = options.get("forks", 1)
    assert run(emulator, ids, options) == (0, ["child"] * forks + ["parent"], "")


def test_a_fork_while_a_call_is_in_flight(emulator: Emulator, ids: list[str]) -> None:
    """The response goes to the parent's waiting thread only."""
    emulator.inject(Fault.delay(0.5), path=f"/flags/{ids[0]}")
    options = {"used": False, "others": 1, "child": "calls"}
    assert run(emulator, ids, options) == (0, ["child", "parent"], "")


def child_of(client: ExperimentClient, ids: list[str], answers: Any) -> None:
    answers.put([client.flags.get(id).id for id in ids])


def test_in_worker_processes(client: ExperimentClient, ids: list[str]) -> None:
    """Forked worker processes can use the client that they inherit, also several at the same time."""
    assert client.flags.get(ids[0]).id == ids[0]
    context = multiprocessing.get_context("fork")
    answers = context.SimpleQueue()
    workers = [context.Process(target=child_of, args=(client, ids, answers), daemon=True) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(TIMEOUT)
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    assert [within(answers.get) for _ in workers] == [ids] * 3
    assert client.flags.get(ids[0]).id == ids[0]


def test_a_fork_in_the_middle_of_a_call_here(client: ExperimentClient, emulator: Emulator, ids: list[str]) -> None:
    """A delayed call of this process survives a child that uses and closes the same client."""
    emulator.inject(Fault.delay(0.3))
    waiting = start(lambda: client.flags.get(ids[0]))
    wait_until(lambda: emulator.requests)
    context = multiprocessing.get_context("fork")
    answers = context.SimpleQueue()

    def use() -> None:
        answers.put(client.flags.get(ids[1]).id)
        client.close()
        answers.put(len([thread for thread in threading.enumerate() if thread.name == "amp_exp_async"]))

    child = context.Process(target=use, daemon=True)
    child.start()
    child.join(TIMEOUT)
    assert child.exitcode == 0
    assert [within(answers.get), within(answers.get)] == [ids[1], 0]
    assert waiting.result(TIMEOUT).id == ids[0]
    assert client.flags.get(ids[2]).id == ids[2]
