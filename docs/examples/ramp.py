"""Raise a rollout from 5 to 25 to 100 percent, one step per run.

Run it as `python ramp.py PROJECT KEY`.
"""

import sys

import attrs

from amp_exp_async import AmpExpError, ExperimentClient

STEPS = [5, 25, 100]

project, key = sys.argv[1:]
with ExperimentClient() as client:
    try:
        flag = client.flags.find(key, project_id=project)
    except AmpExpError as error:
        sys.exit(f"Nothing was changed, because the flag could not be read: {error}")
    current = flag.rollout_percentage
    if not current and current != 0:
        # Missing is not 0: to start again at 5 % would take the feature from users who have it.
        sys.exit("Nothing was changed, because the service did not say how far the rollout is.")
    target = next((step for step in STEPS if step > current), None)
    if target is None:
        sys.exit(0)
    # Rejected if someone else has changed the percentage since the reading above.
    base = client.flags.get(flag.id)
    client.flags.guarded_edit(flag.id, lambda flag: attrs.evolve(flag, rollout_percentage=target), base=base)
    print(f"{flag.key}: {current} -> {target} %")
