"""Make a variant include exactly the devices of a file, every night.

Run it as `python nightly_allow_list.py new-checkout devices.txt`.
"""

import sys
from pathlib import Path

from amp_exp_async import ExperimentClient

MAX_REMOVALS = 0.2  # of the included devices: a truncated file must not remove everyone

key, path = sys.argv[1:]
devices = set(Path(path).read_text(encoding="utf-8").split())
with ExperimentClient() as client:
    flag = client.flags.find(key)
    included = set(client.flags.users.list(flag.id, "on"))
    removed = included - devices
    if len(removed) > MAX_REMOVALS * len(included):
        sys.exit(f"{len(removed)} of {len(included)} devices would be removed. Check {path}.")
    # Sends the difference only. After an interruption, the same command continues from the journal.
    run = client.flags.users.replace(flag.id, "on", devices, journal=f"{path}.journal")
    run.wait()
    run.raise_for_failures()
Path(f"{path}.journal").unlink(missing_ok=True)
print(f"{len(devices - included)} devices added, {len(removed)} removed.")
