"""Create an experiment with an exposure event, a holdout group and a mutex group.

Run it once, as `python experiment_with_groups.py PROJECT`: a key can be created once.
"""

import sys

from amp_exp_async import ExperimentClient, ExposureEvent, Variant

project_id = sys.argv[1]
with ExperimentClient() as client:
    created = client.experiments.create(
        project_id=project_id,
        key="price-test",
        variants=[Variant(key="control"), Variant(key="treatment", payload={"price": 9})],
        rollout_weights={"control": 1, "treatment": 1},
    )
    client.experiments.edit(created.id, exposure_event=ExposureEvent(event_type="Price Shown"))
    client.holdouts.create(project_id=project_id, name="Q4 holdout", holdout_percentage=5, experiments=[created.id])
    client.mutexes.create(
        project_id=project_id,
        name="Prices",
        slots=[{"percentage": 50, "experiments": [created.id]}, {"percentage": 50}],
    )
    print(created.id, created.url)
