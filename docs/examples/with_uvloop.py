"""Run the async client on uvloop.

Install `uvloop`.

Run it as `python with_uvloop.py`.
"""

import uvloop

from amp_exp_async import AsyncExperimentClient


async def main() -> None:
    async with AsyncExperimentClient() as client:
        print(len(await client.flags.list()), "flags")


uvloop.run(main())
