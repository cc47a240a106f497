"""The times that an attempt may take: as a whole, for its connection, and between two pieces of its response."""

from __future__ import annotations

from typing import cast

from attrs import field, frozen

from amp_exp_async.validation.settings import is_positive_seconds, optional_positive_seconds, positive_seconds

from .error_mapping import TransportFailure

_MAX_CONNECT_SECONDS = 10.0
_CONNECT_SHARE = 0.9
_ENVIRONMENT = "Check the network, base_url, proxy and ssl"


@frozen
class Timeout:
    """The seconds that one attempt may take, by phase. Each attempt of a call has the whole time.

    Whatever the phases allow, an attempt ends after `total` seconds. The `deadline` of the call still holds.

    Attributes:
        total: for the attempt as a whole, from asking for a connection to the end of the response.
        connect: for the connection: to resolve the name, to connect, to let a proxy open a tunnel, and to agree on TLS;
            None for no limit but `total`. An open connection takes none of it. With your own session, it includes the
            wait for a free connection of that session. If it passes, nothing was sent, so every request is retried.
        read: for the wait until the first piece of the response after the request was sent, and between two pieces;
            None for no limit but `total`. If it passes, the service may have received the request.

    Raises:
        ConfigurationError: If a value is not a number of more than 0.

    Example::

        client = AsyncExperimentClient(timeout=Timeout(60, connect=3, read=10))
    """

    total: float = field(default=30.0, validator=positive_seconds)
    connect: float | None = field(default=None, validator=optional_positive_seconds)
    read: float | None = field(default=None, validator=optional_positive_seconds)


def to_timeout(value: float | Timeout) -> Timeout:
    """Return a number of seconds for the whole attempt as a `Timeout`, and another value as it is.

    Connecting times out first, so that a short attempt without a connection leaves time for another one.
    """
    if isinstance(value, Timeout) or not is_positive_seconds(value):
        return cast("Timeout", value)  # the validator rejects any other value
    return Timeout(value, connect=min(value * _CONNECT_SHARE, _MAX_CONNECT_SECONDS))


@frozen(eq=False)  # it is looked up by its identity, which is faster
class AttemptLimits:
    """The limits of one attempt.

    Args:
        seconds: what the attempt may take as a whole: the total, or less if the deadline of the call comes first.
        timeout: the limits of the client.
    """

    seconds: float
    _timeout: Timeout

    @property
    def connect(self) -> float | None:
        """The seconds for the connection; None if the whole attempt ends first."""
        return self._within_attempt(self._timeout.connect)

    @property
    def read(self) -> float | None:
        """The seconds between two pieces of the response; None if the whole attempt ends first."""
        return self._within_attempt(self._timeout.read)

    def _within_attempt(self, seconds: float | None) -> float | None:
        return seconds if seconds is not None and seconds < self.seconds else None

    def connect_failure(self) -> TransportFailure:
        """Return the failure of an attempt that got no connection in time."""
        if self.connect is None:
            return self.total_failure(sent=False)
        reason = f"no connection within {_format(self.connect)} (connect timeout)"
        return TransportFailure(
            reason, sent=False, timeout=True, advice=f"{_ENVIRONMENT}, or raise the connect timeout."
        )

    def read_failure(self) -> TransportFailure:
        """Return the failure of an attempt whose response stopped."""
        if self.read is None:
            return self.total_failure(sent=True)
        reason = f"nothing more of the response for {_format(self.read)} (read timeout)"
        return TransportFailure(reason, sent=True, timeout=True, advice="Try again, or raise the read timeout.")

    def total_failure(self, *, sent: bool) -> TransportFailure:
        """Return the failure of an attempt that took too long as a whole.

        Args:
            sent: whether there was a connection to send the request over.
        """
        missing = "complete response" if sent else "connection"
        phase, option = ("deadline", "deadline") if self.seconds < self._timeout.total else ("total timeout", "timeout")
        reason = f"no {missing} within {_format(self.seconds)} ({phase})"
        advice = f"Try again, or raise {option}." if sent else f"{_ENVIRONMENT}, or raise {option}."
        return TransportFailure(reason, sent=sent, timeout=True, advice=advice)


def _format(seconds: float) -> str:
    # What is left until a deadline differs from it by the moment in which the call started.
    return f"{round(seconds, 2):g} s" if seconds >= 1 else f"{seconds:.2g} s"
