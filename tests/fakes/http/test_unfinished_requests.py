"""Clients that do not finish what they began: the server waits for a while, then it lets go."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from rayrig_fakes.kubernetes.http.request_limits import end_late_connections

WHOLE = b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n"
HALF_HEAD = b"GET /readyz HTTP/1.1\r\nHo"
HALF_BODY = b"POST /api/v1/namespaces HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{"


@pytest.fixture
def connection(served_thread) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", served_thread.served.port), timeout=10) as found:
        yield found


def pass_time(thread, seconds: float) -> None:
    """Let the server look after its connections as if it were so much later."""

    def look(_: object) -> None:
        connections = thread.served._http._server.server_state.connections
        end_late_connections(connections, thread._loop.time() + seconds)

    thread.ask(look)


def read_answer(connection: socket.socket) -> bytes:
    data = b""
    while not data.endswith(b"ok"):
        data += connection.recv(4096)
    return data


@pytest.mark.parametrize(("half", "waits_s"), [(HALF_HEAD, 32), (HALF_BODY, 60)])
def test_the_rest_of_a_request_is_waited_for_only_so_long(served_thread, connection, half, waits_s):
    connection.sendall(WHOLE + half)
    read_answer(connection)
    pass_time(served_thread, waits_s - 1)
    connection.settimeout(0.05)
    with pytest.raises(TimeoutError):
        connection.recv(1)
    pass_time(served_thread, waits_s + 1)
    connection.settimeout(10)
    assert connection.recv(1) == b""


def test_a_connection_between_two_requests_is_kept(served_thread, connection):
    connection.sendall(WHOLE)
    read_answer(connection)
    pass_time(served_thread, 100)
    connection.sendall(WHOLE)
    assert b"200 OK" in read_answer(connection)


def test_a_watch_outlasts_both_limits(served_thread, connection):
    connection.sendall(b"GET /api/v1/namespaces?watch=1 HTTP/1.1\r\nHost: x\r\n\r\n")
    assert b"200 OK" in connection.recv(4096)
    pass_time(served_thread, 1000)
    connection.settimeout(0.05)
    try:
        while data := connection.recv(65536):
            pass
    except TimeoutError:
        return
    assert data, "the stream has ended"


def test_headers_without_end_are_refused(connection):
    connection.sendall(b"GET /readyz HTTP/1.1\r\nX: ")
    answer = b""
    try:
        for _ in range(40):
            connection.sendall(b"x" * 65_536)
    except OSError:
        pass
    try:
        answer = connection.recv(4096)
    except ConnectionResetError:
        return
    assert answer.startswith(b"HTTP/1.1 431 ")
