"""The one exception by which an operation refuses a request."""


class Refusal(Exception):  # noqa: N818 - a refusal is an answer, no error of the emulator
    """The request is answered with this status and an error body that carries the message."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
