"""Replace allow-lists every night from an Airflow DAG.

Install `apache-airflow`.

Put this file into the folder of DAGs. The password of the connection `amplitude_experiment` is the key, and its host a
base URL, if it has one. A folder for each day has a file `KEY.txt` for each flag, with an ID in each line.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from airflow.sdk import BaseHook, dag, task

FOLDER = "/data/allow-lists"
PROJECT = "123"


@task(retries=3, retry_delay=timedelta(minutes=10))
def replace_allow_lists(folder: str, day: str) -> int:
    # Imported by the task, because the scheduler parses this file every few seconds.
    from amp_exp_async import ExperimentClient, ReplaceUsers, read_ids  # noqa: PLC0415 - see above

    connection = BaseHook.get_connection("amplitude_experiment")
    operations = [
        ReplaceUsers("flags", key=file.stem, project_id=PROJECT, variant="on", users=read_ids(file), max_removals=0.2)
        for file in sorted(Path(folder, day).iterdir())  # fails if the folder of the day does not exist yet
    ]
    # To clear a task of last week must not bring back the lists of last week.
    if any(other.is_dir() and other.name > day for other in Path(folder).iterdir()):
        return 0
    with ExperimentClient(connection.password, base_url=connection.host or None) as client:
        # A retry compares the lists again, so it needs no journal, and a file may be corrected before it.
        run = client.bulk(operations)
        summary = run.wait()
        run.raise_for_failures()
    return summary.changed


@dag(schedule="@daily", start_date=datetime(2026, 1, 1, tzinfo=UTC), catchup=False, max_active_runs=1)
def allow_lists() -> None:
    replace_allow_lists(FOLDER, "{{ ds }}")


allow_lists()
