"""Plays a recorded case in a simulated cluster: what its requests, waits and loads gave, step by step, in virtual time."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

from rayrig_backends.dashboard_differential.looks import tracked
from rayrig_core.http import Failure, HttpFailure, HttpResponse
from rayrig_core.objects import JsonObject
from rayrig_core.ports import Task
from rayrig_core.timestamps import NS
from tests.conformance.ray_serve.comparer import tally_key
from tests.conformance.ray_serve.observation import is_met, look
from tests.conformance.ray_serve.world import RecordingWorld

APPLICATIONS = "/api/serve/applications/"
_SETTLE_S = 90.0
_END_WAIT_S = 200.0
#: The whole of a case, in case it hangs.
_LIMIT_S = 3600.0
_HEADERS = ("content-type", "allow", "location", "retry-after")
#: Names of failures as the recordings' client has them.
_ERRORS = {
    Failure.REFUSED: "ConnectionRefusedError",
    Failure.RESET: "RemoteDisconnected",
    Failure.TIMEOUT: "TimeoutError",
    Failure.UNRESOLVED: "gaierror",
    Failure.UNREACHABLE: "OSError",
}
_PID = re.compile(r"\$PID\((.*)/(.*)/(\d+)\)")
_PROXY_ACTOR = re.compile(r"\$PROXY_ACTOR\((\d+)\)")
_WITHOUT_BODY = (204, 304)
#: Ran before the case, as other cases had in the recordings.
_FORMER: JsonObject = {
    "name": "former",
    "import_path": "gold_probe.app",
    "deployments": [
        {"name": "Probe", "graceful_shutdown_wait_loop_s": 0.1, "ray_actor_options": {"num_cpus": 0}},
    ],
}


class CasePlayer:
    """One case in one world."""

    def __init__(self, case: JsonObject, *, seed: int = 0) -> None:
        self._case = case
        nodes = {node["role"]: node for node in case["cluster"]["nodes"]}
        head_cpus = nodes.pop("head")["num_cpus"]
        self._world = RecordingWorld(head_cpus, list(nodes), seed=seed)
        self._kernel = self._world.kernel
        self._captured: dict[str, str] = {}
        self._loads: dict[str, _Load] = {}

    def play(self) -> list[JsonObject]:
        """What each step gave, in order."""
        task = self._kernel.spawn("player", self._run())
        self._kernel.run(until=task, until_s=_LIMIT_S)
        if not task.is_done:
            raise TimeoutError(f"{self._case['id']} is not over after {_LIMIT_S} s of virtual time")
        return task.value

    async def _run(self) -> list[JsonObject]:
        case = self._case
        await self._begin(case.get("reset", "apps"), is_fresh="fresh" in case.get("requires", ()))
        return [await self._step(step) for step in case["steps"]]

    @property
    def now_s(self) -> float:
        return self._kernel.monotonic_ns() / NS

    # Before a case

    async def _begin(self, reset: str, *, is_fresh: bool) -> None:
        """Bring the cluster to the state in which the case begins. Where nothing is reset, Serve has run before."""
        while (await self.ask("GET", APPLICATIONS)).get("status") != 200:
            await self._kernel.sleep(0.5)
        while (await self.ask("GET", "/api/local_raylet_healthz", to="agent")).get("status") != 200:
            await self._kernel.sleep(0.5)
        if is_fresh:
            return
        await self.ask("PUT", APPLICATIONS, {"applications": [_FORMER]})
        await self._until_proxy_is_healthy()
        while (await look(self)).get(f"app:{_FORMER['name']}") != "RUNNING":
            await self._kernel.sleep(0.2)
        if reset == "serve":
            await self.ask("DELETE", APPLICATIONS)
            return
        await self.ask("PUT", APPLICATIONS, {"applications": []})
        while (await look(self))["apps"]:
            await self._kernel.sleep(0.2)

    async def _until_proxy_is_healthy(self) -> None:
        ends_s = self.now_s + _SETTLE_S
        while self.now_s < ends_s:
            seen = await look(self)
            proxies = seen.get("proxies", {})
            if proxies.get("HEALTHY") and not proxies.get("STARTING"):
                return
            await self._kernel.sleep(0.2)
        raise TimeoutError(f"no healthy proxy in {_SETTLE_S} s")

    # Requests

    async def ask(self, method: str, path: str, body: Any = None, *, to: str = "dashboard") -> JsonObject:
        """One request, as a case would write it."""
        return await self.request({"to": to, "method": method, "path": path, "body": body})

    async def request(self, given: JsonObject, *, timeout_s: float | None = None) -> JsonObject:
        """Its answer as the recordings write it."""
        body = given.get("body")
        if "pad" in given:
            body = json.loads(json.dumps(body).replace("$PAD", "x" * given["pad"]))
        body, text = await self._filled(body), await self._filled(given.get("text"))
        content = b""
        if text is not None:
            content = text.encode()
        elif body is not None:
            content = json.dumps(body).encode()
        headers = dict(given.get("headers") or {})
        if content:
            headers.setdefault("Content-Type", given.get("content_type") or "application/json")
        began_s, method = self.now_s, given["method"]
        try:
            url = self._world.url(given.get("to", "dashboard")) + await self._filled(given["path"])
            answer = await self._world.client.request(
                method, url, body=content, headers=headers, timeout_s=timeout_s or given.get("timeout_s", 120)
            )
        except HttpFailure as failure:
            seen: JsonObject = {"error": _ERRORS[failure.failure]}
        else:
            seen = _written(method, answer)
        seen["elapsed_s"] = round(self.now_s - began_s, 3)
        return seen

    async def _filled(self, value: Any) -> Any:
        """`$PID(...)`, `$PROXY_ACTOR(n)` and `${name}` replaced by what they stand for."""
        if isinstance(value, dict):
            return {key: await self._filled(item) for key, item in value.items()}
        if isinstance(value, list):
            return [await self._filled(item) for item in value]
        if not isinstance(value, str) or "$" not in value:
            return value
        if found := _PID.fullmatch(value):
            status = (await self.ask("GET", APPLICATIONS))["body"]
            replicas = status["applications"][found[1]]["deployments"][found[2]]["replicas"]
            return sorted(replicas, key=lambda replica: replica["replica_id"])[int(found[3])]["pid"]
        if found := _PROXY_ACTOR.fullmatch(value):
            status = (await self.ask("GET", APPLICATIONS))["body"]
            return sorted(proxy["actor_name"] for proxy in status["proxies"].values())[int(found[1])]
        for name, captured in self._captured.items():
            value = value.replace(f"${{{name}}}", captured)
        return value

    # Steps

    async def _step(self, step: JsonObject) -> JsonObject:
        match step["op"]:
            case "request":
                return await self._request(step)
            case "wait":
                return await self._wait(step)
            case "poll":
                return await self._poll(step)
            case "sleep":
                await self._kernel.sleep(step["seconds"])
            case "begin":
                load = self._loads[step["id"]] = _Load(self, step)
                await load.begin(self._kernel)
            case "end":
                return await self._loads.pop(step["id"]).end(self._kernel)
            case "hook":
                what, name = step["args"]
                await getattr(self._world, what.replace("-", "_"))(name)
            case op:
                raise ValueError(f"{self._case['id']}: no step {op!r}")
        return {}

    async def _request(self, step: JsonObject) -> JsonObject:
        ends_s = self.now_s + step.get("within_s", 0)
        wanted = step.get("want") or {k: v for k, v in step["response"].items() if k == "status"}
        seen = await self.request(step["request"])
        while self.now_s < ends_s and any(seen.get(key) != value for key, value in wanted.items()):
            await self._kernel.sleep(0.1)
            seen = await self.request(step["request"])
        for name, field in step.get("capture", {}).items():
            self._captured[name] = str(seen["body"][field])
        return seen

    async def _wait(self, step: JsonObject) -> JsonObject:
        until, period_s = step["until"], step.get("period_s", 0.1)
        tracks: dict[str, list[list[Any]]] = {}
        first: Mapping[str, Any] | None = None
        began_s, since_s, at_s = self.now_s, None, None
        while True:
            t_s = self.now_s - began_s
            seen = await look(self)
            first = seen if first is None else first
            tracked(tracks, seen, round(t_s, 2))
            if await is_met(self, until, seen, first):
                if since_s is None:
                    since_s, at_s = self.now_s, t_s
                if self.now_s - since_s >= step.get("hold_s", 0):
                    break
            else:
                since_s = at_s = None
            if self.now_s - began_s > step.get("timeout_s", 60):
                break
            await self._kernel.sleep(period_s)
        return {"met": at_s is not None, "after_s": None if at_s is None else round(at_s, 2), "tracks": tracks}

    async def _poll(self, step: JsonObject) -> JsonObject:
        values: list[Any] = []
        ends_s = self.now_s + step.get("timeout_s", 60)
        while True:
            value = ((await self.request(step["request"])).get("body") or {}).get(step["field"])
            if not values or values[-1] != value:
                values.append(value)
            if value in step["until"] or self.now_s > ends_s:
                return {"met": value in step["until"], "values": values}
            await self._kernel.sleep(0.05)


def _written(method: str, answer: HttpResponse) -> JsonObject:
    """An answer as it comes out of a connection."""
    seen: JsonObject = {
        "status": answer.status,
        "headers": {name: answer.headers[name] for name in _HEADERS if name in answer.headers},
    }
    has_body = method != "HEAD" and answer.status not in _WITHOUT_BODY
    text = answer.body.decode("utf8", "replace") if has_body else ""
    if answer.headers.get("content-type", "").startswith("application/json"):
        try:
            seen["body"] = json.loads(text)
        except ValueError:
            seen["text"] = text
    else:
        seen["text"] = text
    return seen


class _Load:
    """Requests in the background: `count` at once, or `clients` in closed loops for `seconds`."""

    def __init__(self, player: CasePlayer, step: JsonObject) -> None:
        self._player = player
        self._step = step
        self._answers: list[JsonObject] = []
        self._tasks: list[Task[None]] = []
        self._is_stopped = False

    async def begin(self, kernel: Any) -> None:
        step = self._step
        work = self._one if "count" in step else lambda: self._loop(kernel, kernel.monotonic_ns() / NS)
        for number in range(step.get("count") or step["clients"]):
            self._tasks.append(kernel.spawn(f"load {step['id']} {number}", work()))
            if step.get("stagger_s"):
                await kernel.sleep(step["stagger_s"])

    async def _one(self) -> None:
        self._answers.append(await self._player.request(self._step["request"]))

    async def _loop(self, kernel: Any, began_s: float) -> None:
        ends_s = began_s + self._step.get("seconds", 1e9)
        while self._player.now_s < ends_s and not self._is_stopped:
            await self._one()
            if self._step.get("pause_s"):
                await kernel.sleep(self._step["pause_s"])

    async def end(self, kernel: Any) -> JsonObject:
        """The tally."""
        self._is_stopped = True
        for task in self._tasks:
            if not task.is_done:
                await kernel.wait(task, _END_WAIT_S)
        tally = Counter(tally_key(answer) for answer in self._answers)
        return {"answers": dict(sorted(tally.items())), "requests": len(self._answers)}
