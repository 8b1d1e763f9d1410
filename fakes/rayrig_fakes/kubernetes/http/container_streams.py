"""Sessions of `exec` and `attach`: channels 0 stdin, 1 stdout, 2 stderr, 3 the outcome as a Status.

Nothing runs in the containers of a fake. Whoever models them may answer commands (`ServerState.run_command`); all others are
not found, as in a container that has no such executable.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from urllib.parse import urlencode

from rayrig_core.objects import JsonObject
from rayrig_fakes.kubernetes import status
from rayrig_fakes.kubernetes.container_logs import LogOptions
from rayrig_fakes.kubernetes.http.upgrades import MessageChannels, Session
from rayrig_fakes.kubernetes.pod_logs import container_status
from rayrig_fakes.kubernetes.pod_streams import node_address
from rayrig_fakes.kubernetes.rest.log_streams import LogStream
from rayrig_fakes.kubernetes.server import ApiServer
from rayrig_fakes.kubernetes.state import ServerState

_STDOUT, _STDERR, _OUTCOME = 1, 2, 3
_TRUE = ("1", "true", "True", "TRUE", "t", "T")


def check_running(pod: JsonObject, container: str) -> None:
    """Raises `ApiError` 500 in a kubelet's words when the container does not run."""
    found = container_status(pod, container) or {}
    if (found.get("state") or {}).get("running") is None:
        raise status.error(500, "", f'unable to upgrade connection: container not found ("{container}")')


def _failed(text: str) -> JsonObject:
    return {
        "metadata": {},
        "status": "Failure",
        "message": f"Internal error occurred: {text}",
        "reason": "InternalError",
        "details": {"causes": [{"message": text}]},
        "code": 500,
    }


def _tell(channels: MessageChannels, outcome: JsonObject) -> None:
    channels.send(_OUTCOME, json.dumps(outcome, separators=(",", ":"), ensure_ascii=False).encode())


def unreachable(
    state: ServerState, pod: JsonObject, subresource: str, container: str, query: Mapping[str, list[str]]
) -> Session:
    """Nobody models the pod's node: there is no kubelet to be reached. Raises `ApiError` 404 and 500."""
    meta = pod["metadata"]
    asked = [("command", each) for each in query.get("command") or ()] if subresource == "exec" else []
    for flag, name in (("stderr", "error"), ("stdin", "input"), ("stdout", "output"), ("tty", "tty")):
        if (query.get(flag) or [""])[0] in _TRUE:
            asked.append((name, "1"))
    address = node_address(state, pod)
    path = f"{subresource}/{meta['namespace']}/{meta['name']}/{container}" + (f"?{urlencode(asked)}" if asked else "")
    text = f'error sending request: Post "https://{address}/{path}": dial tcp {address}: connect: connection refused'

    async def session(channels: MessageChannels) -> None:
        channels.send(_STDOUT if (query.get("stdout") or [""])[0] in _TRUE else _OUTCOME, b"")
        _tell(channels, _failed(text))

    return session


def exec_session(state: ServerState, pod: JsonObject, container: str, query: Mapping[str, list[str]]) -> Session:
    """Answer one command."""
    command = list(query.get("command") or ())

    async def session(channels: MessageChannels) -> None:
        if not command:
            _tell(channels, _failed("error executing command in container: no command was given"))
            return
        found = state.run_command(pod, container, command) if state.run_command is not None else None
        if found is None:
            _tell(
                channels,
                _failed(
                    f'error executing command in container: exec: "{command[0]}": executable file not found in $PATH: '
                    "the model cannot run commands"
                ),
            )
            return
        if found.stdout:
            channels.send(_STDOUT, found.stdout.encode())
        if found.stderr:
            channels.send(_STDERR, found.stderr.encode())
        _tell(channels, _outcome(found.exit_code))

    return session


def _outcome(exit_code: int) -> JsonObject:
    if not exit_code:
        return {"metadata": {}, "status": "Success"}
    text = f"command terminated with non-zero exit code: command terminated with exit code {exit_code}"
    causes = [{"reason": "ExitCode", "message": str(exit_code)}]
    return {
        "metadata": {},
        "status": "Failure",
        "message": text,
        "reason": "NonZeroExitCode",
        "details": {"causes": causes},
    }


def attach_session(server: ApiServer, pod: JsonObject, container: str) -> Session:
    """What the container writes from now on, until it ends or the client goes."""

    async def session(channels: MessageChannels) -> None:
        log = LogStream(server, pod, "", LogOptions(container, follow=True))
        gone = asyncio.ensure_future(_until_gone(channels))
        loop = asyncio.get_running_loop()
        try:
            while not gone.done():
                more: asyncio.Future[None] = loop.create_future()
                for text in log.lines():
                    channels.send(_STDOUT, text)
                if log.is_ended:
                    _tell(channels, _outcome(0))
                    return
                log.call_when_ready(lambda more=more: more.done() or more.set_result(None))  # type: ignore[misc]
                await asyncio.wait((more, gone), return_when=asyncio.FIRST_COMPLETED)
        finally:
            gone.cancel()
            log.close()

    return session


async def _until_gone(channels: MessageChannels) -> None:
    while await channels.receive() is not None:
        pass
