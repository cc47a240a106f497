"""The examples of the help pages, run against the account of `amp-exp emulator --demo`."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from amp_exp_async.cli.demo_account import make_account
from amp_exp_async.cli.documented_objects import add_documented_objects
from amp_exp_async.cli.help import split_examples
from amp_exp_async.emulator import Emulator
from tests.cli.cli_result import RunCommand
from tests.cli.commands import COMMANDS
from tests.cli.test_help import find

# Those that run until Ctrl-C, or that take long.
ENDLESS = {"amp-exp demo", "amp-exp emulator", "--follow"}
EXAMPLES = sorted(
    {
        example
        for path in COMMANDS
        for example in split_examples(find(path)[0].help)[1]
        if not any(example.startswith(word) or word in example.split() for word in ENDLESS)
    }
)
FILES = {
    "flags.yaml": "flags:\n  - {key: new-checkout, project_id: '123', rollout_percentage: 30}\n",
    "ids.txt": "user-1\nuser-2\n",
    "emails.csv": "name,email\nAnn,ann@example.com\n",
}
# What the examples name is among the documented objects, and a few of the others are enough.
ACCOUNT = {name: objects[:10] for name, objects in make_account().items()}
PROFILES = "[profile.prod]\nregion = 'us'\n"
# An exit status of 1 reports findings.
REPORTING = {"lint", "diff"}


@pytest.fixture
def demo(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Emulator]:
    """The account of the demo, found through the environment, and a folder with the files that the examples name."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "flags").mkdir()
    for name, text in FILES.items():
        Path(name).write_text(text)
    Path("flags", "flags.yaml").write_text(FILES["flags.yaml"])
    Path("config.toml").write_text(PROFILES)
    monkeypatch.setenv("AMP_EXP_CONFIG_FILE", str(tmp_path / "config.toml"))
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    with Emulator(ACCOUNT) as emulator:
        add_documented_objects(emulator.state)
        monkeypatch.setenv("AMPLITUDE_MANAGEMENT_API_KEY", emulator.api_key)
        monkeypatch.setenv("AMPLITUDE_EXPERIMENT_BASE_URL", emulator.base_url)
        yield emulator


@pytest.mark.usefixtures("demo")
@pytest.mark.parametrize("example", EXAMPLES)
def test_example(amp_exp: RunCommand, example: str) -> None:
    """An example does what it says in a fresh account of the demo: nothing that it names is missing."""
    _, *words = shlex.split(example)
    if "plan.json" in words and words[0] == "apply":
        assert amp_exp("plan", "flags.yaml", "--out", "plan.json").status == 0
    path = next(path for path in COMMANDS if tuple(words[: len(path)]) == path)
    options = {name for parameter in find(path)[0].params for name in parameter.opts}
    consent = ["--yes"] if "--yes" in options and "--yes" not in words else []
    result = amp_exp(*words, *consent)
    assert result.status in ({0, 1} if words[0] in REPORTING else {0}), result.err
    assert result.out + result.err or words[:1] == ["export"]


def test_names_of_options() -> None:
    """`--key` selects by key wherever it exists, and no option is called `--experiment`."""
    helps: dict[str, set[str]] = {}
    for path in COMMANDS:
        for parameter in find(path)[0].params:
            for name in parameter.opts:
                helps.setdefault(name, set()).add(getattr(parameter, "help", None) or "")
    assert "--experiment" not in helps
    assert all(help.startswith("Only this key") for help in helps["--key"]), helps["--key"]


def test_experiments_are_called_so() -> None:
    """No argument of a command of `experiments` is called FLAG."""
    for path in COMMANDS:
        metavars = {parameter.metavar for parameter in find(path)[0].params if parameter.param_type_name == "argument"}
        assert path[0] != "experiments" or "FLAG" not in metavars, path
