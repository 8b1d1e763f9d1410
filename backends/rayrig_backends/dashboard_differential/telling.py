"""A story told to one side: the answers, and what the status went through after each request that changed something."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field

from rayrig_backends.dashboard_differential.looks import Seen, Tracks, flat, is_settled, tracked
from rayrig_backends.dashboard_differential.sides import Side
from rayrig_backends.dashboard_differential.stories import APPLICATIONS, Ask, Story
from rayrig_core.errors import InputError
from rayrig_core.http import HttpResponse
from rayrig_core.objects import Json, JsonObject

_LOOK = Ask("GET")
_NOTHING: JsonObject = {"applications": []}
_PERIOD_S = 0.05
#: So long nothing must be under way.
_HOLD_S = 0.4
#: Proxies hear of a change a moment after the status tells of it.
_PROXY_LAG_S = 0.5
_RESET_S = 120.0
#: Headers a client may act on.
_HEADERS = ("content-type", "allow", "location", "retry-after")


@dataclass(frozen=True, slots=True)
class Turn:
    """What came of one request. `status` 0: no answer. `tracks` and `details` of one that changed something."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: Json = None
    tracks: Tracks | None = None
    details: Json = None

    def as_json(self) -> JsonObject:
        return {key: value for key, value in asdict(self).items() if value not in (None, {})}


def tell(side: Side, story: Story) -> list[Turn]:
    """One turn for each request. Raises `InputError` when the side does not answer."""
    _reset(side, fresh=story.fresh)
    turns = []
    for ask in story.asks:
        if ask.to == "proxy":
            side.sleep(_PROXY_LAG_S)
        answer = side.ask(ask)
        if answer is None:
            turns.append(Turn(0))
        elif ask.changes and answer.status == 200:
            turns.append(_turn(answer, *_settled(side, ask.within_s)))
        else:
            turns.append(_turn(answer))
    return turns


def _turn(answer: HttpResponse, tracks: Tracks | None = None, details: Json = None) -> Turn:
    headers = {name: answer.headers[name] for name in _HEADERS if name in answer.headers}
    body: Json = answer.body.decode("utf-8", "replace")
    if headers.get("content-type", "").startswith("application/json"):
        body = json.loads(answer.body)
    return Turn(answer.status, headers, body, tracks, details)


def _settled(side: Side, within_s: float) -> tuple[Tracks, Json]:
    """What the status went through until nothing changed any more, or the time was over; and the status then."""
    tracks: Tracks = {}
    began_s, since_s = side.now_s(), None
    while True:
        details = _details(side)
        seen = flat(details)
        now_s = side.now_s()
        tracked(tracks, seen, round(now_s - began_s, 2))
        since_s = (since_s if since_s is not None else now_s) if is_settled(seen) else None
        if (since_s is not None and now_s - since_s >= _HOLD_S) or now_s - began_s > within_s:
            return tracks, details
        side.sleep(_PERIOD_S)


def _details(side: Side) -> JsonObject:
    answer = side.ask(_LOOK)
    if answer is None or answer.status != 200:
        told = "no answer" if answer is None else f"{answer.status} {answer.body[:200].decode('utf-8', 'replace')}"
        raise InputError(f"GET {APPLICATIONS}: {told}", remedy="the differential needs a dashboard that answers")
    details: JsonObject = json.loads(answer.body)
    return details


def _reset(side: Side, *, fresh: bool) -> None:
    """Serve runs with its own defaults and without applications; with `fresh` it does not run at all."""
    details = _details(side)
    is_odd = details.get("proxy_location") not in (None, "EveryNode") or _is_odd(details.get("http_options") or {})
    if fresh or is_odd:
        side.ask(Ask("DELETE"))
    if not fresh:
        side.ask(Ask("PUT", body=_NOTHING))
    ends_s = side.now_s() + _RESET_S
    while side.now_s() < ends_s:
        seen: Seen = flat(_details(side))
        if not seen["apps"] and is_settled(seen) and (seen["controller"] == "none") == fresh:
            return
        side.sleep(0.1)
    raise InputError(f"applications of an earlier story are still there after {_RESET_S:g} s")


def _is_odd(http_options: JsonObject) -> bool:
    usual = {"host": "0.0.0.0", "port": 8000, "root_path": "", "request_timeout_s": None, "keep_alive_timeout_s": 90}
    return any(http_options.get(name, value) != value for name, value in usual.items())
