"""The error of a document that does not match the API reference."""

from __future__ import annotations

from attrs import frozen


@frozen
class MalformedDocumentError(Exception):
    """A document does not match the API reference.

    Attributes:
        location: the location in the document; empty for the whole document.
        reason: the error at this location.
    """

    location: str
    reason: str

    def inside(self, outer: str) -> MalformedDocumentError:
        """Return the error of a document that contains this one at a location."""
        separator = "." if outer and self.location and not self.location.startswith("[") else ""
        return MalformedDocumentError(outer + separator + self.location, self.reason)
