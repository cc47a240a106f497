"""All errors of this library.

::

    AmpExpError
    ├── ConfigurationError           invalid key, region, URL or option
    ├── ClientClosedError            use of a closed client (also RuntimeError)
    ├── InvalidInputError            invalid argument; nothing was sent for it (also ValueError)
    │   └── InvalidManifestError     a file, or a manifest, with problems
    ├── APIConnectionError           no complete response: not connected, connection lost
    │   └── APITimeoutError          no complete response in time (also TimeoutError)
    ├── APIStatusError               a response that rejects the request
    │   ├── BadRequestError          400
    │   ├── AuthenticationError      401
    │   ├── PermissionDeniedError    403
    │   ├── NotFoundError            404, or 400 if the body says so
    │   ├── MethodNotAllowedError    405, or 400 for web experiments
    │   ├── ConflictError            409
    │   ├── RateLimitError           429
    │   └── ServerError              5xx
    ├── UnexpectedResponseError      a response that differs from the API reference
    ├── OutcomeUnknownError          a write that may or may not have been applied
    ├── EditConflictError            the object changed since it was read
    ├── TooManyRemovalsError         a replacement that would remove more IDs than allowed
    ├── WebhookVerificationError     a notification without a valid signature
    └── BulkError                    operations of a bulk run that are not done
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from attrs import frozen

from .escaping import escape, escape_lines

NOTHING_SENT = "Nothing was sent."
NOTHING_SENT_FOR_ITEM = "Nothing was sent for it."
NOTHING_WRITTEN = "Nothing was written."


class AmpExpError(Exception):
    """The base of all errors of this library."""

    def __str__(self) -> str:
        return escape_lines(super().__str__())  # messages quote what others wrote

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"


class _ArgumentError(AmpExpError):
    """The base of the errors about an argument. The message is composed of the parts unless one is given.

    Attributes:
        argument: the argument and the location in it: `target_segments[0].percentage`.
        rule: the rule that it breaks.
        got: the rejected value as JSON; empty if the message does not show it.
        subject: the name of the argument in the message, with its file and line; empty if that is `argument`.
        consequence: what was not done, as a sentence; empty if that goes without saying.
        advice: what to do, as a sentence; empty if the rule says it.
        code_advice: further advice, which names arguments and methods in Python.
    """

    _separator = ": "

    def __init__(
        self,
        message: str = "",
        *,
        argument: str = "",
        rule: str = "",
        got: str = "",
        subject: str = "",
        consequence: str = "",
        advice: str = "",
        code_advice: str = "",
    ) -> None:
        super().__init__(*([message] if message else []))
        self.argument = argument
        self.rule = rule
        self.got = got
        self.subject = subject
        self.consequence = consequence
        self.advice = advice
        self.code_advice = code_advice

    def __str__(self) -> str:
        if self.args or not self.rule:
            return super().__str__()
        return self.describe(self.subject or self.argument, f"{self.advice} {self.code_advice}".strip())

    def mark_requests_sent(self, *, written: bool = False) -> None:
        """Do not say that nothing was sent: requests were sent.

        Args:
            written: whether there was a write among them.
        """
        if self.consequence == NOTHING_SENT:
            self.consequence = "" if written else NOTHING_WRITTEN

    def describe(self, argument: str, advice: str) -> str:
        """Return the message with another name for the argument, and other advice.

        Args:
            argument: the name.
            advice: the advice, as a sentence; empty without any.
        """
        got = f", got {self.got}" if self.got else ""
        end = "" if self.rule.endswith("?") and not got else "."
        subject = f"{argument}{self._separator}" if argument else ""
        parts = [f"{subject}{self.rule}{got}{end}", self.consequence, advice]
        return escape_lines(" ".join(filter(None, parts)))


class ConfigurationError(_ArgumentError):
    """The client configuration is invalid, or the client is used where it cannot work. The message says what to set.

    Attributes:
        argument: the argument or environment variable, if one is invalid.
        rule: what is wrong with it.
        got, subject, consequence, advice, code_advice: the other parts of the message.
    """

    _separator = " "


class WebhookVerificationError(AmpExpError):
    """A notification has no valid signature, so it may not come from the service. Reject it."""


class ClientClosedError(AmpExpError, RuntimeError):
    """The client was used after `aclose()` or `close()`. Create a new one."""


def program_ends(reason: str) -> ClientClosedError:
    """Return the error for what Python no longer does when the program ends."""
    return ClientClosedError(f"the program is ending, and {reason}. Make the call before the main program ends")


class InvalidInputError(_ArgumentError, ValueError):
    """An argument breaks a rule of the API. Nothing was sent for it.

    Attributes:
        argument: the argument and the location in it: `target_segments[0].percentage`.
        rule: the rule that it breaks.
        got, subject, consequence, advice, code_advice: the other parts of the message.
    """


@frozen
class Problem:
    """A problem in a file or manifest.

    Attributes:
        file: the file; empty without one.
        line: the line, from 1; 0 if it is not known.
        field: the location in the document: `flags[3].variants[0].payload`; empty for the whole document.
        message: what is wrong and how to correct it.
    """

    file: str
    line: int
    field: str
    message: str

    @property
    def location(self) -> str:
        """The file and the line."""
        return f"{self.file}:{self.line}" if self.line else self.file

    def __str__(self) -> str:
        return escape(": ".join(part for part in (self.location, self.field, self.message) if part))


class InvalidManifestError(InvalidInputError):
    """A file or manifest is invalid. Nothing was written. The message lists all problems.

    Attributes:
        problems: the problems.
    """

    def __init__(self, message: str, *, problems: Sequence[Problem] = ()) -> None:
        super().__init__(message, argument="manifest", rule="must have no problems")
        self.problems = problems


class _RequestError(AmpExpError):
    """The base of the errors about a request.

    Attributes:
        method: the HTTP method.
        path: the path, without the host.
        attempts: how many requests the call has sent, including retries.
        request_id: the ID that the service, or a gateway before it, gave the last attempt; None without one. Name it
            when you ask the vendor about the request.
        advice: what to do, as sentences of the message; empty if the message says it otherwise.
        code_advice: further advice, which names arguments and methods in Python.
    """

    request_id: str | None = None
    advice = ""
    code_advice = ""

    def __str__(self) -> str:
        request_id = "" if self.request_id is None else f"Request ID: {self.request_id}."
        return escape_lines(" ".join(filter(None, [super().__str__(), self.advice, self.code_advice, request_id])))

    def __init__(self, message: str, *, method: str = "", path: str = "", attempts: int = 0) -> None:
        super().__init__(message)
        self.method = method
        self.path = path
        self.attempts = attempts


class APIConnectionError(_RequestError):
    """No complete response arrived: the host was not reached, or the connection was lost.

    Attributes:
        sent: whether the service may have received an attempt.
        setting: the argument, or the variable of the environment, that is probably to be corrected, such as `proxy`,
            `HTTPS_PROXY` or `ssl`; None if it is not known.
        method, path, attempts: the request, and how often it was sent.
        request_id: the ID that the service, or a gateway before it, gave the last attempt; None without one.
    """

    setting: str | None = None

    def __init__(
        self, message: str, *, method: str = "", path: str = "", attempts: int = 0, sent: bool = False
    ) -> None:
        super().__init__(message, method=method, path=path, attempts=attempts)
        self.sent = sent


class APITimeoutError(APIConnectionError, TimeoutError):
    """No complete response arrived within `timeout` (for an attempt) or `deadline` (for the call).

    The message names what ran out: the whole attempt, a phase of it (see `Timeout`), or the deadline.
    """


class APIStatusError(_RequestError):
    """The service rejected the request.

    Attributes:
        status: the HTTP status.
        body: the response body, or its first 64 KiB: parsed if it is JSON, else its text.
        headers: the response headers.
        method, path, attempts: the request, and how often it was sent.
        request_id: the ID that the service, or a gateway before it, gave the last attempt; None without one.
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
    """400: the input is missing or invalid. `body` contains the service's explanation."""


class AuthenticationError(APIStatusError):
    """401: the management API key is invalid or revoked, or belongs to another region."""


class PermissionDeniedError(APIStatusError):
    """403: the user who created the key lacks a permission, or has no access to the project."""


class NotFoundError(APIStatusError):
    """404, or 400 with a body that says so: the object does not exist. `status` tells which.

    Attributes:
        variants: the keys of the variants that the flag or experiment has, if the call names a variant that it does
            not have; None otherwise, or if they could not be read.
        status, body, headers: the response.
        method, path, attempts: the request, and how often it was sent.
        request_id: the ID that the service, or a gateway before it, gave the last attempt; None without one.
    """

    variants: tuple[str, ...] | None = None


class MethodNotAllowedError(APIStatusError):
    """405, or 400 for web experiments: the API cannot edit the object (web experiments, guides and surveys)."""


class ConflictError(APIStatusError):
    """409: the request conflicts with the current state of the object."""


class RateLimitError(APIStatusError):
    """429: the rate limit was exceeded, and the retries of the policy are used up.

    Also raised without a request if the requests of the day are used up and the deadline passes before the UTC day
    ends.

    Attributes:
        retry_after: the seconds after which the service accepts requests again, at the latest when the UTC day ends;
            None if it does not say.
        daily: whether the daily limit was exceeded: the requests of the day are counted, the response asks to wait
            until the UTC day ends, or nothing was accepted for half a minute (see docs/rate-limiting.md).
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
    """5xx: the service failed, and the retries of the policy are used up."""


class UnexpectedResponseError(_RequestError):
    """A response differs from the API reference.

    Attributes:
        location: the location in the document: `flags[12].targetSegments[0].percentage`; empty for the whole document.
        body: the beginning of the response body, as text.
        status: the status of the response; None if no single response is at fault, such as for a list without end.
        method, path, attempts: the request, and how often it was sent.
        request_id: the ID that the service, or a gateway before it, gave the last attempt; None without one.
    """

    def __init__(
        self,
        message: str,
        *,
        location: str = "",
        body: str = "",
        status: int | None = None,
        method: str = "",
        path: str = "",
        attempts: int = 0,
    ) -> None:
        super().__init__(message, method=method, path=path, attempts=attempts)
        self.location = location
        self.body = body
        self.status = status


class OutcomeUnknownError(_RequestError):
    """A write may or may not have been applied, and reading back did not show which. It was not repeated.

    The failure that hides the outcome is the error's `__cause__`.

    Attributes:
        method, path, attempts: the request, and how often it was sent.
        request_id: the ID that the service, or a gateway before it, gave the last attempt; None without one.
    """


class EditConflictError(AmpExpError):
    """The object changed after it was read, in a field that the edit changes too.

    Attributes:
        field: the first such field: `name`, or `target_segments['Beta testers']`.
        base: its value when it was read; `UNSET` for a segment that did not exist.
        ours: the value that the edit sets; `UNSET` if the edit removes it.
        theirs: its current value; `UNSET` if it was removed.
        written: whether the edit was written and then overwritten; otherwise nothing was written.
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


class TooManyRemovalsError(AmpExpError):
    """A replacement would remove more IDs from a variant than `max_removals` allows. Nothing was written.

    Attributes:
        removals: how many IDs would be removed.
        included: how many IDs the variant includes.
        max_removals: the bound: a count, or a share of the included IDs.
    """

    def __init__(self, message: str, *, removals: int = 0, included: int = 0, max_removals: float = 0) -> None:
        super().__init__(message)
        self.removals = removals
        self.included = included
        self.max_removals = max_removals


class BulkError(AmpExpError):
    """Operations of a bulk run failed, have an unknown outcome, or were not started. The message names the first one.

    Attributes:
        errors: the errors of the first of these operations, at most ten.
    """

    def __init__(self, message: str, *, errors: Sequence[AmpExpError] = ()) -> None:
        super().__init__(message)
        self.errors = errors
