"""Copy flags from one project to another.

Run it as `python staging_to_production.py STAGING PRODUCTION KEY...`.
"""

import sys

from amp_exp_async import ExperimentClient

staging, production, *keys = sys.argv[1:]
with ExperimentClient() as client:
    manifest = client.export(project_id=staging, keys=keys)
    # Deployments are matched by label; targeting that others changed in production stays, unless it is declared.
    plan = client.plan(manifest, project_id=production)
    print(plan)
    for warning in plan.warnings:
        print("warning:", warning, file=sys.stderr)
    # A run after a failure plans again what is left, so it needs no journal.
    run = client.apply(plan)
    run.wait()
    run.raise_for_failures()
