"""What the program loads before it runs a command."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer

import amp_exp_async
from amp_exp_async.cli.app import app
from amp_exp_async.cli.lazy_command import LazyCommand
from amp_exp_async.emulator import Emulator
from tests.crossing import long_form
from tests.polling import TIMEOUT

GROUP = typer.main.get_command(app)
COMMANDS = [command for command in vars(GROUP)["commands"].values() if isinstance(command, LazyCommand)]
LIBRARY = (
    "aiohttp",
    "amp_exp_async.client",
    "amp_exp_async.emulator",
    "amp_exp_async.models",
    "ruamel",
    "yaml",
)

# What typer loads to convert values, and to remove markup.
UNNEEDED = ("pydantic", "rich.console", "typer.rich_utils")

_MAIN = """\
import sys
from amp_exp_async.cli import main
sys.argv = ["amp-exp", *sys.argv[1:]]
try:
    main()
finally:
    print("loaded", *sys.modules, file=sys.stderr)
"""


def run(*arguments: str, **environment: str) -> tuple[str, set[str]]:
    """Return the output of the program in a new interpreter, and the modules that it loaded."""
    result = subprocess.run(
        [sys.executable, "-c", _MAIN, *arguments],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT,
    )
    _, _, modules = result.stderr.partition("loaded ")
    assert result.returncode == 0, result.stderr
    return result.stdout, set(modules.split())


_INTERRUPTED = """\
import os, signal, sys
class Press:
    def find_spec(self, name, *_):
        if name == sys.argv[1]:
            sys.meta_path.remove(self)
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Press())
from amp_exp_async.cli import main
main()
"""


@pytest.mark.parametrize(
    "module",
    [
        *("amp_exp_async.cli.program", "typing", "amp_exp_async.cli.signals", "amp_exp_async.cli.streams"),
        *("rich", "typer", "typer.main", "amp_exp_async.cli.app", "amp_exp_async.cli.group"),
    ],
)
def test_ctrl_c_while_a_module_is_imported(module: str) -> None:
    """Each moment gives one line, and the status of an interrupted command."""
    command = [sys.executable, "-c", _INTERRUPTED, module]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=TIMEOUT)
    assert (result.returncode, result.stdout, result.stderr) == (130, "", "Interrupted. Nothing was changed.\n")


def subcommands(command: LazyCommand) -> list[tuple[str, ...]]:
    """Return the paths of all help pages of a command below its name: its own, and those of a group's commands."""
    return [(), *((name,) for name in getattr(command.load(), "commands", ()))]


def complete(words: str) -> tuple[list[str], set[str]]:
    """Return what a TAB after some words proposes, and the modules that are loaded for it."""
    count = str(len(words.split(" ")) - 1)
    out, loaded = run(_AMP_EXP_COMPLETE="complete_bash", COMP_WORDS=words, COMP_CWORD=count)
    return out.split(), loaded


def test_help_loads_no_command() -> None:
    """The list of commands is shown without loading them or the library."""
    out, loaded = run("--help")
    assert all(f" {command.name} " in out for command in COMMANDS)
    assert loaded.isdisjoint({*LIBRARY, "attrs"})


def test_completing_a_command_loads_none() -> None:
    """A TAB proposes commands without loading them or the library."""
    proposed, loaded = complete("amp-exp e")
    assert proposed == ["emulator", "export", "experiments"]
    assert loaded.isdisjoint({*LIBRARY, *UNNEEDED})


@pytest.mark.parametrize("words", ["amp-exp e", "amp-exp users ", "amp-exp lint --"])
def test_completing_in_zsh_loads_as_little(words: str) -> None:
    """In zsh, which shows help texts too, a TAB loads neither what converts values nor what removes markup."""
    out, loaded = run(_AMP_EXP_COMPLETE="complete_zsh", _TYPER_COMPLETE_ARGS=words)
    assert '":"' in out
    assert loaded.isdisjoint({*LIBRARY, *UNNEEDED})


def test_completing_a_key(tmp_path: Path) -> None:
    """Options that come before the key, such as paths, select its account."""
    with Emulator() as emulator:
        emulator.state.add_flag(key="new-checkout")
        (tmp_path / "key").write_text(emulator.api_key)
        (tmp_path / "key").chmod(0o600)
        options = f"--base-url {emulator.base_url} --api-key-file {tmp_path / 'key'} --no-such-option --timeout x"
        words = f"amp-exp flags get {options} n"
        out, _ = run(_AMP_EXP_COMPLETE="complete_zsh", _TYPER_COMPLETE_ARGS=words, XDG_CACHE_HOME=str(tmp_path))
    assert "new-checkout" in out


GROUPS = ["flags", "experiments", "deployments", "users", "apply", "lint", "export"]


@pytest.mark.parametrize("group", long_form(GROUPS, short=["users", "apply"]))
def test_completing_in_a_command_loads_no_library(group: str) -> None:
    """A TAB after a command or group loads its module, which loads the library only when it runs."""
    proposed, loaded = complete(f"amp-exp {group} --")
    assert "--help" in proposed
    assert loaded.isdisjoint({*LIBRARY, *UNNEEDED})


def test_completing_the_command_of_a_group() -> None:
    """A TAB after a group proposes its commands, and after a command its options."""
    assert set(complete("amp-exp deployments ")[0]) == {"list", "create", "edit", "archive", "restore", "add", "remove"}
    assert "--include-archived" in complete("amp-exp deployments list --")[0]


HELP_PAGES = [" ".join((str(command.name), *names)) for command in COMMANDS for names in subcommands(command)]


@pytest.mark.parametrize("command", long_form(HELP_PAGES, short=["demo", "emulator", "lint", "users add"]))
def test_a_help_page_loads_no_library(command: str) -> None:
    """It needs the declaration of the command only: neither the library, aiohttp nor the emulator."""
    out, loaded = run(*command.split(), "--help")
    assert f"Usage: amp-exp {command} " in out
    assert {name for name in loaded if name.startswith((*LIBRARY, "amp_exp_async.cli.demo"))} == set()


@pytest.mark.parametrize("others", [(), ("--help",), ("x", "--no-such-option")], ids=" ".join)
def test_the_version_loads_nothing(others: tuple[str, ...]) -> None:
    """`--version` is answered before typer is loaded, and before what follows is looked at."""
    out, loaded = run("--version", *others)
    assert out == f"amp-exp {amp_exp_async.__version__}\n"
    assert loaded.isdisjoint({*LIBRARY, "typer", "rich"})


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_the_list_shows_the_help_of_each_command(command: LazyCommand) -> None:
    """The help text in the list is the first paragraph of the command's own."""
    assert command.help == command.load().help.split("\n\n")[0].replace("\n", " ")


def test_the_list_is_complete() -> None:
    """Each command of the modules is in the list."""
    modules = {command.module for command in COMMANDS}
    loaded = {name for module in modules for name in command_names(module)}
    assert {command.name for command in COMMANDS} == loaded


def command_names(module: str) -> set[str]:
    """Return the commands and groups of the apps in a module."""
    parent = typer.Typer()
    for value in vars(__import__(f"amp_exp_async.cli.{module}", fromlist=["app"])).values():
        if isinstance(value, typer.Typer):
            parent.add_typer(value)
    return set(typer.main.get_group(parent).commands)


@pytest.mark.parametrize(
    ("program", "is_changed"),
    [
        ("from amp_exp_async.cli import main; sys.argv = ['amp-exp', '--version']; main()", True),
        ("import amp_exp_async; amp_exp_async.ExperimentClient('key').close(); amp_exp_async.loads('{}')", False),
    ],
    ids=["amp-exp", "library"],
)
def test_only_a_command_sets_the_garbage_collector(program: str, is_changed: bool) -> None:
    """A command has its process to itself, and collects rarely. In other programs the collector is not ours to set."""
    code = f"import gc, sys; default = gc.get_threshold(); {program}; print(default != gc.get_threshold())"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=TIMEOUT)
    assert result.stdout.splitlines()[-1] == str(is_changed)
