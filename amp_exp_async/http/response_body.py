"""Reading of response bodies, and their decompression, up to a maximum size and in bounded steps.

aiohttp would decompress them too. How much it does in one step of the event loop has no bound in many of its releases.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Iterator, Mapping

import aiohttp

from .request import MAX_ERROR_BYTES

ACCEPT_ENCODING = "gzip, deflate"
_DEFLATE = "deflate"
_ACCEPTED = frozenset({"gzip", "x-gzip", _DEFLATE})
_IDENTITY = frozenset({"", "identity"})
_GZIP_WBITS, _ZLIB_WBITS, _RAW_WBITS = 16 + zlib.MAX_WBITS, zlib.MAX_WBITS, -zlib.MAX_WBITS
_ZLIB_METHOD = 8  # in the lower half of the first byte
_STEP = 1 << 18  # bytes that are decompressed at once
_OVERHEAD = 1 << 16  # bytes by which a compressed body may be larger than the limit
_SMALL = 1 << 19  # bytes that are parsed in a moment, whatever they are
# Parsing cannot be interrupted, and small values take long. A body may have one array or object for each 256 bytes of
# its limit, and one value for each 32.
_BYTES_PER_CONTAINER, _BYTES_PER_VALUE = 256, 32
_BLOCK, _MAX_DIGIT_BLOCKS = 256, 256  # of bytes: the time to parse a number grows with the square of its digits


class UnreadableBodyError(Exception):
    """A response has a body that the client does not accept."""


class CorruptBodyError(aiohttp.ClientPayloadError):
    """A response has a body that does not have the encoding of its headers. Another attempt may bring a better one."""


class ResponseTooLargeError(UnreadableBodyError):
    """A response has a body that is larger than allowed."""


async def read_body(
    payload: aiohttp.StreamReader, headers: Mapping[str, str], max_bytes: int, *, is_error: bool = False
) -> bytes:
    """Return the whole body of a response, decompressed.

    Args:
        payload: the body, as it was sent.
        headers: the headers of the response.
        max_bytes: the maximum size after decompression.
        is_error: whether the body is that of an error. Its status says enough: only a little more than
            `MAX_ERROR_BYTES` is read, or nothing if the encoding was not requested.

    Raises:
        UnreadableBodyError: If the body is larger, has too many JSON values to parse them in a moment, or has an
            encoding that was not requested.
        aiohttp.ClientError: If the body is incomplete, or does not have the encoding that the headers say.
    """
    encoding = headers.get("Content-Encoding", "").strip().lower()
    limit = MAX_ERROR_BYTES if is_error else max_bytes
    if encoding in _IDENTITY:
        body = await _read_plain(payload, limit, truncates=is_error)
    elif encoding in _ACCEPTED:
        body = await _read_compressed(payload, encoding, limit, truncates=is_error)
    elif is_error:
        return b""
    else:
        raise UnreadableBodyError(f"is encoded with {encoding}, which was not requested")
    if len(body) > _SMALL:
        _check_values(body, limit)
    return body


def _check_values(body: bytes, max_bytes: int) -> None:
    """Raise if parsing a body as JSON would take too long."""
    containers = body.count(b"[") + body.count(b"{")
    limit = max(max_bytes // _BYTES_PER_CONTAINER, _SMALL // 2)
    if containers > limit:
        raise ResponseTooLargeError(f"has more than {limit} arrays and objects")
    limit = max(max_bytes // _BYTES_PER_VALUE, _SMALL)
    if body.count(b",") > limit:
        raise ResponseTooLargeError(f"has more than {limit} values")
    if sum(body[start : start + _BLOCK].isdigit() for start in range(0, len(body), _BLOCK)) > _MAX_DIGIT_BLOCKS:
        raise ResponseTooLargeError("has too many long numbers")


async def _read_plain(payload: aiohttp.StreamReader, max_bytes: int, *, truncates: bool) -> bytes:
    # `StreamReader.read` has no bound.
    block = await payload.readany()
    blocks, size = [block], len(block)
    while size <= max_bytes and block and not payload.at_eof():
        block = await payload.readany()
        blocks.append(block)
        size += len(block)
    if size > max_bytes and not truncates:
        raise _too_large(max_bytes)
    return b"".join(blocks)


async def _read_compressed(payload: aiohttp.StreamReader, encoding: str, max_bytes: int, *, truncates: bool) -> bytes:
    decompressor: _Decompressor | None = None
    blocks: list[bytes] = []
    size = received = 0
    while data := await payload.readany():
        received += len(data)
        decompressor = decompressor or _Decompressor(encoding, data)
        for block in decompressor.steps(data):
            blocks.append(block)
            size += len(block)
            # A compressed body that becomes nothing must end too.
            if size > max_bytes or received > max_bytes + _OVERHEAD:
                if truncates:
                    return b"".join(blocks) if size > max_bytes else b""
                raise _too_large(max_bytes)
            await asyncio.sleep(0)
    if decompressor is not None and not decompressor.is_complete:
        raise aiohttp.ClientPayloadError(f"the {encoding} data is incomplete")
    return b"".join(blocks)


class _Decompressor:
    """A decompressor of one body.

    Args:
        encoding: the encoding.
        start: the beginning of the body.
    """

    def __init__(self, encoding: str, start: bytes) -> None:
        self._encoding = encoding
        # Some servers leave out the header of zlib.
        deflate_wbits = _ZLIB_WBITS if start[0] & 0xF == _ZLIB_METHOD else _RAW_WBITS
        self._inflate = zlib.decompressobj(deflate_wbits if encoding == _DEFLATE else _GZIP_WBITS)

    @property
    def is_complete(self) -> bool:
        """Whether the end of the compressed data was reached."""
        return self._inflate.eof

    def steps(self, data: bytes) -> Iterator[bytes]:
        """Yield the blocks that these bytes become, each of a bounded size.

        Raises:
            CorruptBodyError: If the bytes are not of the encoding.
        """
        is_done = False
        while not is_done:
            try:
                block = self._inflate.decompress(data, _STEP)
            except zlib.error as error:
                raise CorruptBodyError(f"the data is not {self._encoding} ({error})") from None
            yield block
            if self._inflate.unused_data:
                raise CorruptBodyError(f"data follows the end of the {self._encoding} data")
            data = self._inflate.unconsumed_tail
            is_done = not data and len(block) < _STEP  # zlib holds back what did not fit


def _too_large(max_bytes: int) -> ResponseTooLargeError:
    return ResponseTooLargeError(f"is larger than {max_bytes} bytes")
