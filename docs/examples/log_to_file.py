"""Log each request and each retry to a file.

Run it as `python log_to_file.py requests.log`.
"""

import logging
import sys

from amp_exp_async import Attempt, ExperimentClient

logging.basicConfig(filename=sys.argv[1], level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
# The library logs to `amp_exp_async`: retries at INFO, each attempt at DEBUG. The key is in no line.
logging.getLogger("amp_exp_async").setLevel(logging.DEBUG)


def on_attempt(attempt: Attempt) -> None:
    logging.getLogger(__name__).info(
        "%s %s -> %s in %.3f s", attempt.method, attempt.path, attempt.status, attempt.seconds
    )


with ExperimentClient(on_attempt=on_attempt) as client:
    print(len(list(client.flags.list())), "flags")
