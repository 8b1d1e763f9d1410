"""`gold_probe`: one deployment that does what the request tells it to."""

from __future__ import annotations

import json
from typing import Any

from rayrig_core.http import HttpResponse
from rayrig_core.objects import JsonObject
from rayrig_sim.serve.application_code import ApplicationCode, single
from rayrig_sim.serve.request import ServeRequest
from rayrig_sim.serve.user_code import ProcessExit, replica_context, sleep

_FOREVER_S = 100_000.0


class ProbeBase:
    """The first known key of the request's body decides."""

    def __init__(self, word: str = "v1") -> None:
        self.word = word
        self.text: str | None = None
        self.health = "ok"

    async def reconfigure(self, config: JsonObject) -> None:
        if config.get("delay"):
            await sleep(config["delay"])
        if config.get("fail"):
            raise RuntimeError(config["fail"])
        self.text = config.get("text")

    async def check_health(self) -> None:
        if self.health == "raise":
            raise RuntimeError("probe feels ill")
        if self.health == "hang":
            await sleep(_FOREVER_S)

    async def __call__(self, request: ServeRequest) -> Any:
        raw = await request.body()
        command: JsonObject = json.loads(raw) if raw else {}
        machine = replica_context().machine
        match next(iter(command.items()), ("", None)):
            case "sleep", seconds:
                await sleep(seconds)
                return f"slept {seconds}"
            case "raise", text:
                raise ValueError(text)
            case "status", status:
                return HttpResponse.text(status, f"status {status}")
            case "json", value:
                body = json.dumps(value, separators=(",", ":")).encode()
                return HttpResponse(200, body, {"content-type": "application/json"})
            case "exit", code:
                raise ProcessExit(code)
            case "health", how:
                self.health = how
                return f"health {how}"
            case "kill_pid", pid:
                assert machine is not None
                machine.kill_process(pid)
                return "killed"
            case "kill_actor", name:
                assert machine is not None
                machine.kill_actor(name)
                return "killed"
        return self.word if self.text is None else f"{self.word} {self.text}"


def _probe(import_path: str, word: str, **options: Any) -> ApplicationCode:
    return single(import_path, ProbeBase, name="Probe", init_args=(word,), options=options)


def _build(args: JsonObject) -> ApplicationCode:
    return _probe("gold_probe.build", args.get("word", "built"), num_replicas=int(args.get("replicas", 1)))


def entries() -> dict[str, object]:
    return {
        "gold_probe.app": _probe("gold_probe.app", "v1"),
        "gold_probe.app_v2": _probe("gold_probe.app_v2", "v2"),
        "gold_probe.build": _build,
        "gold_probe.NOT_AN_APP": "just a string",
    }
