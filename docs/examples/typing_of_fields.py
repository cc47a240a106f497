"""Read fields that may be null or missing, so that mypy and pyright accept it."""

from amp_exp_async import UNSET, ExperimentClient, Flag


def describe(flag: Flag) -> str:
    if flag.rollout_percentage is UNSET:
        return "the service did not say"
    if flag.rollout_percentage is None:
        return "null"
    return f"{flag.rollout_percentage:g} %"


def owner(flag: Flag) -> str:
    return flag.created_by or "unknown"  # both null and missing are falsy


with ExperimentClient() as client:
    for flag in client.flags.list():
        print(flag.key, describe(flag), owner(flag))
