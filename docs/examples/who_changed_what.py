"""Print who changed what in the last week, in all flags and experiments."""

from datetime import UTC, datetime, timedelta

from amp_exp_async import ExperimentClient, Flag

since = datetime.now(UTC) - timedelta(days=7)
with ExperimentClient() as client:
    changed = {}
    for version in client.versions.list(start=since):
        kind = "flags" if isinstance(version.config, Flag) else "experiments"
        changed[kind, version.config.id] = version.config.key
    for (kind, id), key in changed.items():
        for change in client.history(kind, id):
            if change.created_at and change.created_at >= since:
                print(f"{key}: {change}")
