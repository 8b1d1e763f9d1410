"""The early RayServe guide and the calls it shows, with what they refuse and what their services do."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from rayrig_sim import legacy
from rayrig_sim.calibration import Constant
from rayrig_sim.legacy import ray, requests, serve
from rayrig_sim.legacy.flask_request import FlaskRequest
from rayrig_sim.serve.user_code import ProcessExit, sleep
from rayrig_sim.traffic.open_loop import OpenLoop
from rayrig_sim.traffic.requests import RequestClass, Target

URL = "http://127.0.0.1:8000"


def echo(flask_request: FlaskRequest) -> dict[str, Any]:
    return {"args": flask_request.args, "data": flask_request.data.decode(), "web": serve.context.web}


class Counts:
    """A batching backend that answers with how many calls it had and how many requests this one has."""

    def __init__(self) -> None:
        self.calls = 0

    @serve.accept_batch
    async def __call__(self, flask_requests: list[FlaskRequest]) -> list[list[int]]:
        self.calls += 1
        size = serve.context.batch_size
        assert size == len(flask_requests)
        call = self.calls
        await sleep(1)
        return [[call, size]] * size


def exposed(route: str, backend: Any, **options: Any) -> None:
    serve.create_endpoint("e", route)
    serve.create_backend("b", backend, **options)
    serve.set_traffic("e", {"b": 1.0})


# The guide


def test_the_guide_from_endpoint_to_answer() -> None:
    serve.init()

    def handle_request(flask_request: FlaskRequest) -> str:
        return "hello world"

    class RequestHandler:
        def __init__(self) -> None:
            self.msg = "hello, world!"

        def __call__(self, flask_request: FlaskRequest) -> str:
            return self.msg

    serve.create_endpoint("simple_endpoint", "/simple")
    serve.create_backend("simple_backend", handle_request)
    serve.create_backend("simple_backend_class", RequestHandler)
    serve.set_traffic("simple_endpoint", {"simple_backend": 1.0})
    assert requests.get(f"{URL}/-/routes", timeout=0.5).json() == {"/simple": ["simple_endpoint", ["GET"]]}
    assert requests.get(f"{URL}/simple").text == "hello world"
    serve.set_traffic("simple_endpoint", {"simple_backend_class": 1.0})
    assert requests.get(f"{URL}/simple").text == "hello, world!"
    serve.delete_backend("simple_backend")
    serve.create_backend("my_scaled_endpoint_backend", handle_request, config={"num_replicas": 2})
    assert serve.get_backend_config("my_scaled_endpoint_backend").num_replicas == 2
    serve.delete_endpoint("simple_endpoint")
    assert requests.get(f"{URL}/simple").status_code == 404
    assert list(serve.list_backends()) == ["simple_backend_class", "my_scaled_endpoint_backend"]


def test_the_guides_batching_example() -> None:
    serve.init()

    class BatchingExample:
        def __init__(self) -> None:
            self.count = 0

        @serve.accept_batch
        def __call__(self, flask_request: list[FlaskRequest]) -> list[int]:
            self.count += 1
            assert serve.context.batch_size is not None
            return [self.count] * serve.context.batch_size

    serve.create_endpoint("counter1", "/increment")
    # Queries wait until there is traffic, and are then more than one batch.
    waiting = [requests.send("GET", f"{URL}/increment") for _ in range(7)]
    serve.create_backend("counter1", BatchingExample, config={"max_batch_size": 5})
    serve.set_traffic("counter1", {"counter1": 1.0})
    assert sorted(each.result().json() for each in waiting) == [1, 1, 1, 1, 1, 2, 2]


def test_the_module_offers_the_calls_itself() -> None:
    instance = legacy.init()
    assert serve.init() is instance
    legacy.create_endpoint("e", "/e")
    assert serve.list_endpoints() == {"e": {"route": "/e", "methods": ["GET"], "traffic": {}}}


# Before and after


@pytest.mark.accepts("SV-143")
@pytest.mark.parametrize(
    "call",
    [
        lambda: serve.create_endpoint("e", "/e"),
        lambda: serve.delete_endpoint("e"),
        lambda: serve.create_backend("b", echo),
        lambda: serve.delete_backend("b"),
        lambda: serve.set_traffic("e", {"b": 1.0}),
        lambda: serve.get_handle("e"),
        serve.list_backends,
    ],
)
def test_nothing_works_before_init(call: Any) -> None:
    text = "Please run serve.init to initialize or connect to existing ray serve cluster."
    with pytest.raises(serve.RayServeException) as refused:
        call()
    assert str(refused.value) == text


def test_serve_ends_with_ray() -> None:
    instance = serve.init()
    exposed("/e", echo)
    ray.shutdown()
    with pytest.raises(serve.RayServeException):
        serve.list_endpoints()
    assert serve.init() is not instance
    assert serve.list_endpoints() == {}


# Endpoints and traffic


@pytest.mark.accepts("SV-144")
def test_an_endpoint_may_be_created_again_but_no_route_or_name_taken() -> None:
    serve.init()
    serve.create_endpoint("a", "/x", ["GET", "POST"])
    serve.create_endpoint("a", "/x", ["get", "post"])
    with pytest.raises(ValueError, match=r"^Cannot create endpoint\. Route '/x' is already registered\.$"):
        serve.create_endpoint("b", "/x")
    with pytest.raises(ValueError, match=r"^Cannot create endpoint\. Route '/x' is already registered\.$"):
        serve.create_endpoint("a", "/x", ["GET"])
    with pytest.raises(ValueError, match=r"^Cannot create endpoint\. Endpoint 'a' is already registered\.$"):
        serve.create_endpoint("a", "/y")
    assert requests.get(f"{URL}/-/routes").json() == {"/x": ["a", ["GET", "POST"]]}


@pytest.mark.accepts("SV-145")
def test_weights_sum_to_one_and_name_what_exists() -> None:
    serve.init()
    exposed("/e", echo)
    serve.create_backend("c", echo)
    with pytest.raises(AssertionError, match=r"^weights must sum to 1, currently they sum to 0\.9$"):
        serve.set_traffic("e", {"b": 0.5, "c": 0.4})
    with pytest.raises(ValueError, match="'nobody'"):
        serve.set_traffic("e", {"b": 0.5, "nobody": 0.5})
    with pytest.raises(ValueError, match="'b'"):
        serve.set_traffic("b", {"e": 1.0})
    assert serve.list_endpoints()["e"]["traffic"] == {"b": 1.0}, "what was refused changed nothing"
    serve.set_traffic("e", {"b": 0.5, "c": 0.49})
    serve.set_traffic("e", {"c": 1.0})
    assert serve.list_endpoints()["e"]["traffic"] == {"c": 1.0}, "a policy replaces the one before"


@pytest.mark.accepts("SV-146")
def test_traffic_is_split_by_weight() -> None:
    instance = serve.init(seed=3)
    serve.create_endpoint("split", "/split")
    for tag in ("one", "two"):
        serve.create_backend(tag, Constant(0.0))
    serve.set_traffic("split", {"one": 0.7, "two": 0.3})
    source = OpenLoop(
        instance.kernel,
        instance.network,
        Target("serve"),
        1000.0,
        limit=10_000,
        mix=[RequestClass(path="/split")],
    )
    source.start()
    instance.advance(11)
    assert dict(source.accounting().fates) == {"ok": 10_000}
    answered = {tag: numbers["answered"] for tag, numbers in serve.stat().items()}
    assert sum(answered.values()) == 10_000
    three_deviations = 3 * (10_000 * 0.7 * 0.3) ** 0.5
    assert abs(answered["one"] - 7000) < three_deviations


def test_a_shard_key_goes_to_the_same_backend_every_time() -> None:
    serve.init()
    serve.create_endpoint("e", "/e")
    for tag in ("one", "two"):
        serve.create_backend(tag, lambda request, tag=tag: tag)
    serve.set_traffic("e", {"one": 0.5, "two": 0.5})
    seen = {
        key: {requests.get(f"{URL}/e", headers={"X-SERVE-SHARD-KEY": key}).text for _ in range(5)}
        for key in map(str, range(20))
    }
    assert {len(backends) for backends in seen.values()} == {1}
    assert Counter(next(iter(backends)) for backends in seen.values()).keys() == {"one", "two"}


def test_an_endpoint_that_never_had_traffic_keeps_its_route_when_deleted() -> None:
    serve.init()
    serve.create_endpoint("e", "/e")
    serve.delete_endpoint("e")
    with pytest.raises(ValueError, match="Route '/e' is already registered"):
        serve.create_endpoint("other", "/e")
    serve.create_backend("b", echo)
    serve.set_traffic("e", {"b": 1.0})
    serve.delete_endpoint("e")
    serve.create_endpoint("other", "/e")
    assert list(serve.list_backends()) == ["b"]


# Backends


@pytest.mark.accepts("SV-147")
def test_a_backend_in_use_cannot_be_deleted() -> None:
    serve.init()
    exposed("/e", lambda request: "old")
    serve.create_backend("new", lambda request: "new")
    serve.set_traffic("e", {"b": 0.0, "new": 1.0})
    text = "Backend 'b' is used by endpoint 'e' and cannot be deleted. Please remove the backend from all endpoints and try again."
    with pytest.raises(ValueError) as refused:
        serve.delete_backend("b")
    assert str(refused.value) == text
    serve.delete_backend("nobody")
    serve.set_traffic("e", {"new": 1.0})
    serve.delete_backend("b")
    assert list(serve.list_backends()) == ["new"]
    serve.create_backend("b", lambda request: "again")
    serve.set_traffic("e", {"b": 1.0})
    assert requests.get(f"{URL}/e").text == "again"


def test_code_of_a_tag_that_exists_is_for_workers_to_come() -> None:
    serve.init()
    exposed("/e", lambda request: "old")
    serve.create_backend("b", lambda request: "new", config={"num_replicas": 2})
    assert {requests.get(f"{URL}/e").text for _ in range(4)} == {"old", "new"}


def test_a_backend_must_be_callable_and_its_config_known() -> None:
    serve.init()
    with pytest.raises(TypeError, match="function or class"):
        serve.create_backend("b", "text")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="dictionary"):
        serve.create_backend("b", echo, config=2)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"^Unknown options in backend config: \['replicas'\]$"):
        serve.create_backend("b", echo, config={"replicas": 2})
    with pytest.raises(ValueError, match="num_replicas must be at least 1"):
        serve.create_backend("b", echo, config={"num_replicas": 0})
    with pytest.raises(AssertionError, match=r"^Backend b is not registered\.$"):
        serve.update_backend_config("b", {"num_replicas": 2})
    assert serve.list_backends() == {}


def test_a_constructor_that_raises_is_told_to_the_driver() -> None:
    class Broken:
        def __init__(self, text: str) -> None:
            raise RuntimeError(text)

    serve.init()
    with pytest.raises(RuntimeError, match=r"^no model$"):
        serve.create_backend("b", Broken, "no model")


@pytest.mark.accepts("SV-149")
def test_batches_are_taken_without_waiting_and_want_code_that_takes_them() -> None:
    serve.init()
    with pytest.raises(ValueError, match="accept_batch"):
        serve.create_backend("b", echo, config={"max_batch_size": 4})
    exposed("/e", Counts, config={"max_batch_size": 4})
    answers = [requests.send("GET", f"{URL}/e") for _ in range(10)]
    results = [answer.result() for answer in answers]
    assert [each.json() for each in results] == [[1, 4]] * 4 + [[2, 4]] * 4 + [[3, 2]] * 2
    assert [each.elapsed.total_seconds() for each in results] == [1] * 4 + [2] * 4 + [3] * 2
    # Nobody waits for a batch to fill.
    assert requests.get(f"{URL}/e").json() == [4, 1]


def test_a_batch_of_the_wrong_length_is_everybodys_error() -> None:
    @serve.accept_batch
    def forgets(flask_requests: list[FlaskRequest]) -> list[str]:
        return ["one"]

    serve.init()
    serve.create_endpoint("e", "/e")
    answers = [requests.send("GET", f"{URL}/e") for _ in range(4)]
    serve.create_backend("b", forgets, config={"max_batch_size": 3})
    serve.set_traffic("e", {"b": 1.0})
    codes = Counter((answer.result().status_code, "batch-size" in answer.result().text) for answer in answers)
    assert codes == {(200, False): 1, (500, True): 3}


@pytest.mark.accepts("SV-150")
def test_a_worker_does_one_thing_at_a_time() -> None:
    serve.init()
    exposed("/e", Constant(1.0))
    answers = [requests.send("GET", f"{URL}/e") for _ in range(3)]
    assert [answer.result().elapsed.total_seconds() for answer in answers] == [1, 2, 3]
    serve.update_backend_config("b", {"num_replicas": 3})
    answers = [requests.send("GET", f"{URL}/e") for _ in range(3)]
    assert [answer.result().elapsed.total_seconds() for answer in answers] == [1, 1, 1]
    serve.update_backend_config("b", {"num_replicas": 1})
    answers = [requests.send("GET", f"{URL}/e") for _ in range(2)]
    assert [answer.result().elapsed.total_seconds() for answer in answers] == [1, 2]


def test_ten_thousand_waiting_queries_of_no_time_are_answered() -> None:
    serve.init()
    serve.create_endpoint("e", "/e")
    answers = [requests.send("GET", f"{URL}/e") for _ in range(10_000)]
    serve.create_backend("b", lambda request: "x")
    serve.set_traffic("e", {"b": 1.0})
    assert {answer.result().status_code for answer in answers} == {200}


# Workers that die


def test_a_query_outlives_its_worker() -> None:
    instance = serve.init()
    exposed("/e", Constant(1.0))
    answer = requests.send("GET", f"{URL}/e")
    instance.advance(0.5)
    instance.backends["b"].kill_worker()
    result = answer.result()
    assert (result.status_code, result.elapsed.total_seconds()) == (200, 1.6), (
        "tried again 0.1 s later, from the beginning"
    )


def test_a_query_that_kills_every_worker_is_given_up() -> None:
    def deadly(flask_request: FlaskRequest) -> None:
        raise ProcessExit(1)

    serve.init()
    exposed("/e", deadly)
    result = requests.get(f"{URL}/e")
    assert (result.status_code, result.text) == (500, "Internal Error. Maximum actor death retries exceeded")
    assert result.elapsed.total_seconds() == pytest.approx(1.0)


# Over HTTP


@pytest.mark.accepts("SV-148")
def test_paths_are_exact_and_methods_those_of_the_endpoint() -> None:
    serve.init()
    exposed("/a", echo)
    serve.create_endpoint("p", "/p", methods=["GET", "POST"])
    serve.set_traffic("p", {"b": 1.0})
    assert requests.get(f"{URL}/a").status_code == 200
    refused = requests.post(f"{URL}/a")
    assert (refused.status_code, refused.text) == (
        405,
        "Methods POST not allowed. Avaiable HTTP methods are ['GET'].",
    )
    assert requests.post(f"{URL}/p", data="x").json()["data"] == "x"
    for path in ("/a/b", "/b", "/", "/-/other"):
        missing = requests.get(URL + path)
        text = f"Path {path} not found. Please ping http://.../-/routes for routing table"
        assert (missing.status_code, missing.text) == (404, text)
    assert requests.get(f"{URL}/-/routes").json() == {"/a": ["e", ["GET"]], "/p": ["p", ["GET", "POST"]]}


def test_an_endpoint_without_route_is_reached_by_handle_only() -> None:
    serve.init()
    serve.create_endpoint("hidden")
    serve.create_backend("b", echo)
    serve.set_traffic("hidden", {"b": 1.0})
    assert requests.get(f"{URL}/hidden").status_code == 404
    assert ray.get(serve.get_handle("hidden").remote()) == {"args": {}, "data": "", "web": False}


def test_requests_carry_query_body_and_the_method_to_call() -> None:
    class Two:
        def __call__(self, flask_request: FlaskRequest) -> Any:
            return echo(flask_request)

        def other(self, flask_request: FlaskRequest) -> str:
            return "other"

    serve.init()
    exposed("/e", Two)
    asked = requests.get(f"{URL}/e", params={"n": "1"})
    assert asked.json() == {"args": {"n": "1"}, "data": "", "web": True}
    assert requests.get(f"{URL}/e", headers={"X-SERVE-CALL-METHOD": "other"}).text == "other"
    assert requests.get(f"{URL}/e?relative_slo_ms=soon").status_code == 400
    assert ray.get(serve.get_handle("e").options("other").remote()) == "other"


def test_an_exception_becomes_an_internal_error_with_its_text() -> None:
    def fails(flask_request: FlaskRequest) -> None:
        raise KeyError("model")

    serve.init()
    exposed("/e", fails)
    answer = requests.get(f"{URL}/e")
    assert (answer.status_code, answer.text) == (500, "Internal Error. Traceback: KeyError: 'model'")
    with pytest.raises(KeyError, match="model"):
        ray.get(serve.get_handle("e").remote())


def test_handles_bring_keyword_arguments_in_batches_as_lists() -> None:
    @serve.accept_batch
    def sums(flask_requests: list[FlaskRequest], *, x: list[int]) -> list[int]:
        return [value + len(x) for value in x]

    serve.init()
    serve.create_endpoint("e", "/e")
    handle = serve.get_handle("e")
    objects = [handle.remote(x=number) for number in (10, 20, 30)]
    serve.create_backend("b", sums, config={"max_batch_size": 5})
    serve.set_traffic("e", {"b": 1.0})
    assert ray.get(objects) == [13, 23, 33]
    with pytest.raises(KeyError):
        serve.get_handle("unknown")
    serve.get_handle("unknown", missing_ok=True)


def test_a_client_that_waits_no_longer_says_so_and_nobody_listens_after_the_end() -> None:
    instance = serve.init()
    exposed("/e", Constant(5.0))
    with pytest.raises(requests.Timeout):
        requests.get(f"{URL}/e", timeout=1)
    assert instance.now_s == 1.0
    with pytest.raises(requests.ConnectionError):
        requests.get("http://127.0.0.1:9999/e")


def test_the_same_seed_gives_the_same_split() -> None:
    def split(seed: int) -> str:
        ray.shutdown()
        serve.init(seed=seed)
        serve.create_endpoint("e", "/e")
        for tag in ("one", "two"):
            serve.create_backend(tag, lambda request, tag=tag: tag)
        serve.set_traffic("e", {"one": 0.5, "two": 0.5})
        return json.dumps([requests.get(f"{URL}/e").text for _ in range(30)])

    assert split(1) == split(1)
    assert split(1) != split(2)
