"""The fruit stand of the RayService guide: a market that asks the stand of a fruit for its price.

`["MANGO", 2]` is answered with 6 at a mango's price of 3; an unknown fruit with -1 (recorded: golden/ray-serve S04).
"""

from __future__ import annotations

from typing import Any

from rayrig_core.objects import JsonObject
from rayrig_sim.calibration import Distribution
from rayrig_sim.serve.application_code import ApplicationCode, Child, DeploymentCode
from rayrig_sim.serve.handles import DeploymentHandle
from rayrig_sim.serve.request import ServeRequest

IMPORT_PATH = "fruit.deployment_graph"


class Stand:
    """Sells one kind of fruit at `user_config.price` apiece."""

    def __init__(self) -> None:
        self.price = 1

    def reconfigure(self, config: JsonObject) -> None:
        self.price = config["price"]

    def check_price(self, amount: float) -> float:
        return self.price * amount


class MangoStand(Stand):
    pass


class OrangeStand(Stand):
    pass


class PearStand(Stand):
    pass


class FruitMarket:
    """Ingress: body `[fruit, amount]`."""

    def __init__(self, mango: DeploymentHandle, orange: DeploymentHandle, pear: DeploymentHandle) -> None:
        self._stands = {"MANGO": mango, "ORANGE": orange, "PEAR": pear}

    async def __call__(self, request: ServeRequest) -> float:
        return await self.check_price(*await request.json())

    async def check_price(self, fruit: str, amount: float) -> float:
        stand = self._stands.get(fruit)
        if stand is None:
            return -1
        price: float = await stand.check_price.remote(amount)
        return price


def application(
    latency: Distribution | None = None, stand_latency: Distribution | None = None, import_path: str = IMPORT_PATH
) -> ApplicationCode:
    """The market takes `latency` and a stand `stand_latency` per call; None: no time."""
    options: dict[str, Any] = {"ray_actor_options": {"num_cpus": 0.1}}
    prices = {"MangoStand": 3, "OrangeStand": 2, "PearStand": 1}
    classes = {"MangoStand": MangoStand, "OrangeStand": OrangeStand, "PearStand": PearStand}
    deployments = {
        name: DeploymentCode(
            name, classes[name], latency=stand_latency, options={**options, "user_config": {"price": price}}
        )
        for name, price in prices.items()
    }
    deployments["FruitMarket"] = DeploymentCode(
        "FruitMarket", FruitMarket, latency=latency, init_args=tuple(Child(name) for name in prices), options=options
    )
    return ApplicationCode(import_path, "FruitMarket", deployments)
