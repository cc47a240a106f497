"""Make a variant include exactly the devices of a file, every night.

Run it as `python nightly_allow_list.py PROJECT KEY devices.txt`.
"""

import sys
from pathlib import Path

from amp_exp_async import ExperimentClient

project, key, path = sys.argv[1:]
with ExperimentClient() as client:
    flag = client.flags.find(key, project_id=project)
    # Sends the difference only. A truncated file removes no one: an empty one is rejected, and so are removals of more
    # than 20 % of the included devices. The next run compares the list again, so it needs no journal.
    run = client.flags.users.replace(flag.id, "on", Path(path), max_removals=0.2)
    summary = run.wait()
    run.raise_for_failures()
print(f"{summary.changed} devices added or removed.")
