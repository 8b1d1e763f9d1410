"""Probe: one deployment that does what the request tells it to.

Import paths
    gold_probe.app      deployment "Probe"
    gold_probe.app_v2   the same deployment name, version word "v2"
    gold_probe.build    builder; args {"word": str, "replicas": int} -> deployment "Probe"
    gold_probe.NOT_AN_APP   a plain string, not an application

Request: a JSON object in the body (no body: {}), the first key found decides.
    {}                    200, text "v1" (or "v2"), with a user_config {"text": t}: "v1 t"
    {"sleep": s}          sleeps s seconds (async), then 200, text "slept s"
    {"raise": text}       the handler raises ValueError(text)
    {"status": n}         answers with status n, text "status n"
    {"json": x}           answers with x as JSON
    {"exit": n}           the process of the replica ends at once with os._exit(n)
    {"health": how}       from now on check_health of this replica raises ("raise"), hangs ("hang"), is fine ("ok")
    {"kill_pid": n}       SIGKILL to a process of the same node, text "killed"
    {"kill_actor": name}  ray.kill of the named actor of namespace "serve", text "killed"
user_config: {"text": str} changes the answer; {"fail": str} makes reconfigure raise RuntimeError(str);
    {"delay": s} makes reconfigure take s seconds.
"""

import asyncio
import json
import os
import signal

import ray
from ray import serve
from starlette.responses import JSONResponse, PlainTextResponse

NOT_AN_APP = "just a string"


class ProbeBase:
    def __init__(self, word: str = "v1"):
        self.word = word
        self.text = None
        self.health = "ok"

    async def reconfigure(self, config):
        if config.get("delay"):
            await asyncio.sleep(config["delay"])
        if config.get("fail"):
            raise RuntimeError(config["fail"])
        self.text = config.get("text")

    async def check_health(self):
        if self.health == "raise":
            raise RuntimeError("probe feels ill")
        if self.health == "hang":
            await asyncio.sleep(100000)

    async def __call__(self, request):
        raw = await request.body()
        cmd = json.loads(raw) if raw else {}
        if "sleep" in cmd:
            await asyncio.sleep(cmd["sleep"])
            return PlainTextResponse(f"slept {cmd['sleep']}")
        if "raise" in cmd:
            raise ValueError(cmd["raise"])
        if "status" in cmd:
            return PlainTextResponse(f"status {cmd['status']}", status_code=cmd["status"])
        if "json" in cmd:
            return JSONResponse(cmd["json"])
        if "exit" in cmd:
            os._exit(cmd["exit"])
        if "health" in cmd:
            self.health = cmd["health"]
            return PlainTextResponse(f"health {self.health}")
        if "kill_pid" in cmd:
            os.kill(cmd["kill_pid"], signal.SIGKILL)
            return PlainTextResponse("killed")
        if "kill_actor" in cmd:
            ray.kill(ray.get_actor(cmd["kill_actor"], namespace="serve"), no_restart=cmd.get("no_restart", False))
            return PlainTextResponse("killed")
        return PlainTextResponse(self.word if self.text is None else f"{self.word} {self.text}")


Probe = serve.deployment(name="Probe")(ProbeBase)
app = Probe.bind("v1")
app_v2 = Probe.bind("v2")


def build(args):
    return Probe.options(num_replicas=int(args.get("replicas", 1))).bind(args.get("word", "built"))
