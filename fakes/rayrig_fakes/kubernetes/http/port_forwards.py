"""Port-forwards over a WebSocket with channels (v4.channel.k8s.io): two for each port, data and errors.

What is forwarded is HTTP/1.1, to what the model serves at the pod's address: nothing else listens there.
"""

from __future__ import annotations

from collections.abc import Mapping

import h11

from rayrig_core.http import Failure, HttpFailure, HttpResponse
from rayrig_core.objects import JsonObject
from rayrig_core.ports import HttpClient
from rayrig_fakes.kubernetes import status
from rayrig_fakes.kubernetes.http.upgrades import MessageChannels, Session

_LONGEST_S = 30.0


def ports_asked(query: Mapping[str, list[str]]) -> list[int]:
    """Raises `ApiError` 400."""
    texts = [text for value in query.get("ports") or () for text in value.split(",") if text]
    if not texts:
        raise status.bad_request('query parameter "ports" is required')
    ports = []
    for text in texts:
        if not text.isdecimal() or not 1 <= int(text) <= 65_535:
            raise status.bad_request(f'unable to parse "{text}" as a port: must be between 1 and 65535')
        ports.append(int(text))
    return ports


def session(pod: JsonObject, ports: list[int], http: HttpClient | None) -> Session:
    """Forward until the client goes."""
    ip = (pod.get("status") or {}).get("podIP") or ""

    async def forward(channels: MessageChannels) -> None:
        tunnels = [HttpTunnel(ip, port, http) for port in ports]
        for index, port in enumerate(ports):
            for channel in (2 * index, 2 * index + 1):
                channels.send(channel, port.to_bytes(2, "little"))
        while (message := await channels.receive()) is not None:
            channel, data = message
            index, is_error = divmod(channel, 2)
            if is_error or index >= len(tunnels):
                continue
            try:
                for answer in await tunnels[index].take(data):
                    channels.send(channel, answer)
            except HttpFailure as failure:
                channels.send(channel + 1, refused(pod, ports[index], failure).encode())
                return

    return forward


def refused(pod: JsonObject, port: int, failure: HttpFailure) -> str:
    """What a kubelet says when nobody answers at the port."""
    uid = pod["metadata"]["uid"]
    why = f"dial tcp4 127.0.0.1:{port}: connect: {failure.failure.value}"
    return (
        f"error forwarding port {port} to pod {uid}, uid : failed to execute portforward in network namespace: "
        f"failed to connect to localhost:{port} inside namespace: {why}"
    )


class HttpTunnel:
    """Bytes of HTTP requests in, bytes of answers out."""

    def __init__(self, ip: str, port: int, http: HttpClient | None) -> None:
        self._base = f"http://{ip}:{port}"
        self._http = http
        self._connection = h11.Connection(h11.SERVER)
        self._request: h11.Request | None = None
        self._body = bytearray()

    @property
    def is_over(self) -> bool:
        """The last answer was the connection's last."""
        return self._connection.our_state in (h11.MUST_CLOSE, h11.CLOSED, h11.ERROR)

    async def take(self, data: bytes) -> list[bytes]:
        """Answers to the requests that are complete with this data. Raises `HttpFailure` when nothing answers."""
        if self._http is None:
            raise HttpFailure(Failure.REFUSED)
        answers: list[bytes] = []
        connection = self._connection
        try:
            connection.receive_data(data)
            while True:
                event = connection.next_event()
                if isinstance(event, h11.Request):
                    self._request, self._body = event, bytearray()
                elif isinstance(event, h11.Data):
                    self._body += event.data
                elif isinstance(event, h11.EndOfMessage) and self._request is not None:
                    answers.append(self._sent(await self._ask(self._http, self._request)))
                    if connection.our_state is not h11.DONE:
                        break
                    connection.start_next_cycle()
                else:
                    break
        except h11.RemoteProtocolError:
            raise HttpFailure(Failure.RESET) from None
        return answers

    async def _ask(self, http: HttpClient, request: h11.Request) -> HttpResponse:
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in request.headers}
        url = self._base + request.target.decode("latin-1")
        return await http.request(
            request.method.decode(), url, body=bytes(self._body), headers=headers, timeout_s=_LONGEST_S
        )

    def _sent(self, answer: HttpResponse) -> bytes:
        left_out = ("content-length", "transfer-encoding", "connection")
        headers = [(name, value) for name, value in answer.headers.items() if name.lower() not in left_out]
        headers.append(("content-length", str(len(answer.body))))
        send = self._connection.send
        reason = answer.reason.encode("latin-1", "replace")
        data = send(h11.Response(status_code=answer.status, headers=headers, reason=reason)) or b""
        data += send(h11.Data(data=answer.body)) or b""
        return data + (send(h11.EndOfMessage()) or b"")
