"""A service with any number of flags, which it makes up when they are read."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson

from .sample_flags import make_flags
from .serving import Service

PROJECT = "1"
PAGE_SIZE = 1_000
FIRST_ID = 100_000


class FlagService(Service):
    """A service with flags, one deployment and nothing else. It accepts every write, and changes nothing."""

    def __init__(self, count: int) -> None:
        self._count = count
        # Flags with other IDs and keys, but the same content, are made from these.
        self._samples = make_flags(min(count, PAGE_SIZE))

    def answer(self, method: str, target: str) -> tuple[int, bytes]:
        url = urlsplit(target)
        if method != "GET":
            return 200, b"OK"
        if url.path == "/api/1/flags":
            return 200, orjson.dumps(self._page(parse_qs(url.query)))
        if url.path == "/api/1/experiments":
            return 200, b'{"experiments": []}'
        if url.path == "/api/1/deployments":
            return 200, b'{"deployments": [{"id": "1000", "label": "web", "projectId": "1", "deleted": false}]}'
        if url.path.startswith("/api/1/flags/"):
            return 200, orjson.dumps(self._flag(int(url.path.removeprefix("/api/1/flags/")) - FIRST_ID))
        return 404, b'{"message": "not found"}'

    def _page(self, query: dict[str, list[str]]) -> dict[str, Any]:
        start, limit = int(query.get("cursor", ["0"])[0]), int(query.get("limit", [str(PAGE_SIZE)])[0])
        end = min(start + limit, self._count)
        page: dict[str, Any] = {"flags": [self._flag(number) for number in range(start, end)]}
        if end < self._count:
            page["nextCursor"] = str(end)
        return page

    def _flag(self, number: int) -> dict[str, Any]:
        sample = self._samples[number % len(self._samples)]
        return sample | {
            "id": str(FIRST_ID + number),
            "key": f"checkout-redesign-{number}",
            "projectId": PROJECT,
            "deployments": ["1000"],
            "parentDependencies": None,
        }
