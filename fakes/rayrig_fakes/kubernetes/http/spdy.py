"""SPDY/3.1 as far as Kubernetes' streams need it: the server's side of one connection, from bytes to bytes.

Source: the SPDY protocol, draft 3.1. Neither pushed streams nor flow control: clients of Kubernetes have none.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

_VERSION = 0x8003
_SYN_STREAM, _SYN_REPLY, _RST_STREAM, _PING = 1, 2, 3, 6
_FIN = 1
_LARGEST_PIECE = 32 * 1024

#: What headers are compressed with before anything was sent (draft 3.1, section 2.6.10.1): words with their lengths, then a text.
_WORDS = (
    "options head post put delete trace accept accept-charset accept-encoding accept-language accept-ranges age allow "
    "authorization cache-control connection content-base content-encoding content-language content-length content-location "
    "content-md5 content-range content-type date etag expect expires from host if-match if-modified-since if-none-match if-range "
    "if-unmodified-since last-modified location max-forwards pragma proxy-authenticate proxy-authorization range referer "
    "retry-after server te trailer transfer-encoding upgrade user-agent vary via warning www-authenticate method get status"
)
_TEXT = (
    "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505203 Non-Authoritative Information"
    "204 No Content301 Moved Permanently400 Bad Request401 Unauthorized403 Forbidden404 Not Found500 Internal Server Error"
    "501 Not Implemented503 Service UnavailableJan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 "
    "Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMTchunked,text/html,image/png,image/jpg,image/gif,application/xml,"
    "application/xhtml+xml,text/plain,text/javascript,publicprivatemax-age=gzip,deflate,sdchcharset=utf-8"
    "charset=iso-8859-1,utf-,*,enq=0."
)
_LAST_WORDS = ("200 OK", "version", "HTTP/1.1", "url", "public", "set-cookie", "keep-alive", "origin")
DICTIONARY = (
    b"".join(len(word).to_bytes(4, "big") + word.encode() for word in (*_WORDS.split(), *_LAST_WORDS)) + _TEXT.encode()
)


class NotSpdy(Exception):
    """What came cannot be read."""


@dataclass(frozen=True, slots=True)
class Opened:
    """The client opens a stream. Names of headers are in lower case."""

    stream: int
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Received:
    """Data of a stream."""

    stream: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Ended:
    """The client sends no more on a stream."""

    stream: int


class SpdyConnection:
    """`take` what came; send `pongs` and what `reply`, `data` and `end` give."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._inflate = zlib.decompressobj(zdict=DICTIONARY)
        self._deflate = zlib.compressobj(zdict=DICTIONARY)
        #: Answers to pings, to be sent.
        self.pongs = bytearray()

    def take(self, data: bytes) -> Iterator[Opened | Received | Ended]:
        """What happens on streams with this data. Raises `NotSpdy`."""
        self._data += data
        while len(self._data) >= 8:
            first, size = int.from_bytes(self._data[:4], "big"), int.from_bytes(self._data[5:8], "big")
            if len(self._data) < 8 + size:
                return
            flags, payload = self._data[4], bytes(self._data[8 : 8 + size])
            frame = bytes(self._data[: 8 + size])
            del self._data[: 8 + size]
            if not first >> 31:
                if payload:
                    yield Received(first, payload)
                if flags & _FIN:
                    yield Ended(first)
            elif first >> 16 != _VERSION:
                raise NotSpdy(f"version {first >> 16 & 0x7FFF} of SPDY")
            else:
                yield from self._control(first & 0xFFFF, flags, payload, frame)

    def _control(self, kind: int, flags: int, payload: bytes, frame: bytes) -> Iterator[Opened | Ended]:
        stream = int.from_bytes(payload[:4], "big") & 0x7FFFFFFF
        if kind == _SYN_STREAM:
            yield Opened(stream, self._headers(payload[10:]))
            if flags & _FIN:
                yield Ended(stream)
        elif kind == _RST_STREAM:
            yield Ended(stream)
        elif kind == _PING:
            self.pongs += frame

    def _headers(self, compressed: bytes) -> dict[str, str]:
        try:
            block = self._inflate.decompress(compressed)
        except zlib.error as error:
            raise NotSpdy(f"headers: {error}") from None
        texts: list[str] = []
        at = 4
        for _ in range(2 * int.from_bytes(block[:4], "big")):
            size = int.from_bytes(block[at : at + 4], "big")
            if at + 4 + size > len(block):
                raise NotSpdy("headers: cut short")
            texts.append(block[at + 4 : at + 4 + size].decode("latin-1"))
            at += 4 + size
        return {name.lower(): value for name, value in zip(texts[::2], texts[1::2], strict=True)}

    def reply(self, stream: int) -> bytes:
        """The stream is accepted."""
        block = self._deflate.compress(bytes(4)) + self._deflate.flush(zlib.Z_SYNC_FLUSH)
        payload = stream.to_bytes(4, "big") + block
        return _VERSION.to_bytes(2, "big") + _SYN_REPLY.to_bytes(2, "big") + b"\0" + _sized(payload)

    def data(self, stream: int, data: bytes) -> bytes:
        head = stream.to_bytes(4, "big") + b"\0"
        pieces = range(0, len(data), _LARGEST_PIECE)
        return b"".join(head + _sized(data[start : start + _LARGEST_PIECE]) for start in pieces)

    def end(self, stream: int) -> bytes:
        """Nothing more will come on the stream."""
        return stream.to_bytes(4, "big") + bytes([_FIN]) + _sized(b"")


def _sized(payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "big") + payload
