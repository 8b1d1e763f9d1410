"""`gold_pair`: a deployment that calls another, and one that calls two."""

from __future__ import annotations

import json

from rayrig_core.objects import JsonObject
from rayrig_sim.serve.application_code import ApplicationCode, Child, DeploymentCode
from rayrig_sim.serve.handles import DeploymentHandle
from rayrig_sim.serve.request import ServeRequest
from rayrig_sim.serve.user_code import sleep


class Back:
    def __init__(self) -> None:
        self.word = "unset"

    def reconfigure(self, config: JsonObject) -> None:
        self.word = config["word"]

    async def answer(self, command: JsonObject) -> str:
        if "sleep" in command:
            await sleep(command["sleep"])
        if "raise" in command:
            raise ValueError(command["raise"])
        return self.word


class Extra:
    async def answer(self, command: JsonObject) -> str:
        return "extra"


class Front:
    def __init__(self, name: str, *others: DeploymentHandle) -> None:
        self.name = name
        self.others = others

    async def __call__(self, request: ServeRequest) -> str:
        raw = await request.body()
        command = json.loads(raw) if raw else {}
        words = [await other.answer.remote(command) for other in self.others]
        return f"{self.name}({','.join(words)})"


def _application(import_path: str, name: str, *others: str) -> ApplicationCode:
    codes = {
        "Back": DeploymentCode("Back", Back, options={"user_config": {"word": "b1"}}),
        "Extra": DeploymentCode("Extra", Extra),
    }
    deployments = {other: codes[other] for other in others}
    deployments["Front"] = DeploymentCode("Front", Front, init_args=(name, *(Child(other) for other in others)))
    return ApplicationCode(import_path, "Front", deployments)


def entries() -> dict[str, object]:
    return {
        "gold_pair.app": _application("gold_pair.app", "front", "Back"),
        "gold_pair.app_v2": _application("gold_pair.app_v2", "front2", "Back"),
        "gold_pair.app_three": _application("gold_pair.app_three", "front3", "Back", "Extra"),
    }
