"""Requests for a resourceVersion that is not reached yet: they wait for it a while (kubernetes-api.md 5)."""

from __future__ import annotations

import asyncio
from typing import Any

from rayrig_core.http import HttpRequest
from rayrig_fakes.kubernetes.identity import UserInfo
from rayrig_fakes.kubernetes.rest.handler import ApiResponse, Response, handle
from rayrig_fakes.kubernetes.rest.watch_response import WatchResponse
from rayrig_fakes.kubernetes.server import ApiServer

_LONGEST_WAIT_S = 3.0


async def handled(server: ApiServer, request: HttpRequest, user: UserInfo, *further: Any) -> Response:
    """The answer, after at most 3 s when it has to wait for a version; then it is 504 (an ERROR event in a watch).

    `further` is handed to `handle`.
    """
    answer = handle(server, request, user, *further)
    if isinstance(answer, ApiResponse):
        if answer.status != 504:
            return answer
        wanted = (request.query.get("resourceVersion") or [""])[0]
        if not answer.extra or not wanted.isdecimal():
            return answer
        revision = int(wanted)
    elif isinstance(answer, WatchResponse) and answer.cursor.waits_for:
        revision = answer.cursor.waits_for
        answer.close()
    else:
        return answer
    await _reached(server, revision)
    return handle(server, request, user, *further)


async def _reached(server: ApiServer, revision: int) -> None:
    reached = asyncio.Event()
    store = server.state.store
    store.call_when_reached(revision, reached.set)
    try:
        await asyncio.wait_for(reached.wait(), _LONGEST_WAIT_S)
    except TimeoutError:
        store.forget_call(reached.set)
