"""Every error of this library, in one tree.

::

    AmpExpError
    ├── ConfigurationError           a key, region, URL or option that cannot work
    ├── ClientClosedError            the client was used after it was closed (also RuntimeError)
    ├── InvalidInputError            refused before anything was sent (also ValueError)
    │   └── InvalidManifestError        a file, or what it declares, has problems
    ├── APIConnectionError           no complete reply: not connected, connection lost
    │   └── APITimeoutError          no complete reply in time (also TimeoutError)
    ├── APIStatusError               a reply that refuses
    │   ├── BadRequestError          400
    │   ├── AuthenticationError      401
    │   ├── PermissionDeniedError    403
    │   ├── NotFoundError            404
    │   ├── MethodNotAllowedError    405
    │   ├── ConflictError            409
    │   ├── RateLimitError           429
    │   └── ServerError              5xx
    ├── UnexpectedResponseError      a reply that is not what the contract says
    ├── OutcomeUnknownError          a write that may or may not have been applied
    ├── EditConflictError            the object changed since it was read
    └── BulkError                    operations of a bulk run are not done
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from attrs import frozen


class AmpExpError(Exception):
    """The root of every error that this library raises."""


class ConfigurationError(AmpExpError):
    """A client cannot be built, or used where it is, as it is configured. The message says what to set."""


class ClientClosedError(AmpExpError, RuntimeError):
    """The client was used after `aclose()` or `close()`. Open a new one."""


class InvalidInputError(AmpExpError, ValueError):
    """An argument breaks a rule of the API. Nothing was sent.

    Attributes:
        argument: the argument, and the place inside it: `target_segments[0].percentage`.
        rule: the rule that it breaks.
    """

    def __init__(self, message: str, *, argument: str = "", rule: str = "") -> None:
        super().__init__(message)
        self.argument = argument
        self.rule = rule


@frozen
class Problem:
    """Something that is wrong in a file.

    Attributes:
        file: the file; empty where there is none.
        line: the line, from 1; 0 where there is none.
        field: the place in it: `flags[3].variants[0].payload`; empty for the whole.
        message: what is wrong, and what to do.
    """

    file: str
    line: int
    field: str
    message: str

    @property
    def location(self) -> str:
        """File and line."""
        return f"{self.file}:{self.line}" if self.line else self.file

    def __str__(self) -> str:
        return ": ".join(part for part in (self.location, self.field, self.message) if part)


class InvalidManifestError(InvalidInputError):
    """A file cannot be read, or what it declares cannot be. Nothing was changed. The message has all the problems.

    Attributes:
        problems: what is wrong, each with file, line and field.
    """

    def __init__(self, message: str, *, problems: Sequence[Problem] = ()) -> None:
        super().__init__(message, argument="state", rule="must have no problems")
        self.problems = problems


class _RequestError(AmpExpError):
    """What every error about a request that was (or may have been) sent can tell.

    Attributes:
        method: the HTTP method.
        path: the path, without the host.
        attempts: how many requests were sent for this call, retries included.
    """

    def __init__(self, message: str, *, method: str = "", path: str = "", attempts: int = 0) -> None:
        super().__init__(message)
        self.method = method
        self.path = path
        self.attempts = attempts


class APIConnectionError(_RequestError):
    """No complete reply arrived: the host was not reached, or the connection was lost.

    Attributes:
        sent: whether the service may have received the last request.
        method, path, attempts: what was asked, and how often.
    """

    def __init__(
        self, message: str, *, method: str = "", path: str = "", attempts: int = 0, sent: bool = False
    ) -> None:
        super().__init__(message, method=method, path=path, attempts=attempts)
        self.sent = sent


class APITimeoutError(APIConnectionError, TimeoutError):
    """No complete reply arrived in time: within `timeout` for one attempt, or `deadline` for the call."""


class APIStatusError(_RequestError):
    """The service answered, and refused.

    Attributes:
        status: the HTTP status.
        body: the reply's body: parsed when it is JSON, else its text; empty text when there was none.
        headers: the reply's headers.
        method, path, attempts: what was asked, and how often.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int = 0,
        body: Any = "",
        headers: Mapping[str, str] | None = None,
        method: str = "",
        path: str = "",
        attempts: int = 0,
    ) -> None:
        super().__init__(message, method=method, path=path, attempts=attempts)
        self.status = status
        self.body = body
        self.headers: Mapping[str, str] = {} if headers is None else headers


class BadRequestError(APIStatusError):
    """400: the service found the input missing or invalid. `body` holds its words."""


class AuthenticationError(APIStatusError):
    """401: the management API key is invalid or revoked, or belongs to another region."""


class PermissionDeniedError(APIStatusError):
    """403: the key has no access to this project."""


class NotFoundError(APIStatusError):
    """404: there is no such object."""


class MethodNotAllowedError(APIStatusError):
    """405: this object cannot be edited through the API (web experiments, guides and surveys)."""


class ConflictError(APIStatusError):
    """409: the request conflicts with the object's present state."""


class RateLimitError(APIStatusError):
    """429: over the rate limit, after the retries that the policy allows.

    Also raised without a request when the day's requests are used up and the deadline comes before the UTC day ends.

    Attributes:
        retry_after: seconds after which the service accepts requests again, or None when it did not say.
        daily: whether it is the limit of the day, not that of the second: the reply speaks of a day, or asks for a wait
            of more than a minute.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int = 429,
        body: Any = "",
        headers: Mapping[str, str] | None = None,
        method: str = "",
        path: str = "",
        attempts: int = 0,
        retry_after: float | None = None,
        daily: bool = False,
    ) -> None:
        super().__init__(
            message, status=status, body=body, headers=headers, method=method, path=path, attempts=attempts
        )
        self.retry_after = retry_after
        self.daily = daily


class ServerError(APIStatusError):
    """5xx: the service failed, after the retries that the policy allows."""


class UnexpectedResponseError(_RequestError):
    """A reply is not what the contract says.

    Attributes:
        location: where in the document, as in `flags[12].targetSegments[0].percentage`; empty for the whole of it.
        body: the beginning of the reply's body, as text.
        method, path, attempts: what was asked, and how often.
    """

    def __init__(
        self,
        message: str,
        *,
        location: str = "",
        body: str = "",
        method: str = "",
        path: str = "",
        attempts: int = 0,
    ) -> None:
        super().__init__(message, method=method, path=path, attempts=attempts)
        self.location = location
        self.body = body


class OutcomeUnknownError(_RequestError):
    """A write may or may not have been applied, and reading back could not settle it. It was not repeated.

    The failure that hid the outcome is the error's `__cause__`.
    """


class EditConflictError(AmpExpError):
    """The object changed between being read and being written, in a place that the edit changes too.

    Attributes:
        field: the first such place: `name`, or `target_segments['Beta testers']`.
        base: what it was when it was read; of a segment that was not there, `UNSET`.
        ours: what the edit makes of it; where it takes it away, `UNSET`.
        theirs: what it is now; likewise.
        written: whether the edit was written and overwritten since; otherwise nothing was written.
    """

    def __init__(
        self,
        message: str,
        *,
        field: str = "",
        base: Any = None,
        ours: Any = None,
        theirs: Any = None,
        written: bool = False,
    ) -> None:
        super().__init__(message)
        self.field = field
        self.base = base
        self.ours = ours
        self.theirs = theirs
        self.written = written


class BulkError(AmpExpError):
    """Operations of a bulk run failed, are unknown, or were left out. The message names the first of them.

    Attributes:
        errors: the errors of the first of them, at most ten.
    """

    def __init__(self, message: str, *, errors: Sequence[AmpExpError] = ()) -> None:
        super().__init__(message)
        self.errors = errors
