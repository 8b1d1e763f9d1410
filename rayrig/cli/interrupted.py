"""Processes that work until they are told to stop."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from typing import Protocol


class Process(Protocol):
    """Something that works inside an event loop."""

    async def run(self, on_ready: Callable[[], None]) -> None: ...

    def stop(self) -> None: ...


def run_until_interrupted(process: Process, ready: str) -> int:
    """Run it until SIGINT or SIGTERM, printing `ready` when it is; the exit code. Raises what `process.run` does."""

    async def work() -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, process.stop)
        await process.run(lambda: print(ready, flush=True))

    asyncio.run(work())
    return 0
