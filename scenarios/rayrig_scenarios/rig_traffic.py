"""Requests that a test sends while it does something else, and what became of them."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Self

from rayrig_backends.world import Traffic
from rayrig_core.timestamps import NS
from rayrig_sim.traffic.accounting import Accounting


class RigTraffic:
    """Traffic that was started by `Rig.traffic`. As a context manager it is stopped and settled at the end."""

    def __init__(self, source: Traffic, let_pass: Callable[[Coroutine[Any, Any, None]], None]) -> None:
        self._source = source
        self._let_pass = let_pass

    def stop(self) -> Self:
        """Send no more, and wait until every request has its fate."""
        self._source.stop()
        self._let_pass(self._source.settled())
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is None:
            self.stop()
        else:
            self._source.stop()

    @property
    def accounting(self) -> Accounting:
        return self._source.accounting()

    @property
    def sent(self) -> int:
        return self.accounting.sent

    @property
    def failed(self) -> int:
        """Requests whose fate is not `ok`."""
        return self.accounting.failed

    @property
    def fates(self) -> dict[str, int]:
        return dict(self.accounting.fates)

    def quantile_s(self, q: float) -> float | None:
        """Latency in seconds that the share `q` of answered requests did not exceed; None without any."""
        latency = self.accounting.quantile_ns(q)
        return None if latency is None else latency / NS
