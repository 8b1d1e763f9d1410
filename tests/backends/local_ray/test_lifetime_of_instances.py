"""Instances, namespaces, deployments and checkpoints as drivers of Ray 1.9 to 1.12 see them: the deployment guide."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fsspec.implementations.memory import MemoryFileSystem
from fsspec.registry import _registry

from rayrig_backends.local_ray import Driver, KVStoreBase, LocalRay, RayServeException
from rayrig_core.errors import InputError
from rayrig_core.http import HttpFailure

NO_INSTANCE = "There is no instance running on this Ray cluster. Please call `serve.start(detached=True) to start one."


@pytest.fixture
def ray() -> Iterator[LocalRay]:
    cluster = LocalRay()
    yield cluster
    cluster.close()


def hello(request: Any) -> str:
    return "hello world"


def bye(request: Any) -> str:
    return "bye"


class Greeter:
    def __init__(self, word: str = "hi") -> None:
        self.word = word

    def reconfigure(self, config: dict[str, str]) -> None:
        self.word = config["word"]

    def __call__(self, request: Any) -> str:
        return self.word


def replica_ids(ray: LocalRay, name: str) -> list[str]:
    assert ray.instance is not None
    return [replica.replica_id for replica in ray.instance.serve.replicas(name, name)]


# The guide


def test_the_guides_script_serves_for_as_long_as_it_is_detached(ray: LocalRay) -> None:
    with ray.driver(namespace="serve") as driver:
        serve = driver.serve
        serve.start(detached=True, http_options={"host": "0.0.0.0"})

        @serve.deployment(route_prefix="/hello")
        def hello(request: Any) -> str:
            return "hello world"

        hello.deploy()
    assert ray.get("/hello").body == b"hello world"
    with ray.driver(namespace="serve") as later:
        assert list(later.serve.list_deployments()) == ["hello"]
        later.serve.get_deployment("hello").delete()
    assert ray.get("/hello").status == 404


def test_the_guides_single_file_starts_deploys_and_lists(ray: LocalRay) -> None:
    with ray.driver() as driver:
        serve = driver.serve
        serve.start()

        @serve.deployment
        def my_func(request: Any) -> str:
            return "hello"

        my_func.deploy()
        for _ in range(3):  # while True: time.sleep(5)
            ray.advance(5)
            assert list(serve.list_deployments()) == ["my_func"]
        assert ray.get("/my_func").body == b"hello"
    with pytest.raises(HttpFailure):
        ray.get("/my_func")


def test_the_guides_health_check_replaces_a_replica_whose_database_is_lost(ray: LocalRay) -> None:
    broken: dict[str, None] = {}

    with ray.driver(namespace="serve") as driver:
        serve = driver.serve
        serve.start(detached=True)

        @serve.deployment(_health_check_period_s=10, _health_check_timeout_s=30)
        class MyDeployment:
            def __init__(self, db_addr: str) -> None:
                self.db_addr = db_addr

            def __call__(self, request: Any) -> str:
                return self.db_addr

            def check_health(self) -> None:
                if self.db_addr in broken:
                    raise RuntimeError("uh-oh, DB connection is broken.")

        MyDeployment.deploy("db:1")
        assert ray.get("/MyDeployment").body == b"db:1"
        before = replica_ids(ray, "MyDeployment")
        ray.advance(60)
        assert replica_ids(ray, "MyDeployment") == before
        broken["db:1"] = None
        ray.advance(20)
        assert serve.status().applications["MyDeployment"].status == "RUNNING", "three checks in a row have to fail"
        ray.advance(14)
        told = serve.status().applications["MyDeployment"].deployments["MyDeployment"]
        assert (told.status, told.status_trigger) == ("UNHEALTHY", "HEALTH_CHECK_FAILED")
        broken.clear()
        ray.advance(15)
        assert ray.get("/MyDeployment").body == b"db:1"
        assert before[0] not in replica_ids(ray, "MyDeployment")


@pytest.mark.accepts("SV-151")
def test_an_instance_that_is_not_detached_ends_with_its_driver(ray: LocalRay) -> None:
    with ray.driver(namespace="serve") as driver:
        driver.serve.start()
        driver.serve.deployment(hello).deploy()
        assert ray.get("/hello").body == b"hello world"
        assert driver.serve.list_deployments()["hello"].route_prefix == "/hello"
    assert ray.instance is None
    with pytest.raises(HttpFailure, match="refused"):
        ray.get("/hello")
    with ray.driver(namespace="serve") as driver:
        driver.serve.start(detached=True)
        driver.serve.deployment(hello).deploy()
    ray.advance(60)
    assert ray.get("/hello").body == b"hello world"


# Connecting


@pytest.mark.accepts("SV-152")
def test_starting_again_connects_and_leaves_the_options_as_they_were(
    ray: LocalRay, caplog: pytest.LogCaptureFixture
) -> None:
    with ray.driver(namespace="models") as first:
        first.serve.start(detached=True, http_options={"host": "0.0.0.0"})
        first.serve.deployment(hello).deploy()
        instance = ray.instance
    with caplog.at_level(logging.INFO, "rayrig.serve"), ray.driver(namespace="models") as second:
        second.serve.start(http_options={"port": 9000}, _checkpoint_path="file:///nowhere")
        assert list(second.serve.list_deployments()) == ["hello"]
    assert ray.instance is instance
    assert instance is not None
    assert (instance.http_options["host"], instance.http_options["port"]) == ("0.0.0.0", 8000)
    assert caplog.messages == [
        "Connecting to existing Serve instance in namespace 'models'.",
        "The new client HTTP config differs from the existing one in the fields ['host', 'port']. It is ignored.",
        "The new client checkpoint path file:///nowhere differs from the existing one. It is ignored.",
    ]
    assert ray.get("/hello").status == 200


def test_a_detached_instance_of_a_driver_without_namespace_is_in_serve(ray: LocalRay) -> None:
    ray.driver().serve.start(detached=True)
    assert ray.instance is not None
    assert (ray.instance.namespace, ray.instance.controller_name) == ("serve", "SERVE_CONTROLLER_ACTOR")
    ray.driver(namespace="serve").serve.connect()
    with pytest.raises(RayServeException):
        ray.driver(namespace="other").serve.connect()


def test_an_instance_that_is_not_detached_is_its_drivers_alone(ray: LocalRay) -> None:
    mine, other = ray.driver(namespace="serve"), ray.driver(namespace="serve")
    mine.serve.start()
    assert ray.instance is not None
    letters, _, name = ray.instance.controller_name.partition(":")
    assert (len(letters), letters.isalpha(), name) == (6, True, "SERVE_CONTROLLER_ACTOR")
    mine.serve.start()
    with pytest.raises(RayServeException):
        other.serve.connect()


def test_there_is_one_instance_on_a_cluster(ray: LocalRay) -> None:
    ray.driver(namespace="one").serve.start(detached=True)
    with pytest.raises(RayServeException, match="the instance in namespace 'one' has it"):
        ray.driver(namespace="two").serve.start(detached=True)


@pytest.mark.accepts("SV-154")
@pytest.mark.parametrize("call", ["connect", "deploy", "list", "delete"])
def test_without_an_instance_nothing_else_works(ray: LocalRay, call: str) -> None:
    serve = ray.driver(namespace="serve").serve
    deployment = serve.deployment(hello)
    calls = {
        "connect": serve.connect,
        "deploy": deployment.deploy,
        "list": serve.list_deployments,
        "delete": deployment.delete,
    }
    with pytest.raises(RayServeException) as refused:
        calls[call]()
    assert str(refused.value) == NO_INSTANCE


def test_shutdown_ends_everything_and_may_be_called_again(ray: LocalRay) -> None:
    serve = ray.driver(namespace="serve").serve
    serve.start(detached=True)
    serve.deployment(hello).deploy()
    serve.shutdown()
    serve.shutdown()
    with pytest.raises(RayServeException):
        serve.list_deployments()
    serve.start(detached=True)
    assert serve.list_deployments() == {}


def test_options_that_do_not_exist_are_named(ray: LocalRay) -> None:
    serve = ray.driver().serve
    with pytest.raises(ValueError, match="no such HTTP options: prot"):
        serve.start(http_options={"prot": 1})
    with pytest.raises(ValueError, match="location must be one of"):
        serve.start(http_options={"location": "Everywhere"})
    with pytest.raises(TypeError, match="unexpected keyword argument 'replicas'"):
        serve.deployment(replicas=2)(hello)


# Deployments


@pytest.mark.accepts("SV-155")
def test_the_same_version_changes_configuration_in_place_and_another_replaces_replicas(ray: LocalRay) -> None:
    serve = ray.driver(namespace="serve").serve
    serve.start(detached=True)
    greeter = serve.deployment(name="greet", version="1", user_config={"word": "a"}, num_replicas=2)(Greeter)
    greeter.deploy()
    before = replica_ids(ray, "greet")
    assert len(before) == 2
    greeter.options(user_config={"word": "b"}).deploy()
    assert replica_ids(ray, "greet") == before
    assert ray.get("/greet").body == b"b"
    with pytest.raises(ValueError, match=r"^prev_version '0' does not match with the existing version '1'\.$"):
        greeter.options(version="2", prev_version="0").deploy()
    assert replica_ids(ray, "greet") == before
    greeter.options(version="2", prev_version="1", user_config={"word": "c"}).deploy()
    after = replica_ids(ray, "greet")
    assert len(after) == 2
    assert not set(after) & set(before)
    assert ray.get("/greet").body == b"c"
    with pytest.raises(ValueError, match="there is no existing deployment"):
        serve.deployment(name="new", prev_version="1")(hello).deploy()


def test_without_a_version_every_deploy_is_new_code(ray: LocalRay) -> None:
    serve = ray.driver(namespace="serve").serve
    serve.start(detached=True)
    serve.deployment(name="d")(hello).deploy()
    before = replica_ids(ray, "d")
    serve.deployment(name="d")(bye).deploy()
    assert ray.get("/d").body == b"bye"
    assert not set(replica_ids(ray, "d")) & set(before)


def test_deploy_waits_and_tells_of_a_deployment_that_gets_unhealthy(ray: LocalRay) -> None:
    class Broken:
        def __init__(self) -> None:
            raise RuntimeError("no model")

    serve = ray.driver(namespace="serve").serve
    serve.start(detached=True)
    with pytest.raises(RuntimeError, match=r"(?s)^Deployment Broken is UNHEALTHY: .*no model"):
        serve.deployment(Broken).deploy()
    began = ray.now_s
    serve.deployment(hello).deploy()
    assert ray.now_s > began
    assert ray.get("/hello").status == 200, "it is up when deploy returns"
    with pytest.raises(KeyError, match="was not found"):
        serve.get_deployment("nobody")


def test_arguments_of_deploy_reach_the_constructor_and_routes_may_be_left_out(ray: LocalRay) -> None:
    serve = ray.driver(namespace="serve").serve
    serve.start(detached=True)
    serve.deployment(name="g")(Greeter).deploy("servus")
    assert ray.get("/g").body == b"servus"
    serve.deployment(name="inner", route_prefix=None)(Greeter).deploy()
    assert ray.get("/inner").status == 404
    assert serve.get_deployment("inner").route_prefix is None


# Checkpoints


class Notebook(KVStoreBase):
    """A store of one's own."""

    kept: dict[str, bytes] = {}  # noqa: RUF012 - it is to outlive the clusters

    def __init__(self, namespace: str, owner: str = "nobody") -> None:
        super().__init__(f"{owner}/{namespace}")

    def put(self, key: str, val: bytes) -> bool:
        self.kept[self.get_storage_key(key)] = val
        return True

    def get(self, key: str) -> bytes | None:
        return self.kept.get(self.get_storage_key(key))

    def delete(self, key: str) -> None:
        self.kept.pop(self.get_storage_key(key), None)


@pytest.fixture
def object_stores(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """s3:// and gs:// lead into memory."""
    for scheme in ("s3", "gs"):
        monkeypatch.setitem(_registry, scheme, MemoryFileSystem)
    MemoryFileSystem.store.clear()
    yield
    MemoryFileSystem.store.clear()


def deploy_two(driver: Driver, path: str) -> None:
    driver.serve.start(detached=True, _checkpoint_path=path)
    driver.serve.deployment(name="greet", num_replicas=2, user_config={"word": "kept"})(Greeter).deploy()
    driver.serve.deployment(route_prefix="/local")(lambda request: "a function of the script").options(
        name="local"
    ).deploy()


@pytest.mark.accepts("SV-153")
@pytest.mark.parametrize("scheme", ["file", "s3", "gs", "custom"])
def test_a_new_cluster_takes_up_what_a_lost_one_left(
    scheme: str, tmp_path: Path, object_stores: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys
    from types import ModuleType

    module = ModuleType("stores_of_mine")
    module.Notebook = Notebook  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "stores_of_mine", module)
    Notebook.kept.clear()
    path = {
        "file": f"file://{tmp_path}/made/on/the/way/serve.db",
        "s3": "s3://bucket/some/path",
        "gs": "gs://bucket/some/path",
        "custom": "custom://stores_of_mine.Notebook?owner=me",
    }[scheme]
    lost = LocalRay(seed=1)
    deploy_two(lost.driver(namespace="models"), path)
    lost.kill()
    lost.close()

    stranger = LocalRay(seed=2)
    stranger.driver(namespace="elsewhere").serve.start(detached=True, _checkpoint_path=path)
    assert stranger.driver(namespace="elsewhere").serve.list_deployments() == {}, "another namespace is another store"
    stranger.close()

    new = LocalRay(seed=3)
    serve = new.driver(namespace="models").serve
    serve.start(detached=True, _checkpoint_path=path)
    assert list(serve.list_deployments()) == ["greet", "local"]
    new.advance(30)
    assert len(replica_ids(new, "greet")) == 2
    assert new.get("/greet").body == b"kept"
    assert new.get("/local").body == b"a function of the script"
    serve.shutdown()
    serve.start(detached=True, _checkpoint_path=path)
    assert serve.list_deployments() == {}, "shutdown deletes the checkpoint"
    new.close()


@pytest.mark.accepts("SV-153")
def test_what_is_kept_in_the_cluster_is_lost_with_it() -> None:
    lost = LocalRay(seed=1)
    deploy_two(lost.driver(namespace="models"), "ray://")
    lost.kill()
    lost.close()
    new = LocalRay(seed=2)
    serve = new.driver(namespace="models").serve
    serve.start(detached=True, _checkpoint_path="ray://")
    assert serve.list_deployments() == {}
    new.close()


@pytest.mark.accepts("SV-153")
@pytest.mark.parametrize(
    ("path", "error", "text"),
    [
        ("redis://host", ValueError, r"^Checkpoint must be one of ray://.*redis://host$"),
        ("/tmp/serve.db", ValueError, r"^Checkpoint must be one of"),
        ("file://", ValueError, "not empty"),
        ("custom://pathlib.Path", ValueError, "no class derived from KVStoreBase"),
        ("file:///proc/serve/serve.db", InputError, "cannot keep a checkpoint here"),
    ],
)
def test_a_checkpoint_path_that_cannot_be_used_is_refused(
    ray: LocalRay, path: str, error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        ray.driver().serve.start(detached=True, _checkpoint_path=path)
    assert ray.instance is None


def test_the_file_has_a_table_for_each_namespace(tmp_path: Path) -> None:
    import sqlite3
    from contextlib import closing

    ray = LocalRay()
    deploy_two(ray.driver(namespace="models"), f"file://{tmp_path}/serve.db")
    with closing(sqlite3.connect(tmp_path / "serve.db")) as connection:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        keys = [key for (key,) in connection.execute(f'SELECT key FROM "{tables[0]}" ORDER BY rowid')]
    assert tables == ["SERVE_CONTROLLER_ACTOR-models"]
    prefix = "SERVE_CONTROLLER_ACTOR-models-"
    assert [key.removeprefix(prefix) for key in keys] == [
        "serve-endpoint-state-checkpoint",
        "serve-deployment-state-checkpoint",
    ], "routes are written before deployments"
    ray.close()
