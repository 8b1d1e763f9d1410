"""Applications written for Ray Serve, run as they are: asyncio, blocking code, composition, batches, models, streams, FastAPI."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from fastapi import FastAPI, HTTPException
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import JSONResponse, StreamingResponse

from rayrig_backends.local_ray import LocalRay
from rayrig_backends.local_ray.application import RunningApplication
from rayrig_backends.local_ray.serve_api import Serve
from rayrig_sim.calibration import instant
from rayrig_sim.ray_api import serve as ray_serve
from rayrig_sim.ray_api.deployments import built
from rayrig_sim.serve.identity import DeploymentId


@pytest.fixture
def ray() -> Iterator[LocalRay]:
    """Nothing takes time but the user's code."""
    cluster = LocalRay(cpus=16, calibration=instant())
    yield cluster
    cluster.close()


@pytest.fixture
def serve(ray: LocalRay) -> Serve:
    return ray.driver(namespace="serve").serve


def took(ray: LocalRay, began_s: float) -> float:
    return round(ray.now_s - began_s, 6)


def pids_of(application: RunningApplication, count: int) -> list[Any]:
    pending = [application.begin(method="who") for _ in range(count)]
    return [each.result() for each in pending]


# Time


@pytest.mark.accepts("SV-156")
def test_async_calls_interleave_up_to_the_limit(ray: LocalRay, serve: Serve) -> None:
    @ray_serve.deployment(max_ongoing_requests=5)
    class Slow:
        async def __call__(self, request: Request) -> str:
            await asyncio.sleep(1)
            return "done"

    application = serve.run(Slow.bind())
    began = ray.now_s
    pending = [application.send("GET") for _ in range(6)]
    ends = []
    for each in pending:
        assert each.result().body == b"done"
        ends.append(took(ray, began))
    assert ends[:5] == [1.0] * 5
    assert 2.0 <= ends[5] <= 2.5


def test_blocking_code_blocks_its_thread_only_and_in_async_code_the_whole_replica(ray: LocalRay, serve: Serve) -> None:
    @ray_serve.deployment
    class Sleepers:
        def sync(self) -> float:
            time.sleep(1)
            return time.time()

        async def blocking(self) -> None:
            time.sleep(1)

    application = serve.run(Sleepers.bind())
    began = ray.now_s
    pending = [application.begin(method="sync") for _ in range(3)]
    stamps = [each.result() for each in pending]
    assert took(ray, began) == 1.0
    assert stamps == [stamps[0]] * 3, "the clock that user code sees is the virtual one"
    began = ray.now_s
    for each in [application.begin(method="blocking") for _ in range(3)]:
        each.result()
    assert took(ray, began) == 3.0


def test_asyncio_works_as_a_whole(ray: LocalRay, serve: Serve) -> None:
    @ray_serve.deployment
    class Everything:
        async def __call__(self, request: Request) -> list[str]:
            seen: list[str] = []
            queue: asyncio.Queue[str] = asyncio.Queue()

            async def producer() -> None:
                for word in ("a", "b"):
                    await asyncio.sleep(1)
                    await queue.put(word)

            task = asyncio.create_task(producer())
            seen.append(await queue.get())
            seen.append(await asyncio.wait_for(queue.get(), 5))
            await task
            try:
                async with asyncio.timeout(2):
                    await asyncio.Event().wait()
            except TimeoutError:
                seen.append("timeout")
            seen += await asyncio.gather(asyncio.to_thread(self.block, 3), asyncio.to_thread(self.block, 3))
            return seen

        def block(self, seconds: float) -> str:
            time.sleep(seconds)
            return "thread"

    application = serve.run(Everything.bind())
    began = ray.now_s
    assert application.get().json() == ["a", "b", "timeout", "thread", "thread"]
    assert took(ray, began) == 2 + 2 + 3


def test_outside_of_the_simulation_clocks_are_what_they_were(ray: LocalRay, serve: Serve) -> None:
    before = time.sleep
    serve.run(ray_serve.deployment(lambda request: "x").options(name="d").bind())
    assert time.sleep is before
    assert abs(time.time() - time.clock_gettime(time.CLOCK_REALTIME)) < 60


# Composition


@pytest.mark.accepts("SV-157")
def test_parents_await_children_and_hand_their_responses_on(ray: LocalRay, serve: Serve) -> None:
    @ray_serve.deployment
    class Adder:
        def __init__(self, increment: int) -> None:
            self.increment = increment

        async def add(self, value: int) -> int:
            await asyncio.sleep(1)
            return value + self.increment

    @ray_serve.deployment
    class Front:
        def __init__(self, adders: list[Any], last: Any) -> None:
            self.adders, self.last = adders, last

        async def __call__(self, request: Request) -> int:
            found = await asyncio.gather(*(adder.add.remote(1) for adder in self.adders))
            response = self.last.add.remote(sum(found))
            return int(await self.last.add.remote(response))

        def sync(self, value: int) -> int:
            return int(self.last.add.remote(value).result()) * 2

    one = Adder.bind(1)
    application = Front.bind([one, Adder.bind(10), one], last=Adder.options(name="Last").bind(100))
    assert list(built(application).deployments) == ["Adder", "Adder_1", "Last", "Front"]
    running = serve.run(application)
    began = ray.now_s
    assert running.get().json() == (2 + 11 + 2) + 200
    assert took(ray, began) == 3.0
    assert running.call(5, method="sync") == 210, "code that may block may wait for a result"


def test_calls_of_one_application_go_through_one_router(serve: Serve) -> None:
    @ray_serve.deployment
    class Echo:
        async def __call__(self, word: str) -> str:
            return word

    application = serve.run(Echo.bind())
    assert [application.call("a"), application.begin("b").result(), serve.run(Echo.bind()).call("c")] == ["a", "b", "c"]
    instance = serve._connected()
    loads = instance.serve.context.routers.loads(DeploymentId("Echo", "default"))
    assert [owner for owner, *_ in loads].count("driver") == 1


@pytest.mark.accepts("SV-162")
def test_a_result_is_not_waited_for_inside_an_event_loop(serve: Serve) -> None:
    @ray_serve.deployment
    class Child:
        async def __call__(self) -> str:
            return "x"

    @ray_serve.deployment
    class Parent:
        def __init__(self, child: Any) -> None:
            self.child = child

        async def blocks(self) -> None:
            self.child.remote().result()

        def late(self) -> None:
            self.child.options(method_name="__call__").remote().result(timeout_s=0)

    application = serve.run(Parent.bind(Child.bind()))
    with pytest.raises(RuntimeError, match=r"^Sync methods should not be called from within an `asyncio` event loop\."):
        application.call(method="blocks")


def test_exceptions_arrive_where_they_are_awaited(serve: Serve) -> None:
    @ray_serve.deployment
    class Child:
        async def __call__(self) -> None:
            raise KeyError("model")

    @ray_serve.deployment
    class Parent:
        def __init__(self, child: Any) -> None:
            self.child = child

        async def __call__(self, request: Request) -> str:
            try:
                await self.child.remote()
            except KeyError as error:
                return f"caught {error}"
            return "nothing"

    application = serve.run(Parent.bind(Child.bind()))
    assert application.get().body == b"caught 'model'"


def test_what_the_client_waits_for_no_longer_is_cancelled(ray: LocalRay, serve: Serve) -> None:
    seen: list[str] = []

    @ray_serve.deployment
    class Child:
        async def __call__(self) -> None:
            try:
                await asyncio.sleep(10)
            except asyncio.CancelledError:
                seen.append("child")
                raise

    @ray_serve.deployment
    class Parent:
        def __init__(self, child: Any) -> None:
            self.child = child

        async def __call__(self, request: Request) -> None:
            try:
                await self.child.remote()
            finally:
                seen.append("parent")

    application = serve.run(Parent.bind(Child.bind()))
    with pytest.raises(Exception, match="timeout"):
        application.get(timeout_s=1)
    ray.advance(0.1)
    assert sorted(seen) == ["child", "parent"]


# Batches


def batcher(**options: Any) -> Any:
    @ray_serve.deployment(max_ongoing_requests=100, **options)
    class Batcher:
        @ray_serve.batch(max_batch_size=4, batch_wait_timeout_s=0.1)
        async def many(self, items: list[int]) -> list[tuple[int, int]]:
            if 99 in items:
                return []
            return [(item, len(items)) for item in items]

        async def __call__(self, item: int) -> tuple[int, int]:
            found: tuple[int, int] = await self.many(item)
            return found

    return Batcher


@pytest.mark.accepts("SV-158")
def test_a_batch_goes_when_it_is_full_or_its_time_has_come(ray: LocalRay, serve: Serve) -> None:
    application = serve.run(batcher().bind())
    began = ray.now_s
    results = [each.result() for each in [application.begin(item) for item in range(3)]]
    assert (results, took(ray, began)) == ([(0, 3), (1, 3), (2, 3)], 0.1)
    began = ray.now_s
    results = [each.result() for each in [application.begin(item) for item in range(4)]]
    assert (results, took(ray, began)) == ([(0, 4), (1, 4), (2, 4), (3, 4)], 0.0)
    pending = [application.begin(item) for item in (1, 99, 3)]
    for each in pending:
        with pytest.raises(ray_serve.RayServeException) as told:
            each.result()
        assert str(told.value) == (
            "Batched function doesn't preserve batch size. The input list has length 3 but the returned list has length 0."
        )


@pytest.mark.accepts("SV-159")
def test_a_batch_is_never_larger_than_what_a_replica_takes_at_once(serve: Serve) -> None:
    @ray_serve.deployment
    class Defaults:
        @ray_serve.batch
        async def many(self, items: list[int]) -> list[int]:
            return [len(items)] * len(items)

        async def __call__(self, item: int) -> int:
            found: int = await self.many(item)
            return found

    application = serve.run(Defaults.bind())
    sizes = [each.result() for each in [application.begin(item) for item in range(20)]]
    assert max(sizes) == 5
    assert len(sizes) == 20


def test_one_batch_at_a_time_and_an_error_is_everybodys(ray: LocalRay, serve: Serve) -> None:
    @ray_serve.deployment(max_ongoing_requests=100)
    class Slow:
        @ray_serve.batch(max_batch_size=2, batch_wait_timeout_s=0.05)
        async def many(self, items: list[int]) -> list[int]:
            await asyncio.sleep(1)
            if -1 in items:
                raise ValueError("bad item")
            return items

        async def __call__(self, item: int) -> int:
            found: int = await self.many(item)
            return found

    application = serve.run(Slow.bind())
    began = ray.now_s
    pending = [application.begin(item) for item in (1, 2, 3, -1)]
    assert [pending[0].result(), pending[1].result(), took(ray, began)] == [1, 2, 1.0]
    for each in pending[2:]:
        with pytest.raises(ValueError, match="bad item"):
            each.result()
    assert took(ray, began) == 2.0


# Multiplexing


def zoo(unloaded: list[str], loaded: list[str], **options: Any) -> Any:
    class Model:
        def __init__(self, name: str) -> None:
            self.name = name

        async def __del__(self) -> None:
            await asyncio.sleep(1)
            unloaded.append(self.name)

    @ray_serve.deployment(**options)
    class Zoo:
        @ray_serve.multiplexed(max_num_models_per_replica=2)
        async def model(self, model_id: str) -> Model:
            loaded.append(model_id)
            assert len(loaded) - len(unloaded) <= 2 * int(options.get("num_replicas", 1))
            return Model(model_id)

        async def __call__(self) -> str:
            found = await self.model(ray_serve.get_multiplexed_model_id())
            return f"{found.name} in {ray_serve.get_replica_context().replica_id}"

    return Zoo


@pytest.mark.accepts("SV-160")
def test_the_model_used_longest_ago_goes_before_another_is_loaded(ray: LocalRay, serve: Serve) -> None:
    unloaded: list[str] = []
    loaded: list[str] = []
    application = serve.run(zoo(unloaded, loaded).bind())
    for name in ("a", "b", "a"):
        application.call(multiplexed_model_id=name)
    assert (loaded, unloaded) == (["a", "b"], [])
    began = ray.now_s
    application.call(multiplexed_model_id="c")
    assert (loaded, unloaded) == (["a", "b", "c"], ["b"])
    assert took(ray, began) == 1.0, "the one that goes is waited for"
    with pytest.raises(ValueError, match="cannot be empty"):
        application.call()


@pytest.mark.accepts("SV-125")
def test_requests_for_a_model_go_where_it_is_loaded(serve: Serve) -> None:
    application = serve.run(zoo([], [], num_replicas=3).bind())
    homes = {name: application.call(multiplexed_model_id=name) for name in ("m1", "m2", "m3")}
    assert len({home.split()[-1] for home in homes.values()}) == 3, "replicas with the fewest models load"
    for name, home in homes.items():
        assert {application.call(multiplexed_model_id=name) for _ in range(8)} == {home}


def test_a_model_that_is_being_loaded_draws_its_requests_and_holds_up_nobody_elses(ray: LocalRay, serve: Serve) -> None:
    @ray_serve.deployment(num_replicas=2)
    class Zoo:
        @ray_serve.multiplexed(max_num_models_per_replica=2)
        async def model(self, model_id: str) -> str:
            await asyncio.sleep({"quick": 0.1, "slow": 5}[model_id])
            return model_id

        async def __call__(self) -> str:
            return f"{await self.model()} {ray_serve.get_replica_context().replica_id}"

    application = serve.run(Zoo.bind())
    home = application.call(multiplexed_model_id="quick")
    other = application.begin(multiplexed_model_id="slow")
    ray.advance(0.2)
    again = application.begin(multiplexed_model_id="slow")
    began = ray.now_s
    assert application.call(multiplexed_model_id="quick") == home
    assert took(ray, began) == 0.0
    assert other.result() == again.result() != home


# Streams


@pytest.mark.accepts("SV-161")
def test_a_generator_is_cancelled_when_its_caller_leaves_and_is_no_argument(ray: LocalRay, serve: Serve) -> None:
    ended: list[str] = []

    @ray_serve.deployment
    class Counter:
        async def count(self, top: int) -> AsyncIterator[int]:
            try:
                for number in range(top):
                    await asyncio.sleep(1)
                    yield number
            except asyncio.CancelledError:
                ended.append("cancelled")
                raise

        def sync(self, top: int) -> Iterator[int]:
            yield from range(top)

        async def plain(self) -> int:
            return 1

    @ray_serve.deployment
    class Front:
        def __init__(self, counter: Any) -> None:
            self.counter = counter

        async def total(self, top: int) -> int:
            return sum([number async for number in self.counter.options(stream=True).count.remote(top)])

        async def passes_on(self) -> None:
            stream = self.counter.options(stream=True).count.remote(3)
            await self.counter.plain.remote(stream)

    application = serve.run(Counter.bind(), name="counter", route_prefix="/counter")
    began = ray.now_s
    assert application.stream(5, method="count", at_most=2) == [0, 1]
    ray.advance(0.1)
    assert (ended, took(ray, began)) == (["cancelled"], 2.1)
    assert application.stream(3, method="count") == [0, 1, 2]
    assert application.stream(3, method="sync") == [0, 1, 2]
    with pytest.raises(TypeError, match="did not return a generator"):
        application.stream(method="plain")
    front = serve.run(Front.bind(Counter.bind()), name="front", route_prefix="/front")
    assert front.call(4, method="total") == 6
    with pytest.raises(RuntimeError, match="Streaming deployment handle results cannot be passed"):
        front.call(method="passes_on")


def test_streamed_answers_arrive_whole(ray: LocalRay, serve: Serve) -> None:
    @ray_serve.deployment
    class Streamer:
        async def __call__(self, request: Request) -> StreamingResponse:
            async def words() -> AsyncIterator[str]:
                for word in ("a", "b", "c"):
                    await asyncio.sleep(1)
                    yield word

            return StreamingResponse(words(), media_type="text/event-stream")

    application = serve.run(Streamer.bind())
    began = ray.now_s
    answer = application.get()
    assert (answer.body, took(ray, began)) == (b"abc", 3.0)
    assert answer.headers["content-type"].startswith("text/event-stream")


# Requests


def test_functions_and_classes_get_starlettes_request(serve: Serve) -> None:
    @ray_serve.deployment
    async def echo(request: Request) -> JSONResponse:
        body = await request.json()
        return JSONResponse({"path": request.url.path, "q": request.query_params["q"], "body": body}, status_code=201)

    application = serve.run(echo.bind(), route_prefix="/echo")
    answer = application.request("POST", "/deep?q=1", body=b'{"a": 2}')
    assert (answer.status, answer.json()) == (201, {"path": "/echo/deep", "q": "1", "body": {"a": 2}})

    @ray_serve.deployment
    def hello() -> str:
        return "hello"

    assert serve.run(hello.bind(), name="h", route_prefix="/h").get().body == b"hello"


class Pair(BaseModel):
    a: int
    b: int


def test_a_fastapi_application_is_served_by_its_class(serve: Serve) -> None:
    events: list[str] = []

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        events.append("started")
        yield

    api = FastAPI(lifespan=lifespan)

    @ray_serve.deployment
    @ray_serve.ingress(api)
    class Api:
        def __init__(self) -> None:
            self.calls = 0

        @api.get("/hello/{name}")
        def hello(self, name: str, excited: bool = False) -> dict[str, Any]:
            self.calls += 1
            time.sleep(1)
            return {"hello": name + ("!" if excited else ""), "calls": self.calls}

        @api.post("/add", response_model=None, status_code=201)
        async def add(self, pair: Pair) -> int:
            await asyncio.sleep(1)
            return pair.a + pair.b

        @api.get("/teapot")
        async def teapot(self) -> None:
            raise HTTPException(418, "short and stout")

    application = serve.run(Api.bind(), route_prefix="/api")
    assert events == ["started"]
    assert application.get("/hello/bob?excited=true").json() == {"hello": "bob!", "calls": 1}
    assert application.get("/hello/bob").json() == {"hello": "bob", "calls": 2}
    added = application.request("POST", "/add", body=b'{"a": 1, "b": 2}', headers={"content-type": "application/json"})
    assert (added.status, added.json()) == (201, 3)
    refused = application.request("POST", "/add", body=b"{}", headers={"content-type": "application/json"})
    assert refused.status == 422
    assert [each["loc"] for each in refused.json()["detail"]] == [["body", "a"], ["body", "b"]], "self is no parameter"
    assert application.get("/teapot").status == 418
    assert "/hello/{name}" in application.get("/openapi.json").json()["paths"]


# Life of a replica


@pytest.mark.accepts("SV-163")
def test_the_finalizer_runs_once_after_an_orderly_stop_and_never_after_a_kill(ray: LocalRay, serve: Serve) -> None:
    gone: list[str] = []

    @ray_serve.deployment(graceful_shutdown_wait_loop_s=0.1)
    class Model:
        def __init__(self, name: str) -> None:
            self.name = name

        async def __call__(self, request: Request) -> str:
            if request.query_params.get("exit"):
                os._exit(3)
            return self.name

        def __del__(self) -> None:
            gone.append(self.name)

    application = serve.run(Model.bind("orderly"))
    application.delete()
    assert gone == ["orderly"]
    application = serve.run(Model.bind("killed"))
    assert application.get("/?exit=1").status == 500
    ray.advance(30)
    assert application.get().body == b"killed", "another replica has taken its place"
    assert gone == ["orderly"]


@pytest.mark.accepts("SV-164")
def test_reconfigure_comes_before_the_first_request_and_with_each_change(ray: LocalRay, serve: Serve) -> None:
    seen: list[str] = []

    @ray_serve.deployment(user_config={"word": "a"})
    class Configured:
        async def reconfigure(self, config: dict[str, str]) -> None:
            await asyncio.sleep(1)
            seen.append(config["word"])

        async def __call__(self, request: Request) -> str:
            return seen[-1]

    application = serve.run(Configured.bind())
    assert application.get().body == b"a"
    assert seen == ["a"]


def test_constructors_may_be_async_or_take_their_time_and_their_failure_is_told(ray: LocalRay, serve: Serve) -> None:
    @ray_serve.deployment
    class Loads:
        async def __init__(self) -> None:  # type: ignore[misc]
            await asyncio.sleep(5)
            self.word = "loaded"

        def __call__(self, request: Request) -> str:
            return self.word

    began = ray.now_s
    application = serve.run(Loads.bind())
    assert 5 <= took(ray, began) < 6
    assert application.get().body == b"loaded"

    @ray_serve.deployment
    class Broken:
        def __init__(self) -> None:
            raise RuntimeError("no model")

    with pytest.raises(RuntimeError, match=r"^Deploying application broken failed"):
        serve.run(Broken.bind(), name="broken", route_prefix="/broken")


@pytest.mark.accepts("SV-165")
def test_a_prefix_that_another_application_has_is_refused(serve: Serve) -> None:
    from rayrig_backends.local_ray import RayServeException

    application = ray_serve.deployment(lambda request: "x").options(name="d").bind()
    serve.run(application, name="a", route_prefix="/a")
    with pytest.raises(RayServeException) as refused:
        serve.run(application, name="b", route_prefix="/a")
    assert str(refused.value) == ('Prefix /a is being used by application "a". Failed to deploy application "b".')
