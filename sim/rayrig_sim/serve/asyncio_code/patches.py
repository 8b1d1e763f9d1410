"""What of Python's library means something else inside user code: clocks and sleeps are virtual, `os._exit` ends the replica.

Everywhere else these functions stay what they are: each asks first who is calling.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from contextvars import copy_context
from typing import Any

from rayrig_core.timestamps import NS, to_ns
from rayrig_sim.serve.asyncio_code.blocking import current, pause, wait_for
from rayrig_sim.serve.asyncio_code.instance import INSTANCE
from rayrig_sim.serve.user_code import ProcessExit, running

_sleep, _time, _monotonic = time.sleep, time.time, time.monotonic
_perf_counter, _exit, _kill = time.perf_counter, os._exit, os.kill
_time_ns, _monotonic_ns, _perf_counter_ns = time.time_ns, time.monotonic_ns, time.perf_counter_ns
_run = asyncio.run


def _virtual_sleep(seconds: float) -> None:
    if current() is not None:
        pause(max(0, to_ns(seconds)))
    elif running.context is None:
        _sleep(seconds)
    elif threading.current_thread() is threading.main_thread():
        raise RuntimeError("time.sleep here would stop the simulation: use the asyncio mode of user code")
    else:
        raise RuntimeError(
            "time.sleep in a thread of one's own: threads are real here and know no virtual time; use asyncio.to_thread or "
            "loop.run_in_executor"
        )


def _virtual_time() -> float:
    context = running.context
    return _time() if context is None else context.kernel.unix_ns() / NS


def _virtual_monotonic() -> float:
    context = running.context
    return _monotonic() if context is None else context.kernel.monotonic_ns() / NS


def _virtual_perf_counter() -> float:
    context = running.context
    return _perf_counter() if context is None else context.kernel.monotonic_ns() / NS


def _virtual_time_ns() -> int:
    context = running.context
    return _time_ns() if context is None else context.kernel.unix_ns()


def _virtual_monotonic_ns() -> int:
    context = running.context
    return _monotonic_ns() if context is None else context.kernel.monotonic_ns()


def _virtual_perf_counter_ns() -> int:
    context = running.context
    return _perf_counter_ns() if context is None else context.kernel.monotonic_ns()


def _run_in_replica(main: Coroutine[Any, Any, Any], **options: Any) -> Any:
    """`asyncio.run` in a synchronous method: on the replica's loop, while this thread's place waits."""
    thread, instance = current(), INSTANCE.get()
    if thread is None or thread.loop is not None or instance is None:
        return _run(main, **options)
    kernel = thread.context.kernel
    task = instance.loop.create_task(main, context=copy_context())
    wait_for(lambda go_on: task.add_done_callback(lambda _: kernel.call_later(0, lambda _: go_on())))
    return task.result()


def _end_of_replica(status: int) -> Any:
    if running.context is not None:
        raise ProcessExit(status)
    _exit(status)


def _kill_in_cluster(pid: int, signal: int, /) -> None:
    """Processes of user code are the simulation's."""
    context = running.context
    if context is None or context.machine is None:
        _kill(pid, signal)
    else:
        context.machine.kill_process(pid)


async def _run_sync(function: Callable[..., Any], *args: Any, **options: Any) -> Any:
    """In place of anyio's threads, for Starlette and FastAPI."""
    import asyncio

    return await asyncio.get_running_loop().run_in_executor(None, lambda: function(*args))


_PATCHES: tuple[tuple[object, str, Callable[..., Any]], ...] = (
    (time, "sleep", _virtual_sleep),
    (time, "time", _virtual_time),
    (time, "monotonic", _virtual_monotonic),
    (time, "perf_counter", _virtual_perf_counter),
    (time, "time_ns", _virtual_time_ns),
    (time, "monotonic_ns", _virtual_monotonic_ns),
    (time, "perf_counter_ns", _virtual_perf_counter_ns),
    (asyncio, "run", _run_in_replica),
    (os, "_exit", _end_of_replica),
    (os, "kill", _kill_in_cluster),
)


class _Installed:
    """How many want the patches, and what was there before."""

    def __init__(self) -> None:
        self.count = 0
        self.before: list[tuple[object, str, Any]] = []


_installed = _Installed()


def install() -> None:
    """From now on, until as many `uninstall`."""
    _installed.count += 1
    if _installed.count > 1:
        return
    wanted: list[tuple[object, str, Callable[..., Any]]] = list(_PATCHES)
    try:
        import anyio.to_thread
    except ImportError:
        pass
    else:
        original = anyio.to_thread.run_sync

        async def run_sync(function: Callable[..., Any], *args: Any, **options: Any) -> Any:
            if running.context is None:
                return await original(function, *args, **options)
            return await _run_sync(function, *args)

        wanted.append((anyio.to_thread, "run_sync", run_sync))
    for owner, name, replacement in wanted:
        _installed.before.append((owner, name, getattr(owner, name)))
        setattr(owner, name, replacement)


def uninstall() -> None:
    """The counterpart of one `install`."""
    _installed.count -= 1
    if _installed.count == 0:
        while _installed.before:
            owner, name, original = _installed.before.pop()
            setattr(owner, name, original)


@contextmanager
def installed() -> Iterator[None]:
    """`install` for a block."""
    install()
    try:
        yield
    finally:
        uninstall()
