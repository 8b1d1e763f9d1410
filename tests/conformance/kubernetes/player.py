"""Plays recorded exchanges with an API server through the fake's HTTP face, in this process and in virtual time.

The built-in controllers and the scheduler run beside the server, as in the recorded cluster. A step that waits (`until`, `timeout`,
`settle`, `sleep`) lets them work while the clock is moved on.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, MutableMapping
from dataclasses import dataclass, field
from random import Random
from typing import Any
from urllib.parse import urlencode

from rayrig_core.errors import ApiError
from rayrig_core.http import HttpRequest
from rayrig_fakes.kubernetes.http.app import KubernetesApp
from rayrig_fakes.kubernetes.http.request_info import request_info
from rayrig_fakes.kubernetes.identity import ADMIN, UserInfo, check
from rayrig_fakes.kubernetes.rest.handler import ApiResponse, WatchResponse, bookmark_line, handle
from rayrig_fakes.kubernetes.tokens import Tokens
from tests.conformance.kubernetes.cluster import Cluster
from tests.conformance.kubernetes.comparer import compare, fill, pointer, text_matches

#: Between a request and the next one, and between two looks at what a step waits for.
_REQUEST_S, _LOOK_S = 0.005, 0.1
#: How long a step waits for events that it expects, unless it says otherwise.
_EVENTS_S = 10.0
#: Who the recordings speak of, by token; without a token a request is anonymous.
_USERS = {"admin": ADMIN, "reader": UserInfo("reader")}


@dataclass(slots=True)
class Verdict:
    """Outcome of one case: `passed`, `failed` (with the differences) or `absent` (with the reason)."""

    name: str
    area: str
    outcome: str
    problems: list[str] = field(default_factory=list)


class Player:
    """One cluster for all cases, as in the recording."""

    def __init__(self, fixtures: list[dict[str, Any]], seed: int = 0) -> None:
        self._random = Random(seed)
        self._cluster = Cluster(fixtures, seed)
        self.server = self._cluster.server
        self._tokens = Tokens(_USERS, anonymous=True)
        self._app = KubernetesApp(self.server, Random(seed + 1), tokens=self._tokens)
        self._watches: dict[str, WatchResponse] = {}

    def play(self, case: dict[str, Any]) -> Verdict:
        verdict = Verdict(case["name"], case["area"], "passed")
        variables: dict[str, Any] = {"u": self._word()}
        for name in case.get("namespaces") or []:
            variables[name] = f"golden-{self._word()}"
            self._make_namespace(variables[name])
        self._watches.clear()
        for number, step in enumerate(case["steps"]):
            try:
                problems = self._step(step, variables)
            except Exception as error:  # a fake that raises has failed the case, not the run
                problems = [f"raised {type(error).__name__}: {error}"]
            if problems:
                verdict.outcome = "failed"
                verdict.problems = [
                    f"step {number} ({step.get('method', step.get('op'))} {step.get('path', '')}): {p}"
                    for p in problems
                ]
                break
        for watch in self._watches.values():
            watch.close()
        for path in case.get("cleanup") or []:
            if isinstance(path, str):
                self._send({"method": "DELETE", "path": path}, variables)
        return verdict

    def _word(self) -> str:
        return "".join(self._random.choices("abcdefghijklmnopqrstuvwxyz", k=8))

    def _make_namespace(self, name: str) -> None:
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        self._send({"method": "POST", "path": "/api/v1/namespaces", "body": body}, {})

    def _send(self, step: dict[str, Any], variables: dict[str, Any]) -> ApiResponse | WatchResponse:
        headers = {"accept": "application/json", "user-agent": "golden-replay/1"}
        content = b""
        if "raw" in step:
            content = fill(step["raw"], variables).encode()
        elif "raw_base64" in step:
            content = base64.b64decode(step["raw_base64"])
        elif "body" in step:
            body = fill(step["body"], variables)
            if "pad" in step:
                pointer(body, step["pad"]["parent"])[step["pad"]["key"]] = "x" * step["pad"]["bytes"]
            content = json.dumps(body).encode()
        if content or "raw" in step or "body" in step:
            headers["content-type"] = "application/json"
        for key, value in (step.get("headers") or {}).items():
            headers[key.lower()] = fill(value, variables)
        target = fill(step["path"], variables)
        query = step.get("query")
        if query:
            pairs = list(query.items()) if isinstance(query, dict) else query
            target += "?" + urlencode([(key, fill(str(value), variables)) for key, value in pairs])
        request = HttpRequest.of(step.get("method", "GET"), target, headers=headers, body=content)
        who = step.get("as", "admin")
        self._cluster.advance(_REQUEST_S)
        if "watch" not in request.query and step.get("op") != "watch":
            return self._ask(request, who)
        try:
            user = self._tokens.user_of("" if who == "none" else f"Bearer {who}")
            check(self.server.state.authorizer, user, request_info(request.method, request.path, request.query))
        except ApiError as refused:
            return ApiResponse(refused.code, json.dumps(refused.status).encode())
        return handle(self.server, request, user)

    def _ask(self, request: HttpRequest, who: str) -> ApiResponse:
        """Through the whole HTTP face, protobuf and all."""
        headers = [(name.encode(), value.encode()) for name, value in request.headers.items()]
        if who != "none":
            headers.append((b"authorization", f"Bearer {who}".encode()))
        scope = {
            "type": "http",
            "method": request.method,
            "path": request.path,
            "query_string": urlencode(request.query, doseq=True).encode(),
            "headers": headers,
        }
        sent: list[MutableMapping[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": request.body}

        async def send(message: MutableMapping[str, Any]) -> None:
            sent.append(message)

        serving = self._app(scope, receive, send)
        try:
            # Nothing in it waits: what would, is a watch.
            serving.send(None)
        except StopIteration:
            pass
        else:
            serving.close()
            raise RuntimeError(f"{request.method} {request.path} does not end")
        shown = [(name.decode(), value.decode()) for name, value in sent[0]["headers"]]
        media = next((value for name, value in shown if name == "content-type"), "")
        warnings = tuple(value for name, value in shown if name == "warning")
        extra = tuple(pair for pair in shown if pair[0] not in ("content-type", "warning"))
        body = b"".join(message.get("body", b"") for message in sent[1:])
        return ApiResponse(sent[0]["status"], body, media, warnings, extra)

    def _step(self, step: dict[str, Any], variables: dict[str, Any]) -> list[str]:
        op = step.get("op", "request")
        if op == "request":
            left_s = float(step.get("until", 0))
            while True:
                answer = self._send(step, variables)
                if isinstance(answer, WatchResponse):
                    answer = _drained(answer)
                problems = _judge(step, answer, variables)
                if not problems or left_s <= 0:
                    self._capture(step, answer, variables)
                    return problems
                self._cluster.advance(_LOOK_S)
                left_s -= _LOOK_S
        if op == "watch":
            opened = self._send(step, variables)
            if isinstance(opened, ApiResponse):
                return _judge(step, opened, variables)
            self._watches[step["id"]] = opened
            expected = (step.get("expect") or {}).get("status", 200)
            return [] if expected == 200 else [f"status: expected {expected}, got 200"]
        if op == "events":
            return self._events(step, variables)
        if op == "assert":
            return [problem for check in step["checks"] for problem in _assert(fill(check, variables))]
        if op == "sleep":
            self._cluster.advance(step["seconds"])
            return []
        if op == "hook":
            self.server.compact(int(variables[step["revision"]]) if step.get("revision") else None)
            return []
        raise ValueError(op)

    def _capture(self, step: dict[str, Any], answer: ApiResponse, variables: dict[str, Any]) -> None:
        for name, path in (step.get("capture") or {}).items():
            try:
                variables[name] = pointer(answer.json(), path)
            except (KeyError, ValueError, TypeError, IndexError, StopIteration):
                variables[name] = f"<uncaptured {name}>"

    def _events(self, step: dict[str, Any], variables: dict[str, Any]) -> list[str]:
        watch = self._watches[step["watch"]]
        expected = step["expect"]
        wanted = fill(expected["events"], variables)
        lines = [json.loads(line) for line in watch.lines()]
        left_s = 0.0 if step.get("until_closed") else float(step.get("timeout", _EVENTS_S))
        count = step.get("count")
        while left_s > 0 and (count is None or sum(_counts(line, step) for line in lines) < count):
            self._cluster.advance(_LOOK_S)
            left_s -= _LOOK_S
            lines += [json.loads(line) for line in watch.lines()]
        if step.get("settle"):
            self._cluster.advance(step["settle"])
            lines += [json.loads(line) for line in watch.lines()]
        if step.get("until_closed") and not watch.is_ended and watch.timeout_s:
            self._cluster.advance(watch.timeout_s)
            lines += [json.loads(line) for line in watch.lines()]
            if watch.bookmarks:
                lines.append(json.loads(bookmark_line(self.server, watch)))
            watch.close()
        got = [line for line in lines if _counts(line, step)][: step.get("take")]
        if expected.get("sort"):
            wanted, got = sorted(wanted, key=_event_key), sorted(got, key=_event_key)
        if [each["type"] for each in wanted] != [each.get("type") for each in got]:
            shown = [(each.get("type"), (each.get("object") or {}).get("metadata", {}).get("name")) for each in got]
            return [f"events: expected {[each['type'] for each in wanted]}, got {shown}"]
        problems = []
        for number, (want, have) in enumerate(zip(wanted, got, strict=True)):
            problems += [f"event {number}{line}" for line in compare(want, have, expected)]
        if expected.get("closed") and not watch.is_ended:
            problems.append("the watch did not end")
        return problems


def _counts(line: dict[str, Any], step: dict[str, Any]) -> bool:
    notes = ((line.get("object") or {}).get("metadata") or {}).get("annotations") or {}
    return line.get("type") != "BOOKMARK" or bool(step.get("bookmarks")) or "k8s.io/initial-events-end" in notes


def _event_key(event: dict[str, Any]) -> tuple[Any, str]:
    return event.get("type"), str((event.get("object") or {}).get("metadata", {}).get("name"))


def _drained(watch: WatchResponse) -> ApiResponse:
    body = b"".join(watch.lines())
    watch.close()
    return ApiResponse(200, body)


def _judge(step: dict[str, Any], answer: ApiResponse, variables: dict[str, Any]) -> list[str]:
    expected = step.get("expect")
    if not expected:
        return []
    if answer.status != expected["status"]:
        return [f"status: expected {expected['status']}, got {answer.status}: {answer.body[:200]!r}"]
    problems = list(_judge_headers(fill(expected.get("headers") or {}, variables), answer))
    if "text" in expected:
        text, wanted = answer.body.decode("utf-8", "replace"), fill(expected["text"], variables)
        if not text_matches(wanted, text):
            problems.append(f"text: expected {wanted[:160]!r}, got {text[:160]!r}")
    if "body" in expected:
        try:
            body = answer.json()
        except ValueError:
            return [*problems, f"body: expected JSON, got {answer.body[:120]!r}"]
        problems += compare(fill(expected["body"], variables), body, expected)
    return problems


def _judge_headers(expected: dict[str, Any], answer: ApiResponse) -> Iterator[str]:
    for name, value in expected.items():
        got: Any = [given for header, given in answer.headers if header == name]
        if name == "content-type":
            got = answer.content_type.split(";")[0].strip()
            good = text_matches(value.split(";")[0].strip(), got)
        elif name == "warning":
            good = got == value
        else:
            good = bool(got) and text_matches(value, got[0])
        if not good:
            yield f"header {name}: expected {value!r}, got {got!r}"


def _assert(check: list[Any]) -> Iterator[str]:
    relation, left, right = check
    relations = {
        "eq": lambda: left == right,
        "ne": lambda: left != right,
        "gt": lambda: int(left) > int(right),
        "ge": lambda: int(left) >= int(right),
    }
    try:
        holds = relations[relation]()
    except ValueError:
        holds = False
    if not holds:
        yield f"assert {relation} failed: {left!r} {right!r}"
