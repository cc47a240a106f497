"""The packages whose names are imported when they are first used."""

from __future__ import annotations

import ast
import doctest
import inspect
import pickle
import pydoc
import subprocess
import sys
import typing
from collections import Counter
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

import aiohttp
import pytest

import amp_exp_async
import amp_exp_async.emulator
import amp_exp_async.serialization
from amp_exp_async.http import lazy_aiohttp

PACKAGES = [amp_exp_async, amp_exp_async.emulator, amp_exp_async.serialization]

NOT_FOR_MODELS = {"aiohttp", "anyio", "asyncio", "cattrs", "msgspec", "rich", "ruamel", "typer", "yaml"}


def run(program: str) -> str:
    """Run a program in a new interpreter, with warnings as errors, and return what it prints."""
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=False, timeout=60
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def loaded_by(statement: str) -> set[str]:
    """Return the modules that a statement loads in a new interpreter."""
    return set(run(f"import sys; {statement}; print(*sys.modules)").split())


def type_checking_imports(package: ModuleType) -> Iterator[tuple[str, str]]:
    """Yield the module and the name of each import that only type checkers see."""
    assert package.__file__
    for node in ast.walk(ast.parse(Path(package.__file__).read_text(encoding="utf-8"))):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            for statement in node.body:
                assert isinstance(statement, ast.ImportFrom)
                yield from ((statement.module or "", alias.name) for alias in statement.names)


def lazy_table(package: ModuleType) -> list[tuple[str, str]]:
    """Return the modules and names of the table in a package's source."""
    assert package.__file__
    [call] = [
        node
        for node in ast.walk(ast.parse(Path(package.__file__).read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "lazy_imports"
    ]
    table: dict[str, tuple[str, ...]] = ast.literal_eval(call.args[1])
    return [(module, name) for module, names in table.items() for name in names]


def test_importing_the_package_loads_nothing_else() -> None:
    """Neither other modules of the package nor other packages."""
    alone, loaded = loaded_by("pass"), loaded_by("import amp_exp_async")
    assert {name for name in loaded - alone if name.startswith("amp_exp_async.")} == {
        "amp_exp_async._version",
        "amp_exp_async.lazy_imports",
    }
    assert "typing" not in loaded - alone


def test_importing_the_pytest_plugin_loads_no_emulator() -> None:
    """Every start of pytest imports the plugin, in projects that use the emulator and in others."""
    loaded = loaded_by("import amp_exp_async.emulator.pytest_plugin")
    assert {name for name in loaded if name.startswith("amp_exp_async.")} == {
        "amp_exp_async._version",
        "amp_exp_async.emulator",
        "amp_exp_async.emulator.pytest_plugin",
        "amp_exp_async.lazy_imports",
    }
    assert loaded.isdisjoint({"aiohttp", "attrs", "orjson"})


@pytest.mark.parametrize("name", ["Flag", "NotFoundError"])
def test_importing_what_sends_no_request_loads_no_http(name: str) -> None:
    """Programs that only build or read objects do not import what sends requests."""
    assert loaded_by(f"from amp_exp_async import {name}").isdisjoint(NOT_FOR_MODELS)


@pytest.mark.parametrize("name", ["AsyncExperimentClient", "ExperimentClient"])
def test_importing_a_client_loads_what_requests_need_when_one_is_created(name: str) -> None:
    """Creating a client loads aiohttp, so that the first request need not wait for it. Files of flags come later."""
    program = f"import sys; from amp_exp_async import {name}"
    create = f"{name}('a-key-of-no-account', base_url='https://host.invalid')"
    imported, created = run(f"{program}; print(*sys.modules); {create}; print(*sys.modules)").splitlines()
    needed_later = {
        "aiohttp",
        "amp_exp_async.bulk",
        "amp_exp_async.manifests",
        "amp_exp_async.linter",
        "cattrs",
        "msgspec",
        "ruamel",
    }
    assert needed_later.isdisjoint(imported.split())
    assert needed_later.intersection(created.split()) == {"aiohttp"}


@pytest.mark.parametrize("client", [amp_exp_async.AsyncExperimentClient, amp_exp_async.AsyncBetaClient])
def test_annotations_can_be_read(client: type) -> None:
    """The types of what is imported on demand are those of the module that has them."""
    for _, method in inspect.getmembers(client, inspect.isfunction):
        typing.get_type_hints(method)
    session = typing.get_type_hints(client.__init__)["session"]
    assert session == aiohttp.ClientSession | None
    plan = typing.get_type_hints(amp_exp_async.AsyncExperimentClient.plan)
    assert plan["return"] is amp_exp_async.Plan


def test_names_of_aiohttp_are_not_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    """What tests and instrumentation replace in aiohttp is what the client uses."""
    monkeypatch.setattr(aiohttp, "TCPConnector", "replaced")
    assert lazy_aiohttp.TCPConnector == "replaced"
    with pytest.raises(AttributeError, match="has no attribute"):
        _ = lazy_aiohttp.nonsense


@pytest.mark.parametrize("package", PACKAGES)
def test_type_checkers_see_what_is_loaded(package: ModuleType) -> None:
    """The table, the imports for type checkers and `__all__` have the same names, each once."""
    table = lazy_table(package)
    assert sorted(table) == sorted(type_checking_imports(package))
    names = Counter(name for _, name in table)
    assert {name for name, count in names.items() if count > 1} == set()
    assert set(names) == set(package.__all__) - {"__version__"}
    assert len(package.__all__) == len(set(package.__all__))


@pytest.mark.parametrize("package", PACKAGES)
def test_no_name_is_a_module(package: ModuleType) -> None:
    """Importing a module sets an attribute of the package, which must not replace a public name."""
    assert package.__file__
    modules = {path.stem for path in Path(package.__file__).parent.iterdir()}
    assert modules.isdisjoint(package.__all__)


@pytest.mark.parametrize("package", PACKAGES)
def test_every_name_is_that_of_its_module(package: ModuleType) -> None:
    """A name is the same object in the package and in its module, and the second access finds it at once."""
    for module, name in lazy_table(package):
        assert getattr(package, name) is getattr(import_module(f"{package.__name__}.{module}"), name)
        assert name in vars(package)


@pytest.mark.parametrize("package", PACKAGES)
def test_a_name_that_does_not_exist(package: ModuleType) -> None:
    """The error is that of any module."""
    with pytest.raises(AttributeError, match=f"module '{package.__name__}' has no attribute 'nonsense'"):
        _ = package.nonsense
    with pytest.raises(ImportError, match="cannot import name 'nonsense'"):
        exec(f"from {package.__name__} import nonsense")
    assert not hasattr(package, "__wrapped__")


@pytest.mark.parametrize("package", [package.__name__ for package in PACKAGES])
def test_names_are_listed_before_they_are_loaded(package: str) -> None:
    """`dir` has all names, and loads none of them."""
    program = f"import {package} as package; assert set(package.__all__) <= set(dir(package)) - set(vars(package)) "
    run(f"{program} | {{'__version__'}}")


@pytest.mark.parametrize("package", [package.__name__ for package in PACKAGES])
def test_a_star_import(package: str) -> None:
    """It imports all names."""
    run(f"import {package} as package\nfrom {package} import *\nassert set(package.__all__) <= set(globals())")


@pytest.mark.parametrize("package", PACKAGES)
def test_tools_that_look_at_the_package(package: ModuleType) -> None:
    """`help`, `inspect` and `doctest` show the names, or at least do not fail."""
    text = pydoc.plain(pydoc.render_doc(package))
    members = dict(inspect.getmembers(package))
    for name in package.__all__:
        assert name in text or name.startswith("__")
        assert name in members
    assert inspect.getsource(package)
    assert doctest.testmod(package).failed == 0


def test_pickles_name_the_module_of_a_class() -> None:
    """An object that is pickled in one process can be read in another, which has loaded nothing yet."""
    pickled = pickle.dumps(amp_exp_async.Segment(name="beta"))
    assert run(f"import pickle; print(pickle.loads({pickled!r}).name)") == "beta\n"


def test_importing_a_module_keeps_the_function_of_a_similar_name() -> None:
    """`lint` is a function, whatever is imported before it."""
    for first in ("amp_exp_async.linter.rules", "amp_exp_async.cli.app", "amp_exp_async.sync"):
        assert run(f"import {first}; from amp_exp_async import lint; print(callable(lint))") == "True\n"


def test_many_threads_load_names_at_once() -> None:
    """Every thread gets the same objects, in any order, and no thread waits for ever."""
    program = """\
import random, sys, threading
sys.setswitchinterval(1e-5)
import amp_exp_async
names = [name for name in amp_exp_async.__all__]
barrier, found, lock = threading.Barrier(16), [], threading.Lock()
def load(seed):
    order = random.Random(seed).sample(names, len(names))
    barrier.wait(30)
    objects = {name: id(getattr(amp_exp_async, name)) for name in order}
    with lock:
        found.append(objects)
threads = [threading.Thread(target=load, args=(seed,), daemon=True) for seed in range(16)]
for thread in threads: thread.start()
for thread in threads: thread.join(50)
assert len(found) == 16, len(found)
assert all(objects == found[0] for objects in found)
"""
    for _ in range(2):
        run(program)


@pytest.mark.parametrize("call", ["amp.ExperimentClient('k' * 32)", "client.bulk([])"])
def test_what_is_first_used_in_a_finalizer_at_exit(call: str) -> None:
    """Python imports nothing any longer: the error is one of the library."""
    program = f"""
import os, types
import amp_exp_async
amp = types.SimpleNamespace(ExperimentClient=amp_exp_async.ExperimentClient, Error=amp_exp_async.ClientClosedError)
class Late:
    def __del__(self, amp=amp, client=amp.ExperimentClient('k' * 32), write=os.write):
        try:
            {call}
        except amp.Error as error:
            write(1, str(error).encode())
late = Late()
late.itself = late
"""
    assert "the program is ending, and Python imports nothing any longer" in run(program)
