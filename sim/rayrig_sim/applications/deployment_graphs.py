"""Fruit stand and calculator as older guides deploy them: deployment graphs behind a driver that answers in JSON.

Their working directory is an older revision of the one that newer guides name, under the same import paths
(`guides/kuberay-apiserver-serve.md`). `["MUL", 3]` is answered with `"15 pizzas please!"`, quotes included.
"""

from __future__ import annotations

import json

from rayrig_core.http import HttpResponse
from rayrig_sim.applications import calculator, fruit_stand
from rayrig_sim.serve.application_code import ApplicationCode, Child, DeploymentCode
from rayrig_sim.serve.handles import DeploymentHandle
from rayrig_sim.serve.request import ServeRequest

WORKING_DIR = "https://github.com/ray-project/test_dag/archive/41d09119cbdf8450599f993f51318e9e27c59098.zip"

DRIVER = "DAGDriver"


class FruitDriver:
    """Ingress: body `[fruit, amount]`."""

    def __init__(self, market: DeploymentHandle) -> None:
        self._market = market

    async def __call__(self, request: ServeRequest) -> HttpResponse:
        return _json(await self._market.check_price.remote(*await request.json()))


class CalculatorDriver:
    """Ingress: body `[operation, number]`."""

    def __init__(self, router: DeploymentHandle, order: DeploymentHandle) -> None:
        self._router = router
        self._order = order

    async def __call__(self, request: ServeRequest) -> HttpResponse:
        amount = await self._router.route.remote(*await request.json())
        return _json(await self._order.remote(amount))


def _json(value: object) -> HttpResponse:
    """Of anything: what is text is quoted, too."""
    return HttpResponse(200, json.dumps(value).encode(), {"content-type": "application/json"})


def fruit_graph() -> ApplicationCode:
    return _behind_a_driver(
        fruit_stand.application(),
        DeploymentCode(DRIVER, FruitDriver, init_args=(Child("FruitMarket"),)),
    )


def calculator_graph() -> ApplicationCode:
    return _behind_a_driver(
        calculator.application(),
        DeploymentCode("create_order", calculator.create_order),
        DeploymentCode(DRIVER, CalculatorDriver, init_args=(Child("Router"), Child("create_order"))),
    )


def _behind_a_driver(app: ApplicationCode, *added: DeploymentCode) -> ApplicationCode:
    return ApplicationCode(app.import_path, DRIVER, {**app.deployments, **{code.name: code for code in added}})
