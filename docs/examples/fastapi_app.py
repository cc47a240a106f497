"""Read and change flags from a FastAPI application.

Install `fastapi` and `uvicorn`.

Run it as `uvicorn fastapi_app:app`, behind your own authentication: a management key can change every flag.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Request
from fastapi.responses import JSONResponse

from amp_exp_async import AmpExpError, AsyncExperimentClient, InvalidInputError, NotFoundError, RateLimitError

STATUSES = {InvalidInputError: 422, NotFoundError: 404, RateLimitError: 503}


@asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncIterator[dict[str, Any]]:
    # One client for each worker process: all requests share its connections and its rate limit. With several workers,
    # pass rate_limit=RedisRateLimit(…). A user of the app waits for ten seconds at most, retries included.
    async with AsyncExperimentClient(deadline=10) as client:
        yield {"client": client}


def get_client(request: Request) -> AsyncExperimentClient:
    return request.state.client


Client = Annotated[AsyncExperimentClient, Depends(get_client)]
app = FastAPI(lifespan=lifespan)


@app.exception_handler(AmpExpError)
async def explain(_request: Request, error: AmpExpError) -> JSONResponse:
    # All else is a fault of this app or of the service, such as a rejected key, and not of the user.
    status = next((status for kind, status in STATUSES.items() if isinstance(error, kind)), 502)
    return JSONResponse({"detail": str(error)}, status)


@app.get("/projects/{project_id}/flags/{key}")
async def read_flag(project_id: str, key: str, client: Client) -> dict[str, Any]:
    flag = await client.flags.find(key, project_id=project_id)
    return flag.to_dict()


@app.post("/projects/{project_id}/flags/{key}/users/{user}")
async def include_user(project_id: str, key: str, user: str, client: Client) -> dict[str, str]:
    flag = await client.flags.find(key, project_id=project_id)
    await client.flags.users.add(flag.id, "on", [user])  # safe to repeat: the IDs are a set
    return {"included": user}
