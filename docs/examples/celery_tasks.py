"""Change flags from Celery tasks.

Install `celery[redis]`.

Run the worker as `celery -A celery_tasks worker`, and call
`include_users.delay("123", "new-checkout", "on", ["user-1"])`.
"""

import functools
import os
from typing import Any

from celery import Celery, Task
from celery.signals import worker_process_shutdown

from amp_exp_async import APIConnectionError, ExperimentClient, RateLimit, RateLimitError, RedisRateLimit, ServerError

app = Celery("flags", broker=os.environ.get("CELERY_BROKER_URL", "redis://localhost:6379/0"))


@functools.cache
def get_client() -> ExperimentClient:
    # One client for each worker process, opened by its first task, so after the fork, and with every kind of pool:
    # `worker_process_init` is not sent with `--pool=threads`. All processes share one limit through Redis.
    redis = os.environ.get("RATE_LIMIT_REDIS_URL")
    return ExperimentClient(rate_limit=RedisRateLimit(redis) if redis else RateLimit())


@worker_process_shutdown.connect
def close_client(**_: Any) -> None:
    if get_client.cache_info().currsize:
        get_client().close()


# Acknowledged when it is done, so the task of a killed worker is run again. That is safe here, because the IDs are a
# set. A task that creates something must first look for it.
@app.task(bind=True, acks_late=True, reject_on_worker_lost=True, max_retries=5)
def include_users(task: Task, project_id: str, key: str, variant: str, users: list[str]) -> int:
    client = get_client()
    try:
        flag = client.flags.find(key, project_id=project_id)
        summary = (run := client.flags.users.add_many(flag.id, variant, users)).wait()
        run.raise_for_failures()
    except RateLimitError as error:
        # Such as the requests of the day, which are used up until midnight UTC: the worker does not wait for it.
        raise task.retry(exc=error, countdown=error.retry_after or 60) from error
    except (APIConnectionError, ServerError) as error:
        raise task.retry(exc=error, countdown=60) from error  # the client has retried for two minutes already
    return summary.changed
