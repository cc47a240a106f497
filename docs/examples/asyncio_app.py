"""Edit many flags concurrently inside an asyncio program.

Run it as `python asyncio_app.py PROJECT`.
"""

import asyncio
import sys

from amp_exp_async import AsyncExperimentClient, Edit


async def tag_reviewed(client: AsyncExperimentClient, project_id: str) -> int:
    """Tag all flags of a project, within the rate limit, and return how many were tagged."""
    flags = await client.flags.list(project_id=project_id)
    edits = [Edit("flags", flag.id, changes={"tags": sorted({*(flag.tags or []), "reviewed"})}) for flag in flags]
    done = 0
    async for outcome in client.bulk(edits):
        if outcome.ok:
            done += 1
        else:
            print(outcome.operation.target, outcome.status, outcome.error, file=sys.stderr)
    return done


async def main() -> None:
    async with AsyncExperimentClient() as client:
        print(await tag_reviewed(client, sys.argv[1]), "flags tagged")


asyncio.run(main())
