"""Export the flags and experiments of a project to CSV.

Run it as `python export_to_csv.py PROJECT > flags.csv`.
"""

import csv
import sys

from amp_exp_async import ExperimentClient

COLUMNS = ["id", "key", "name", "enabled", "rollout_percentage", "last_modified_at", "tags", "variants"]

writer = csv.writer(sys.stdout)
writer.writerow(["kind", *COLUMNS])
with ExperimentClient() as client:
    for resource, kind in ((client.flags, "flag"), (client.experiments, "experiment")):
        for flag in resource.list(project_id=sys.argv[1]):
            tags = " ".join(flag.tags or [])
            variants = " ".join(variant.key for variant in flag.variants or [])
            writer.writerow([kind, *(getattr(flag, name) for name in COLUMNS[:-2]), tags, variants])
