"""Each operation of the API has a command."""

from __future__ import annotations

from amp_exp_async import AsyncExperimentClient
from amp_exp_async.resources import list_operations
from tests.cli.commands import COMMANDS
from tests.client_config import KEY

# The commands of operations whose names differ. `{kind}` is `flags` or `experiments`.
COMMANDS_OF = {
    "{kind}.find": "{kind} get",  # takes an ID or a key
    "{kind}.variants.": "variants ",
    "{kind}.users.": "users ",
    "{kind}.cohorts.": "cohorts ",
    "{kind}.deployments.list": "{kind} get",  # among the fields
    "{kind}.deployments.": "deployments ",
    "{kind}.versions.list": "{kind} versions",
    "{kind}.versions.get": "{kind} versions",
    "versions.list": "log",
    "mutexes.edit_slot": "mutexes edit-slot",
}


def command_of(operation: str) -> str:
    """Return the command of an operation."""
    kind, _, rest = operation.partition(".")
    name = f"{{kind}}.{rest}" if kind in {"flags", "experiments"} else operation
    for prefix, command in COMMANDS_OF.items():
        if name.startswith(prefix):
            own = name.removeprefix(prefix) if command.endswith(" ") else ""
            return f"{command}{own}".format(kind=kind).replace("_", "-")
    return operation.replace(".", " ").replace("_", "-")


async def test_each_operation_has_a_command() -> None:
    """A new operation needs a command, or an entry above."""
    commands = {" ".join(command) for command in COMMANDS}
    operations = list_operations(AsyncExperimentClient(KEY))
    assert {operation for operation in operations if command_of(operation) not in commands} == set()
