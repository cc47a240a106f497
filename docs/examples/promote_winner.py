"""Give the winning variant of an experiment to all users.

Run it as `python promote_winner.py PROJECT KEY VARIANT 'more orders'`.
"""

import sys

from amp_exp_async import ExperimentClient

project, key, variant, reason = sys.argv[1:]
with ExperimentClient() as client:
    experiment = client.experiments.find(key, project_id=project)
    base = client.experiments.get(experiment.id)
    preview = client.experiments.roll_out(base.id, variant, reason, everyone=True, base=base, dry_run=True)
    print(f"{key}: {preview.rollout_percentage} % get {variant}, with weights {preview.rollout_weights}")
    # Rejected if someone has changed the experiment since it was read.
    client.experiments.roll_out(base.id, variant, reason, everyone=True, base=base)
