"""Errors in the words of the command line."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType

import amp_exp_async

from .exit_codes import FIRST_SIGNAL_STATUS, ExitCode

# Python arguments whose option has another name.
_OPTIONS = {
    **{name: f"--{name.replace('_', '-')}" for name in ("base_url", "deadline", "proxy", "region", "timeout")},
    "api_key": "--api-key-file",
    "keys": "--key",
}
_HTTP_ADVICE = "Only on a trusted network, pass --allow-insecure-http instead."


class UnknownNameError(amp_exp_async.InvalidInputError):
    """A command names an object that does not exist. To programs, it is the `NotFoundError` of the library."""


class Exit(Exception):  # noqa: N818 - not every exit is an error
    """The end of a command.

    Args:
        message: the message for standard error; None without one.
        status: the exit status.
        problems: the problems of a file, for `--json`.
        cause: the error that ended the command, for `--json`.
    """

    def __init__(
        self,
        message: str | None,
        status: int = ExitCode.FAILED,
        problems: Sequence[amp_exp_async.Problem] = (),
        cause: Exception | None = None,
    ) -> None:
        super().__init__(message)
        self.cause = cause
        self.message = message
        self.status = status
        self.problems = problems

    @property
    def code(self) -> str:
        """The kind of failure, for programs: the name of the error without `Error`, in lower case with underscores."""
        if self.status > FIRST_SIGNAL_STATUS:
            return "interrupted"
        if self.cause is None:
            return "failed"
        if isinstance(self.cause, UnknownNameError):
            return "not_found"
        if isinstance(self.cause, OSError) and not isinstance(self.cause, amp_exp_async.AmpExpError):
            return "os"
        name = type(self.cause).__name__.removesuffix("Error")
        return re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=API)(?=[A-Z])", "_", name).lower()

    @property
    def http_status(self) -> int | None:
        """The status of the response that ended the command; None without one."""
        match self.cause:
            case amp_exp_async.APIStatusError() | amp_exp_async.UnexpectedResponseError() as error:
                return error.status
            case _:
                return None

    @property
    def request_id(self) -> str | None:
        """The ID that the service gave the request that ended the command; None without one."""
        return getattr(self.cause, "request_id", None)


def exit_for(error: Exception, *, sent: bool, options: Mapping[str, str]) -> Exit:
    """Return the end of a command that failed.

    Args:
        error: the error.
        sent: whether a request was sent.
        options: the options and arguments of the command by the names of its parameters.
    """
    is_usage = isinstance(
        error,
        amp_exp_async.InvalidInputError | amp_exp_async.ConfigurationError | amp_exp_async.TooManyRemovalsError,
    )
    problems = error.problems if isinstance(error, amp_exp_async.InvalidManifestError) else ()
    message = describe_error(error, sent=sent, options=options)
    return Exit(message, ExitCode.USAGE if is_usage else ExitCode.FAILED, problems, error)


def describe_error(error: Exception, *, sent: bool, options: Mapping[str, str] = MappingProxyType({})) -> str:
    """Return an error's message with options instead of Python arguments.

    It is one line, unless the error lists several problems.

    Args:
        error: the error.
        sent: whether a request was sent.
        options: the options and arguments of the command by the names of its parameters.
    """
    text = " ".join([_compose(error, options, sent=sent), *getattr(error, "__notes__", ())])
    return (
        text
        if isinstance(error, amp_exp_async.InvalidManifestError | amp_exp_async.EditConflictError)
        else " ".join(text.split())
    )


def _compose(error: Exception, options: Mapping[str, str], *, sent: bool) -> str:
    match error:
        case amp_exp_async.InvalidManifestError():
            return str(error)
        case amp_exp_async.InvalidInputError() | amp_exp_async.ConfigurationError() if not error.args:
            if sent:
                error.mark_requests_sent()
            error.rule = error.rule.removesuffix(", or a Timeout")  # of Python only
            advice = f"{error.advice} {_HTTP_ADVICE if 'allow_insecure_http' in error.code_advice else ''}".rstrip()
            return error.describe(_option(error, {**_OPTIONS, **options}), advice)
        case amp_exp_async.APIConnectionError() | amp_exp_async.APIStatusError():
            request_id = "" if error.request_id is None else f" Request ID: {error.request_id}."
            return f"{error.args[0]} {_advice(error, options)}{request_id}"
        case amp_exp_async.TooManyRemovalsError():
            return str(error).replace("max_removals", "--max-removals")
        case OSError():
            path = f"{error.filename}: " if error.filename else ""
            return f"{path}{describe_os_error(error)}."
        case _:
            return str(error)


def _option(
    error: amp_exp_async.InvalidInputError | amp_exp_async.ConfigurationError, options: Mapping[str, str]
) -> str:
    """Return the invalid argument as the user of the command line knows it."""
    subject = error.subject or error.argument
    name = re.split(r"[.\[ ]", error.argument, maxsplit=1)[0]
    if name not in options or not subject.startswith(name):
        return subject
    option, rest = options[name], subject.removeprefix(name)
    if rest.startswith("[") and " " not in option:
        return option  # of a repeated option; the message shows the value
    return f"{option} {rest[1:]}" if rest.startswith(".") else option + rest


def _advice(error: amp_exp_async.APIConnectionError | amp_exp_async.APIStatusError, options: Mapping[str, str]) -> str:
    advice = error.advice
    match error:
        case amp_exp_async.APIConnectionError() if error.setting is not None:
            option = {"ssl": "--ca-bundle", **_OPTIONS, **options}.get(error.setting, error.setting)
            advice = f"{advice.removesuffix(f'{error.setting}.')}{option}."
        case amp_exp_async.APITimeoutError() if error.method == "GET" or not error.sent:
            advice = "Try again later."
        case amp_exp_async.APIConnectionError() if not error.sent:
            advice = "Check the network, --base-url, and the proxy if there is one (--proxy, HTTPS_PROXY)."
        case amp_exp_async.APIConnectionError() if error.method == "GET":
            advice = "Try again."
        case amp_exp_async.AuthenticationError():
            advice = "Check the management API key (not a deployment key): keys of the EU need --region eu."
        case amp_exp_async.RateLimitError() if not error.daily:
            advice = "Wait, and try again."
        case amp_exp_async.APIStatusError() if 300 <= error.status < 400:
            advice = "Check --base-url: redirects are not followed."
        case _:  # other advice names no Python
            pass
    return advice


def describe_os_error(error: OSError | UnicodeDecodeError) -> str:
    """Return the reason of a failed file or network operation, without number, path and address."""
    if isinstance(error, UnicodeDecodeError):
        return f"not UTF-8 text: {error.reason} at byte {error.start}"
    if error.filename is not None and error.strerror:  # of the system, or of the library
        return error.strerror
    return os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)
