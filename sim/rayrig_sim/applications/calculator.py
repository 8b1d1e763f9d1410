"""The calculator of the RayService guide: a router that hands a number to an adder or a multiplier and orders that
many pizzas.

`["MUL", 3]` is answered with `15 pizzas please!` at a factor of 5; an unknown operation raises. The code's own
environment variables `override_factor` and `override_increment` win over `user_config`; a document that sets
`ray_actor_options` replaces them (recorded: golden/ray-serve S04, S05).
"""

from __future__ import annotations

from rayrig_core.objects import JsonObject
from rayrig_sim.calibration import Distribution
from rayrig_sim.serve.application_code import ApplicationCode, Child, DeploymentCode
from rayrig_sim.serve.handles import DeploymentHandle
from rayrig_sim.serve.request import ServeRequest
from rayrig_sim.serve.user_code import replica_context

IMPORT_PATH = "conditional_dag.serve_dag"


def _number(override: str, configured: int) -> int:
    value = replica_context().env.get(override)
    return configured if value is None else int(value)


class Multiplier:
    def __init__(self) -> None:
        self.factor = 0

    def reconfigure(self, config: JsonObject) -> None:
        self.factor = _number("override_factor", config["factor"])

    def multiply(self, value: int) -> int:
        return value * self.factor


class Adder:
    def __init__(self) -> None:
        self.increment = 0

    def reconfigure(self, config: JsonObject) -> None:
        self.increment = _number("override_increment", config["increment"])

    def add(self, value: int) -> int:
        return value + self.increment


class Router:
    """Ingress: body `[operation, number]`."""

    def __init__(self, multiplier: DeploymentHandle, adder: DeploymentHandle) -> None:
        self._operations = {"MUL": multiplier.multiply, "ADD": adder.add}

    async def __call__(self, request: ServeRequest) -> str:
        return create_order(await self.route(*await request.json()))

    async def route(self, operation: str, number: int) -> int:
        total: int = await self._operations[operation].remote(number)
        return total


def create_order(amount: int) -> str:
    return f"{amount} pizzas please!"


def application(
    latency: Distribution | None = None, operation_latency: Distribution | None = None, import_path: str = IMPORT_PATH
) -> ApplicationCode:
    """The router takes `latency` and an operation `operation_latency` per call; None: no time."""

    def operation(name: str, cls: type, key: str, number: int) -> DeploymentCode:
        actor_options = {"num_cpus": 0.1, "runtime_env": {"env_vars": {f"override_{key}": "-2"}}}
        options = {"user_config": {key: number}, "ray_actor_options": actor_options}
        return DeploymentCode(name, cls, latency=operation_latency, options=options)

    deployments = {
        "Multiplier": operation("Multiplier", Multiplier, "factor", 3),
        "Adder": operation("Adder", Adder, "increment", 2),
        "Router": DeploymentCode(
            "Router",
            Router,
            latency=latency,
            init_args=(Child("Multiplier"), Child("Adder")),
            options={"ray_actor_options": {"num_cpus": 0.1}},
        ),
    }
    return ApplicationCode(import_path, "Router", deployments)
