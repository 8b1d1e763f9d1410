"""Head and body of a response leave together; nothing that stands alone is held back."""

from __future__ import annotations

from typing import Any

from rayrig_fakes.kubernetes.http.connection import JoiningTransport

HEAD = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n"
STREAM = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


class Recorded:
    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.closed_after: int | None = None

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def close(self) -> None:
        self.closed_after = len(self.written)

    def get_extra_info(self, name: str) -> str:
        return name


def joining() -> tuple[Any, Recorded]:
    recorded = Recorded()
    transport: Any = JoiningTransport(recorded)  # type: ignore[arg-type]
    return transport, recorded


def test_a_head_waits_for_its_body() -> None:
    transport, recorded = joining()
    for body in (b"ab", b"cd"):
        transport.write(HEAD)
        transport.write(body)
    assert recorded.written == [HEAD + b"ab", HEAD + b"cd"]


def test_a_stream_and_a_continue_are_not_held_back() -> None:
    transport, recorded = joining()
    for data in (STREAM, b"1\r\na\r\n", b"HTTP/1.1 100 Continue\r\n\r\n"):
        transport.write(data)
    assert recorded.written == [STREAM, b"1\r\na\r\n", b"HTTP/1.1 100 Continue\r\n\r\n"]


def test_a_head_without_a_body_goes_when_the_response_is_complete_or_the_connection_ends() -> None:
    transport, recorded = joining()
    transport.write(HEAD)
    assert recorded.written == []
    transport.flush()
    transport.flush()
    assert recorded.written == [HEAD]
    transport.write(HEAD)
    transport.close()
    assert (recorded.written, recorded.closed_after) == ([HEAD, HEAD], 2)


def test_everything_else_is_the_transports() -> None:
    transport, _ = joining()
    assert transport.get_extra_info("peername") == "peername"
