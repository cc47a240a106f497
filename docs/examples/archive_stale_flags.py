"""Archive flags that are at 0 or 100 % and have not changed for half a year.

Run it as `python archive_stale_flags.py PROJECT`.
"""

import sys

from amp_exp_async import Edit, ExperimentClient, lint

DAYS = 180

with ExperimentClient() as client:
    manifest = client.export(project_id=sys.argv[1], users=True, cohorts=True, server_fields=True)
    findings = lint(manifest, days=DAYS)
    stale = [finding for finding in findings if finding.rule == "settled-rollout" and finding.kind == "flags"]
    for finding in stale:
        print(finding)
    if "--yes" not in sys.argv:
        sys.exit(f"Stale flags: {len(stale)}. Pass --yes to archive them.")
    edits = (
        Edit("flags", key=finding.key, project_id=finding.project_id, changes={"archive": True}) for finding in stale
    )
    # A run after a failure finds those that are left, so it needs no journal.
    run = client.bulk(edits)
    summary = run.wait()
    print(f"{summary.done} archived, {summary.failed} failed, {summary.unknown} unknown")
    run.raise_for_failures()
