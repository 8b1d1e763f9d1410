"""The shipped applications answer as recorded (golden/ray-serve S04, S05; the RayService guide)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rayrig_core.timestamps import NS
from rayrig_sim.applications import calculator, deployment_graphs, fruit_stand, gpu_inference
from rayrig_sim.applications.registry import default_registry
from rayrig_sim.calibration import Constant
from rayrig_sim.serve.application_code import ApplicationCode, DeploymentCode, Override, Registry, single
from rayrig_sim.serve.local import LocalServe


def post(serve: LocalServe, content: Any) -> tuple[int, str, str | None]:
    answer = serve.run(serve.request("POST", "/", body=json.dumps(content).encode()))
    return answer.status, answer.body.decode(), answer.headers.get("content-type")


@pytest.mark.parametrize(
    ("order", "price"),
    [(["MANGO", 2], "6"), (["ORANGE", 4], "8"), (["PEAR", 3], "3"), (["KIWI", 3], "-1"), (["MANGO", 0.5], "1.5")],
)
def test_the_fruit_market_asks_the_stands(order: list[Any], price: str) -> None:
    assert post(LocalServe(fruit_stand.application()), order) == (200, price, "application/json")


def test_a_new_price_is_taken_over_in_place() -> None:
    serve = LocalServe(fruit_stand.application(), replicas={"MangoStand": 2})
    for stand in serve.replicas["MangoStand"]:
        serve.run(stand.reconfigure({"price": 4}))
    assert [post(serve, ["MANGO", 2])[1] for _ in range(6)] == ["8"] * 6


@pytest.mark.parametrize("content", ["not a list", ["MANGO"], None])
def test_an_order_that_makes_no_sense_is_500(content: Any) -> None:
    assert post(LocalServe(fruit_stand.application()), content) == (500, "Internal Server Error", None)


def test_a_two_hop_request_takes_the_time_of_both() -> None:
    serve = LocalServe(fruit_stand.application(Constant(0.1), Constant(0.3)))
    assert post(serve, ["MANGO", 2])[1] == "6"
    assert serve.kernel.monotonic_ns() == round(0.4 * NS)


def configured_calculator() -> ApplicationCode:
    """With the options of the guide's manifest, which replace the code's environment."""
    app = calculator.application()
    for name, user_config in (("Adder", {"increment": 3}), ("Multiplier", {"factor": 5})):
        app = app.with_deployment(name, options={"user_config": user_config, "ray_actor_options": {"num_cpus": 0.1}})
    return app


@pytest.mark.parametrize(("order", "answer"), [(["MUL", 3], "15 pizzas please!"), (["ADD", 3], "6 pizzas please!")])
def test_the_calculator_orders_pizzas(order: list[Any], answer: str) -> None:
    assert post(LocalServe(configured_calculator()), order) == (200, answer, "text/plain; charset=utf-8")


def test_an_unknown_operation_is_500() -> None:
    assert post(LocalServe(configured_calculator()), ["DIV", 3])[0] == 500


@pytest.mark.parametrize(("order", "answer"), [(["MUL", 3], "-6 pizzas please!"), (["ADD", 3], "1 pizzas please!")])
def test_the_codes_own_environment_wins_over_the_user_config(order: list[Any], answer: str) -> None:
    assert post(LocalServe(calculator.application()), order)[1] == answer


def test_deployments_are_those_of_the_sample_manifest() -> None:
    registry = default_registry()
    fruit = registry.build("fruit.deployment_graph")
    math = registry.build("conditional_dag:serve_dag")
    assert (fruit.ingress, list(fruit.deployments)) == (
        "FruitMarket",
        ["MangoStand", "OrangeStand", "PearStand", "FruitMarket"],
    )
    assert (math.ingress, list(math.deployments)) == ("Router", ["Multiplier", "Adder", "Router"])
    assert fruit.deployments["FruitMarket"].children == ("MangoStand", "OrangeStand", "PearStand")


def test_an_older_working_directory_has_graphs_behind_drivers() -> None:
    registry = default_registry()
    fruit = registry.build("fruit.deployment_graph", working_dir=deployment_graphs.WORKING_DIR)
    math = registry.build("conditional_dag:serve_dag", working_dir=deployment_graphs.WORKING_DIR)
    assert list(fruit.deployments) == ["MangoStand", "OrangeStand", "PearStand", "FruitMarket", "DAGDriver"]
    assert list(math.deployments) == ["Multiplier", "Adder", "Router", "create_order", "DAGDriver"]
    assert post(LocalServe(fruit), ["MANGO", 2]) == (200, "6", "application/json")
    # The code's own environment lets the factor be -2.
    assert post(LocalServe(math), ["MUL", 3]) == (200, '"-6 pizzas please!"', "application/json")
    assert (
        registry.build("fruit.deployment_graph", working_dir="https://example.com/other.zip").ingress == "FruitMarket"
    )


def test_the_model_server_works_on_one_generation_at_a_time() -> None:
    serve = LocalServe(gpu_inference.application(Constant(0.5), Constant(20.0)))
    assert serve.kernel.monotonic_ns() == 20 * NS
    ends: list[float] = []

    async def client() -> None:
        await serve.request("POST", "/")
        ends.append(serve.kernel.monotonic_ns() / NS)

    for _ in range(3):
        serve.kernel.spawn("client", client())
    serve.kernel.run()
    assert ends == [20.5, 21.0, 21.5]


def test_what_is_not_registered_fails_as_an_import_does() -> None:
    registry = default_registry()
    with pytest.raises(ModuleNotFoundError, match="No module named 'no_such_module'"):
        registry.build("no_such_module.sub:app")
    with pytest.raises(AttributeError, match="module 'fruit' has no attribute 'nothing'"):
        registry.build("fruit.nothing")


def test_what_is_no_application_is_refused_with_its_type() -> None:
    registry = Registry()
    registry.register("m.text", "just a string")
    expected = "Expected a built Serve application or an application builder function but got: <class 'str'>."
    with pytest.raises(TypeError) as refused:
        registry.build("m.text")
    assert str(refused.value) == expected


def test_a_builder_gets_the_arguments() -> None:
    registry = Registry()
    registry.register("m.build", lambda args: single("m.build", Constant(0.0), name=args["name"]))
    assert registry.build("m:build", {"name": "Built"}).ingress == "Built"
    with pytest.raises(ValueError, match="not an already built application"):
        default_registry().build("fruit.deployment_graph", {"a": 1})


def test_any_manifest_runs_with_a_fallback() -> None:
    registry = default_registry().with_fallback(Constant(0.2), "generic")
    app = registry.build("text_ml.app", None, ["Summarizer", "Translator"])
    assert (app.ingress, list(app.deployments)) == ("Translator", ["Summarizer", "Translator"])
    serve = LocalServe(app)
    assert post(serve, {})[:2] == (200, "generic")
    assert serve.kernel.monotonic_ns() == round(0.2 * NS)
    assert registry.build("fruit.deployment_graph").ingress == "FruitMarket"


def test_a_scenario_overrides_what_an_application_does() -> None:
    registry = default_registry()
    registry.override("fruit.deployment_graph", Override(latency=Constant(1.0)))
    registry.override("llm.app", Override(latency=Constant(2.0), result={"text": "hi"}, has_result=True))
    registry.override("broken.app", Override(constructor_error="no GPU"))
    fruit = LocalServe(registry.build("fruit.deployment_graph"))
    assert (post(fruit, ["MANGO", 2])[1], fruit.kernel.monotonic_ns()) == ("6", NS)
    llm = LocalServe(registry.build("llm:app", None, ["Server"]))
    assert (post(llm, {})[1], llm.kernel.monotonic_ns()) == ('{"text":"hi"}', 2 * NS)
    assert registry.build("broken.app", None, ["A", "B"]).deployments["A"].constructor_error == "no GPU"

    async def handler(request: Any) -> str:
        return "mine"

    registry.override("fruit.deployment_graph", Override(handler=handler))
    assert post(LocalServe(registry.build("fruit.deployment_graph")), {})[1] == "mine"


def test_an_application_must_hold_together() -> None:
    with pytest.raises(ValueError, match="ingress 'B' is none of"):
        ApplicationCode("m.app", "B", {"A": DeploymentCode("A", Constant(0.0))})
