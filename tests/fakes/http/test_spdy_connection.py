"""SPDY/3.1 from bytes to bytes: what clients of Kubernetes send, and what they are sent."""

from __future__ import annotations

import zlib

import pytest

from rayrig_fakes.kubernetes.http.spdy import DICTIONARY, Ended, NotSpdy, Opened, Received, SpdyConnection


class Client:
    """The other side."""

    def __init__(self) -> None:
        self._deflate = zlib.compressobj(zdict=DICTIONARY)
        self.inflate = zlib.decompressobj(zdict=DICTIONARY)

    def open(self, stream: int, **headers: str) -> bytes:
        block = len(headers).to_bytes(4, "big")
        for text in (text for pair in headers.items() for text in pair):
            block += len(text).to_bytes(4, "big") + text.encode()
        packed = self._deflate.compress(block) + self._deflate.flush(zlib.Z_SYNC_FLUSH)
        return frame(b"\x80\x03\x00\x01", stream.to_bytes(4, "big") + bytes(6) + packed)


def frame(head: bytes, payload: bytes, flags: int = 0) -> bytes:
    return head + bytes([flags]) + len(payload).to_bytes(3, "big") + payload


def test_the_dictionary_is_the_protocols() -> None:
    assert (len(DICTIONARY), zlib.adler32(DICTIONARY)) == (1423, 0xE3C6A7C2)


def test_streams_are_opened_carry_data_and_end() -> None:
    client, connection = Client(), SpdyConnection()
    sent = client.open(1, streamtype="error", port="8000") + client.open(3, streamtype="data")
    sent += frame(b"\0\0\0\3", b"hello") + frame(b"\0\0\0\3", b"", 1) + frame(b"\x80\x03\x00\x03", b"\0\0\0\1\0\0\0\5")
    expected = [
        Opened(1, {"streamtype": "error", "port": "8000"}),
        Opened(3, {"streamtype": "data"}),
        Received(3, b"hello"),
        Ended(3),
        Ended(1),
    ]
    assert list(SpdyConnection().take(sent)) == expected
    # Wherever the bytes are cut.
    assert [event for byte in sent for event in connection.take(bytes([byte]))] == expected


def test_pings_come_back() -> None:
    connection = SpdyConnection()
    ping = frame(b"\x80\x03\x00\x06", b"\0\0\0\7")
    assert list(connection.take(ping)) == []
    assert connection.pongs == ping


def test_what_is_sent() -> None:
    client, connection = Client(), SpdyConnection()
    for stream in (1, 3):
        reply = connection.reply(stream)
        assert (reply[:5], reply[8:12]) == (b"\x80\x03\x00\x02\0", stream.to_bytes(4, "big"))
        assert client.inflate.decompress(reply[12:]) == bytes(4)
    assert connection.data(3, b"x") == b"\0\0\0\3\0\0\0\1x"
    assert connection.data(3, bytes(40_000)) == b"".join(
        frame(b"\0\0\0\3", bytes(size)) for size in (32_768, 40_000 - 32_768)
    )
    assert connection.end(3) == b"\0\0\0\3\1\0\0\0"


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        (frame(b"\x80\x02\x00\x06", bytes(4)), "version 2 of SPDY"),
        (frame(b"\x80\x03\x00\x01", bytes(10) + b"no headers"), "headers: "),
    ],
)
def test_what_is_not_spdy(sent: bytes, told: str) -> None:
    with pytest.raises(NotSpdy, match=told):
        list(SpdyConnection().take(sent))
