"""What the pages of Ray's documentation on Serve have applications do, and what is not here says so."""

from __future__ import annotations

import asyncio
import importlib
import sys
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import StreamingResponse

from rayrig_backends.local_ray import LocalRay
from rayrig_backends.local_ray.serve_api import Serve
from rayrig_sim.calibration import instant
from rayrig_sim.ray_api import serve as ray_serve
from rayrig_sim.ray_api.metrics import Counter, Gauge, Histogram
from rayrig_sim.ray_api.modules import ray_modules
from rayrig_sim.ray_api.registry import AppDirRegistry


@pytest.fixture
def ray() -> Iterator[LocalRay]:
    """Nothing takes time but the user's code."""
    cluster = LocalRay(cpus=16, calibration=instant())
    yield cluster
    cluster.close()


@pytest.fixture
def serve(ray: LocalRay) -> Serve:
    return ray.driver(namespace="serve").serve


# Handles


@ray_serve.deployment
class Words:
    def at_once(self, word: str) -> str:
        return word.upper()

    async def later(self) -> str:
        await asyncio.sleep(5)
        return "later"

    def refuses(self) -> None:
        raise ValueError("no such word")

    def spelt(self, word: str) -> Iterator[str]:
        yield from word


@ray_serve.deployment
class Reader:
    def __init__(self, words: Any) -> None:
        self.words = words

    async def ask(self) -> list[str]:
        return [await self.words.at_once.remote("a"), await self.words.at_once.remote("b")]

    async def times_out(self) -> str:
        try:
            async with asyncio.timeout(0.5):
                return str(await self.words.later.remote())
        except TimeoutError:
            return "given up"

    async def gather(self) -> list[Any]:
        found = await asyncio.gather(
            self.words.at_once.remote("a"), self.words.refuses.remote(), return_exceptions=True
        )
        return [str(each) for each in found]

    async def spell(self) -> list[str]:
        return [letter async for letter in self.words.spelt.options(stream=True).remote("abc")]


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ("ask", ["A", "B"]),
        ("times_out", "given up"),
        ("gather", ["A", "no such word"]),
        ("spell", ["a", "b", "c"]),
    ],
)
def test_calls_of_methods_that_return_at_once_and_of_others(serve: Serve, method: str, expected: Any) -> None:
    application = serve.run(Reader.bind(Words.bind()))
    assert application.call(method=method) == expected


def test_handles_into_another_application(serve: Serve) -> None:
    @ray_serve.deployment
    class Caller:
        async def by_application(self) -> str:
            return str(await ray_serve.get_app_handle("words").at_once.remote("x"))

        def by_name(self) -> str:
            handle = ray_serve.get_deployment_handle("Words", app_name="words")
            assert handle is ray_serve.get_deployment_handle("Words", app_name="words")
            return str(handle.at_once.remote("y").result())

        def nowhere(self) -> None:
            ray_serve.get_app_handle("nowhere")

    serve.run(Words.bind(), name="words", route_prefix=None)
    caller = serve.run(Caller.bind(), name="caller")
    assert [caller.call(method="by_application"), caller.call(method="by_name")] == ["X", "Y"]
    with pytest.raises(ray_serve.RayServeException, match=r"^Application 'nowhere' does not exist\.$"):
        caller.call(method="nowhere")


@pytest.mark.parametrize("is_async", [False, True])
def test_the_context_of_a_replica_is_there_in_its_constructor_and_in_each_method(serve: Serve, is_async: bool) -> None:
    class Sync:
        def __init__(self) -> None:
            self.made_in = ray_serve.get_replica_context()

        def who(self) -> tuple[str, str, bool]:
            here = ray_serve.get_replica_context()
            assert here.replica_id == self.made_in.replica_id
            return here.app_name, here.deployment, self.made_in.servable_object is here.servable_object is self

    class Async(Sync):
        async def __init__(self) -> None:  # type: ignore[misc]
            await asyncio.sleep(1)
            Sync.__init__(self)

        async def who(self) -> tuple[str, str, bool]:  # type: ignore[override]
            return Sync.who(self)

    application = serve.run(ray_serve.deployment(name="D")(Async if is_async else Sync).bind(), name="a")
    assert application.call(method="who") == ("a", "D", True)


# Time


def test_what_blocks_and_what_tells_the_time_in_nanoseconds(ray: LocalRay, serve: Serve) -> None:
    @ray_serve.deployment
    class Clock:
        def runs(self) -> list[float]:
            async def nap(seconds: float) -> float:
                await asyncio.sleep(seconds)
                return seconds

            async def naps() -> list[float]:
                return list(await asyncio.gather(nap(1), nap(2)))

            began = time.monotonic_ns(), time.time_ns(), time.perf_counter_ns()
            found = asyncio.run(naps())
            ended = time.monotonic_ns(), time.time_ns(), time.perf_counter_ns()
            return [*found, *((after - before) / 1e9 for before, after in zip(began, ended, strict=True))]

        async def nested(self) -> None:
            nothing = asyncio.sleep(0)
            try:
                asyncio.run(nothing)
            finally:
                nothing.close()

        def in_a_thread_of_its_own(self) -> float:
            with ThreadPoolExecutor(1) as pool:
                return pool.submit(time.sleep, 1).result()  # type: ignore[return-value]

    application = serve.run(Clock.bind())
    assert application.call(method="runs") == [1, 2, 2.0, 2.0, 2.0]
    with pytest.raises(RuntimeError, match="cannot be called from a running event loop"):
        application.call(method="nested")
    with pytest.raises(RuntimeError, match=r"^time\.sleep in a thread of one's own"):
        application.call(method="in_a_thread_of_its_own")


# Scripts


def test_a_script_has_handles_and_a_status(ray: LocalRay, serve: Serve) -> None:
    assert serve.status().applications == {}
    handle = serve.run(Words.options(num_replicas=2).bind(), name="words", route_prefix=None).handle
    assert handle.at_once.remote("a").result() == "A"
    assert serve.get_app_handle("words").options(method_name="later").remote().result(timeout_s=6) == "later"
    began = ray.now_s
    with pytest.raises(TimeoutError):
        handle.later.remote().result(timeout_s=1)
    assert ray.now_s - began == pytest.approx(1)
    letters = handle.spelt.options(stream=True).remote("abc")
    assert [next(letters), *letters] == ["a", "b", "c"]
    with pytest.raises(ValueError, match="no such word"):
        handle.refuses.remote().result()
    told = serve.status()
    assert (list(told.proxies.values()), told.target_capacity) == (["HEALTHY"], None)
    words = told.applications["words"]
    assert (words.status, words.deployments["Words"].replica_states) == ("RUNNING", {"RUNNING": 2})
    serve.delete("words")
    serve.delete("words")
    assert serve.status().applications == {}
    with pytest.raises(Exception, match=r"^Application 'words' does not exist\.$"):
        serve.get_app_handle("words")


# Batches


def test_a_batch_of_several_arguments_whose_size_a_configuration_sets(ray: LocalRay, serve: Serve) -> None:
    seen: list[list[int]] = []

    @ray_serve.deployment(user_config={"size": 2, "wait": 3.0}, max_ongoing_requests=10)
    class Sums:
        def reconfigure(self, config: dict[str, Any]) -> None:
            self.add.set_max_batch_size(config["size"])
            self.add.set_batch_wait_timeout_s(config["wait"])

        @ray_serve.batch(max_batch_size=8, batch_wait_timeout_s=0.1)
        async def add(self, a: list[int], b: list[int]) -> list[int]:
            seen.append(a)
            return [x + y for x, y in zip(a, b, strict=True)]

        async def __call__(self, number: int) -> int:
            return int(await self.add(number, b=10))

    application = serve.run(Sums.bind())
    began = ray.now_s
    pending = [application.begin(number) for number in range(3)]
    assert [each.result() for each in pending] == [10, 11, 12]
    assert seen == [[0, 1], [2]]
    assert ray.now_s - began == pytest.approx(3.0)


def test_a_batch_is_as_large_as_its_own_measure_says(serve: Serve) -> None:
    seen: list[list[str]] = []

    @ray_serve.deployment(max_ongoing_requests=10)
    class Texts:
        @ray_serve.batch(max_batch_size=6, batch_wait_timeout_s=1, batch_size_fn=lambda texts: sum(map(len, texts)))
        async def read(self, texts: list[str]) -> list[int]:
            seen.append(texts)
            return [len(text) for text in texts]

        async def __call__(self, text: str) -> int:
            return int(await self.read(text))

    application = serve.run(Texts.bind())
    pending = [application.begin(text) for text in ("aaaa", "bb", "ccc", "d")]
    assert [each.result() for each in pending] == [4, 2, 3, 1]
    assert seen == [["aaaa", "bb"], ["d", "ccc"]]


def test_a_batch_that_streams(ray: LocalRay, serve: Serve) -> None:
    @ray_serve.deployment(max_ongoing_requests=10)
    class Numbers:
        @ray_serve.batch(max_batch_size=2, batch_wait_timeout_s=1)
        async def count(self, ends: list[int]) -> AsyncIterator[list[Any]]:
            for number in range(max(ends)):
                yield [str(number) if number < end else StopIteration for end in ends]
                await asyncio.sleep(0.1)

        async def __call__(self, request: Request) -> StreamingResponse:
            return StreamingResponse(self.count(int(request.query_params["end"])))

        @ray_serve.batch(max_batch_size=1)
        async def breaks(self, items: list[int]) -> AsyncIterator[list[int]]:
            yield items
            raise KeyError("half way")

        async def broken(self) -> list[Any]:
            found: list[Any] = []
            try:
                async for each in self.breaks(7):
                    found.append(each)
            except KeyError as error:
                found.append(str(error))
            return found

    application = serve.run(Numbers.bind())
    pending = [application.send("GET", f"/?end={end}") for end in (5, 3)]
    assert [each.result().body for each in pending] == [b"01234", b"012"]
    assert application.call(method="broken") == [7, "'half way'"]


@pytest.mark.parametrize(
    ("options", "error"), [({"max_batch_size": 0}, ValueError), ({"max_batch_size": 1.5}, TypeError)]
)
def test_batches_that_make_no_sense(options: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error, match="max_batch_size"):
        ray_serve.batch(**options)
    with pytest.raises(TypeError, match="must be 'async def'"):
        ray_serve.batch(lambda items: items)


# FastAPI


def test_endpoints_of_a_base_class(serve: Serve) -> None:
    app = FastAPI()

    class Base:
        @app.get("/base")
        def base(self) -> str:
            return type(self).__name__

    @ray_serve.deployment
    @ray_serve.ingress(app)
    class Derived(Base):
        @app.get("/own")
        def own(self, q: int = 1) -> int:
            return q

    application = serve.run(Derived.bind())
    assert [application.get(path).json() for path in ("/base", "/own?q=3")] == ["Derived", 3]


# Metrics


def test_metrics_keep_what_is_recorded_by_their_tags() -> None:
    counter = Counter("requests", description="so many", tag_keys=("model", "kind"))
    counter.set_default_tags({"model": "m"})
    counter.inc(tags={"kind": "a"})
    counter.inc(2, tags={"kind": "a"})
    histogram, gauge = Histogram("latency", boundaries=[1, 5]), Gauge("size")
    histogram.observe(3)
    gauge.set(4)
    gauge.set(5)
    assert (counter.values, histogram.values, gauge.values) == ({("m", "a"): 3.0}, {(): [3]}, {(): 5})
    for refused, text in (
        (lambda: counter.inc(), "Missing value for tag key"),
        (lambda: counter.inc(tags={"other": "x"}), "Unrecognized tag key other"),
        (lambda: counter.inc(0, tags={"kind": "a"}), "value must be >0"),
        (lambda: Histogram("h", boundaries=[0]), "boundaries"),
        (lambda: Counter(""), "Empty name"),
    ):
        with pytest.raises(ValueError, match=text):
            refused()
    with pytest.raises(TypeError, match="tag_keys"):
        Counter("c", tag_keys="model")


# Modules and builders

MODULE = """
import logging
import ray
from pydantic import BaseModel
from ray import serve
from ray.serve import Application, metrics
from ray.serve.config import AutoscalingConfig, HTTPOptions, RequestRouterConfig
from ray.serve.handle import DeploymentHandle, DeploymentResponse
from ray.serve.schema import LoggingConfig
from ray.util.metrics import Gauge

logger = logging.getLogger("ray.serve")


class Args(BaseModel):
    word: str
    times: int = 1


@serve.deployment(
    autoscaling_config=AutoscalingConfig(min_replicas=1, max_replicas=3),
    logging_config=LoggingConfig(log_level="DEBUG"),
    rolling_update_percentage=0.5,
)
class Greeter:
    def __init__(self, word: str) -> None:
        self.word = word
        self.count = metrics.Counter("greetings")
        self.node = ray.get_runtime_context().get_node_id()

    def __call__(self, request) -> str:
        self.count.inc()
        logger.debug("greeting")
        return self.word


def typed(args: Args) -> Application:
    return Greeter.bind(args.word * args.times)


def untyped(args):
    return Greeter.bind(args["word"])


def neither(a, b):
    return Greeter.bind(a)


def nothing(args):
    return args


if __name__ == "__main__":
    serve.run(typed(Args(word="hello")))
"""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "greeter_of_the_docs.py").write_text(MODULE)
    yield tmp_path
    sys.modules.pop("greeter_of_the_docs", None)


def test_a_builder_gets_its_arguments_as_the_model_that_it_declares(folder: Path, serve: Serve) -> None:
    with ray_modules():
        registry = AppDirRegistry(folder)
        found = registry.build("greeter_of_the_docs:typed", {"word": "ab", "times": "2"}, [])
        assert found.deployments["Greeter"].init_args == ("abab",)
        assert found.deployments["Greeter"].options["rolling_update_percentage"] == 0.5
        assert registry.build("greeter_of_the_docs:untyped", {"word": "c"}, []).deployments["Greeter"].init_args == (
            "c",
        )
        with pytest.raises(ValueError, match="word"):
            registry.build("greeter_of_the_docs:typed", {}, [])
        with pytest.raises(TypeError, match="should take exactly one parameter"):
            registry.build("greeter_of_the_docs:neither", {}, [])
        with pytest.raises(TypeError, match="must return an `Application`"):
            registry.build("greeter_of_the_docs:nothing", {}, [])
        module = importlib.import_module("greeter_of_the_docs")
        application = serve.run(module.typed(module.Args(word="hello")))
        assert application.get().body == b"hello"


@pytest.mark.parametrize(
    ("code", "error", "text"),
    [
        ("import ray; ray.remote", AttributeError, r"^ray\.remote is not there: rayrig has those parts of Ray"),
        ("import ray.data", ModuleNotFoundError, r"^No module named 'ray\.data' here"),
        ("from ray import serve; serve.run(None)", ray_serve.RayServeException, r"^serve\.run is for drivers"),
        (
            "from ray import serve; serve.deployment(print)()",
            RuntimeError,
            r"^Deployments cannot be constructed directly",
        ),
        ("from ray import serve; serve.deployment(version='1')(print)", ValueError, "`version` in `@serve.deployment`"),
        ("from ray import serve; serve.deployment(num_replicas=0)(print)", ValueError, "num_replicas"),
    ],
)
def test_what_is_not_here_says_so(code: str, error: type[Exception], text: str) -> None:
    with ray_modules(), pytest.raises(error, match=text):
        exec(code, {})
