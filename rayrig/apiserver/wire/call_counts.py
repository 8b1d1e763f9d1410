"""How many calls there were and how they ended, for Prometheus."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rayrig.apiserver.wire.errors import Code
from rayrig_controllers.metrics import Metric

_OK = "OK"


class CallCounts:
    """By call, and by the name of the code it ended with."""

    def __init__(self, rpcs: Iterable[str]) -> None:
        self._started = dict.fromkeys(rpcs, 0)
        self._handled: dict[tuple[str, str], int] = {}

    def started(self, rpc: str) -> int:
        """The number of the call, among all since the server began."""
        self._started[rpc] += 1
        return sum(self._started.values())

    def ended(self, rpc: str, code: Code | None = None) -> None:
        key = rpc, _OK if code is None else code.name.title().replace("_", "")
        self._handled[key] = self._handled.get(key, 0) + 1

    def metrics(self) -> Iterator[Metric]:
        """Under the names that gRPC's Prometheus interceptor gives them."""
        started = Metric("grpc_server_started_total", "counter", "Calls that were begun.")
        started.samples.extend((_labels(rpc), count) for rpc, count in self._started.items())
        yield started
        handled = Metric("grpc_server_handled_total", "counter", "Calls that ended, by code.")
        handled.samples.extend(
            ({"grpc_code": code, **_labels(rpc)}, count) for (rpc, code), count in self._handled.items()
        )
        yield handled


def _labels(rpc: str) -> dict[str, str]:
    service, _, method = rpc.partition(".")
    return {"grpc_method": method, "grpc_service": f"proto.{service}", "grpc_type": "unary"}
