"""`gold_ctor`: deployments whose start goes wrong or takes long."""

from __future__ import annotations

from rayrig_core.objects import JsonObject
from rayrig_sim.calibration import Constant
from rayrig_sim.serve.application_code import ApplicationCode, Child, DeploymentCode, single
from rayrig_sim.serve.handles import DeploymentHandle
from rayrig_sim.serve.request import ServeRequest

_FOREVER_S = 1_000_000.0


class Refuser:
    def __init__(self) -> None:
        raise RuntimeError("constructor refused")

    async def __call__(self, request: ServeRequest) -> str:
        return "never"


class Sleeper:
    """Its constructor takes as long as `startup` says."""

    async def __call__(self, request: ServeRequest) -> str:
        return "awake"


class Unready:
    def check_health(self) -> None:
        raise RuntimeError("never healthy")

    async def __call__(self, request: ServeRequest) -> str:
        return "never"


class Bad:
    def __init__(self) -> None:
        raise RuntimeError("bad half")


class Good:
    def __init__(self, bad: DeploymentHandle) -> None:
        self.bad = bad

    async def __call__(self, request: ServeRequest) -> str:
        return "good"


def _half() -> ApplicationCode:
    good = DeploymentCode("Good", Good, init_args=(Child("Bad"),))
    return ApplicationCode("gold_ctor.half", "Good", {"Bad": DeploymentCode("Bad", Bad), "Good": good})


def _slow(args: JsonObject) -> ApplicationCode:
    return single("gold_ctor.slow", Sleeper, startup=Constant(float(args["seconds"])))


def _builder_raises(args: JsonObject) -> ApplicationCode:
    raise ValueError("builder refused")


class Deployment:
    """A deployment that was not bound."""

    __module__ = "ray.serve.deployment"


def entries() -> dict[str, object]:
    return {
        "gold_ctor.raises": single("gold_ctor.raises", Refuser),
        "gold_ctor.hangs": single("gold_ctor.hangs", Sleeper, name="Hanger", startup=Constant(_FOREVER_S)),
        "gold_ctor.unready": single("gold_ctor.unready", Unready),
        "gold_ctor.half": _half(),
        "gold_ctor.slow": _slow,
        "gold_ctor.builder_raises": _builder_raises,
        "gold_ctor.unbound": Deployment(),
    }
