"""The first process inside the namespaces of a real Ray: brings up loopback, starts Ray and Redis, hands connections over.

Runs as process 1 of a process namespace: when it ends, for whatever reason, the kernel ends everything in there. It listens on
sockets that it inherits from outside of its network namespace, and connects each connection to a port of its own loopback
interface, the only one it has. Only the standard library is used.

Orders come as JSON lines on standard input (`start`, `kill`); each is answered with one line, `{}` or `{"error": TEXT}`. The end
of standard input, which also comes when who gives them is killed, is the end: Ray's files go then, too.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

_SIOCSIFFLAGS = 0x8914
_IFF_UP = 0x1
_CHUNK = 65536
#: How often it is looked whether killed processes are gone.
_LOOK_S = 0.02


class Inside:
    """`order`: what `rayrig_backends.real_ray.local` gives as the only argument."""

    def __init__(self, order: dict[str, Any]) -> None:
        self._start: list[str] = order["start"]
        self._environment: dict[str, str] = order["environment"]
        self._redis: list[str] = order["redis"]
        self._folder = Path(order["folder"])
        self._log = self._folder / "log"
        #: Inherited socket -> port of the loopback interface in here.
        self._relayed: dict[int, int] = {int(fd): port for fd, port in order["relayed"].items()}
        self._ended: dict[int, asyncio.Future[int]] = {}
        self._redis_pid = 0

    async def run(self) -> None:
        """Until standard input ends."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGCHLD, self._reap)
        _bring_up_loopback()
        for fd, port in self._relayed.items():
            await asyncio.start_server(_Relay(port).connected, sock=socket.socket(fileno=fd))
        if self._redis:
            self._redis_pid = self._spawn(self._redis).pid
        orders = asyncio.StreamReader()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
        while line := await orders.readline():
            error = await self._start_head() if line.strip() == b'"start"' else await self._kill_head()
            print(json.dumps({"error": error} if error else {}), flush=True)
        self._redis_pid = 0
        await self._kill_head()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _spawn(self, command: list[str]) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as log:
            return subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={**os.environ, **self._environment}
            )

    async def _start_head(self) -> str:
        """`ray start --head`; why it failed, or nothing.

        Ray gives its processes 30 s to find each other, whatever the machine is busy with: it is tried again once.
        """
        code = await self._run_start()
        if code:
            await self._kill_head()
            code = await self._run_start()
        return f"`ray start` ended with {code}" if code else ""

    async def _run_start(self) -> int:
        process = self._spawn(self._start)
        ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._ended[process.pid] = ended
        # It was reaped already.
        process.returncode = await ended
        return process.returncode

    async def _kill_head(self) -> str:
        """All at once, as when a pod is lost; Redis stays. Over when they are gone: `ray start` refuses beside a running GCS."""
        while pids := self._others():
            for pid in pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            await asyncio.sleep(_LOOK_S)
        return ""

    def _others(self) -> list[int]:
        pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
        return [pid for pid in pids if pid not in (os.getpid(), self._redis_pid)]

    def _reap(self) -> None:
        """Children, and those whose parents are gone."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            ended = self._ended.pop(pid, None)
            if ended is not None:
                ended.set_result(os.waitstatus_to_exitcode(status))


class _Relay:
    """Passes connections on to one port."""

    def __init__(self, port: int) -> None:
        self._port = port

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            inner = await asyncio.open_connection("127.0.0.1", self._port)
        except OSError:
            # Nobody listens: no answer outside, either.
            writer.transport.abort()
            return
        await asyncio.gather(_pass_on(reader, inner[1]), _pass_on(inner[0], writer))


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while chunk := await reader.read(_CHUNK):
            writer.write(chunk)
            await writer.drain()
    except OSError:
        writer.transport.abort()
    finally:
        writer.close()


def _bring_up_loopback() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", _IFF_UP))


if __name__ == "__main__":
    asyncio.run(Inside(json.loads(sys.argv[1])).run())
