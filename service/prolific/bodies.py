"""Read the body of an answer up to a maximal size. The caller limits the time."""

import zlib
from collections.abc import AsyncIterable

import httpx

MAX_ANSWER_BODY = 8 * 1024 * 1024  # decoded bytes; a page of 100 submissions has about 100 KiB
GZIP = 16 + zlib.MAX_WBITS
UNREADABLE = "unreadable"  # the response's extension that says why its body can't be read


class UnreadableBody(Exception):
    """A body that is too large, or whose encoding is unknown or broken."""


async def read_response(response: httpx.Response) -> httpx.Response:
    """Return the response with its body read and decoded as UTF-8.

    A body that can't be read is dropped, and ``extensions["unreadable"]`` says why: its status still counts.
    """
    # httpx would decode each chunk as a whole, and make 64 MiB of 64 KiB of gzip.
    extensions = dict(response.extensions)
    try:
        content = await _decoded(response.stream, response.headers.get("Content-Encoding", ""))
    except UnreadableBody as error:
        content, extensions[UNREADABLE] = b"", str(error)
    headers = [
        (name, value)
        for name, value in response.headers.raw
        if name.lower() not in {b"content-encoding", b"content-length", b"transfer-encoding"}
    ]
    read = httpx.Response(
        response.status_code,
        headers=headers,
        content=content,
        request=response.request,
        extensions=extensions,
    )
    read.encoding = "utf-8"  # the header may name a charset that Python does not know
    return read


async def _decoded(stream: object, encoding: str) -> bytes:
    assert isinstance(stream, AsyncIterable)
    encoding = encoding.strip().lower()
    if encoding in {"", "identity"}:
        return await _joined(stream)
    # No other encoding was accepted, but a proxy may choose one by itself.
    if encoding != "gzip":
        raise UnreadableBody(f"its encoding is {encoding[:50]!r}")
    decoder, content = zlib.decompressobj(GZIP), bytearray()
    try:
        async for chunk in stream:
            content += decoder.decompress(chunk, MAX_ANSWER_BODY + 1 - len(content))
            _check(len(content))
    except zlib.error:
        raise UnreadableBody("it is not gzip") from None
    # The connection was cut: what arrived may be valid JSON by chance.
    if not decoder.eof and content:
        raise UnreadableBody("its gzip ends early")
    return bytes(content)


async def _joined(stream: AsyncIterable[bytes]) -> bytes:
    chunks, size = [], 0
    async for chunk in stream:
        size += len(chunk)
        _check(size)
        chunks.append(chunk)
    return b"".join(chunks)


def _check(size: int) -> None:
    if size > MAX_ANSWER_BODY:
        raise UnreadableBody(f"its body is over {MAX_ANSWER_BODY} bytes")
