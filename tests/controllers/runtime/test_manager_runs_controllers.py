"""Workers, results, back-off, predicates and crashes of one operator process."""

from collections.abc import Callable
from typing import Any

import pytest

from rayrig_controllers.controller import Controller
from rayrig_controllers.expectations import ScaleExpectations
from rayrig_controllers.manager import Manager
from rayrig_controllers.options import OperatorOptions
from rayrig_controllers.reconciler import DONE, ReconcileError, ReconcilePanic, Request, Result
from rayrig_controllers.releases import profile_of
from rayrig_controllers.watches import generation_or_metadata_changed, owns, reconciles
from rayrig_core.errors import InputError
from rayrig_core.faultpoints import CrashBefore
from rayrig_core.objects import JsonObject
from rayrig_core.resource_types import CONFIG_MAP, JOB, POD, RAY_CLUSTER
from rayrig_core.resources.feature_gates import FeatureGates
from rayrig_core.timestamps import NS
from rayrig_core.trace import Kind
from rayrig_sim.kernel import ActorFailed


class Scripted:
    """A reconciler that does what it is told and notes when it ran."""

    def __init__(self, plane: Any, act: Callable[[int], Result]) -> None:
        self.plane = plane
        self.act = act
        self.runs: list[tuple[float, str]] = []
        self.client: Any = None

    async def reconcile(self, request: Request) -> Result:
        self.runs.append((self.plane.kernel.monotonic_ns() / NS, request.name))
        return self.act(len(self.runs))


def start(plane: Any, act: Callable[[int], Result], **options: Any) -> tuple[Manager, Scripted]:
    manager = Manager(
        plane.kernel,
        plane.client("operator", on_crash=lambda actor: manager.crash()),
        http=None,  # type: ignore[arg-type]
        rng=plane.kernel.streams.stream("operator"),
        options=OperatorOptions(**options),
    )
    reconciler = Scripted(plane, act)
    context = manager.context("test-controller")
    reconciler.client = context.client
    watches = [reconciles(RAY_CLUSTER), owns(CONFIG_MAP, RAY_CLUSTER)]
    manager.add(Controller("test-controller", context, reconciler, watches, resource=RAY_CLUSTER))
    manager.start()
    return manager, reconciler


def cluster(name: str) -> JsonObject:
    template = {"spec": {"containers": [{"name": "ray", "image": "ray"}]}}
    return {
        "apiVersion": "ray.io/v1",
        "kind": "RayCluster",
        "metadata": {"name": name},
        "spec": {"headGroupSpec": {"rayStartParams": {}, "template": template}},
    }


def child(name: str, owner: JsonObject) -> JsonObject:
    reference = {
        "apiVersion": "ray.io/v1",
        "kind": "RayCluster",
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": True,
    }
    return {"metadata": {"name": name, "ownerReferences": [reference]}}


def test_a_requeue_comes_after_its_time_and_none_comes_without(plane: Any) -> None:
    _, reconciler = start(plane, lambda run: Result(2.0) if run < 3 else DONE)
    plane.create(RAY_CLUSTER, cluster("a"))
    plane.kernel.run(until_s=60)
    assert reconciler.runs == [(0.0, "a"), (2.0, "a"), (4.0, "a")]


def test_errors_back_off_per_key_and_success_resets(plane: Any) -> None:
    def act(run: int) -> Result:
        if run in (1, 2, 3, 5):
            raise ReconcileError("not yet")
        return Result(1.0) if run == 4 else DONE

    manager, reconciler = start(plane, act)
    plane.create(RAY_CLUSTER, cluster("a"))
    plane.kernel.run(until_s=60)
    assert [time for time, _ in reconciler.runs] == [0.0, 0.005, 0.015, 0.035, 1.035, 1.04]
    assert (manager.reconciles, manager.errors, manager.queue_depth) == (6, 4, 0)


def test_status_writes_do_not_wake_the_controller_but_spec_label_and_child_changes_do(plane: Any) -> None:
    _, reconciler = start(plane, lambda run: DONE)
    made = plane.create(RAY_CLUSTER, cluster("a"))
    plane.kernel.run(until_s=1)
    made["status"] = {"state": "ready"}

    async def write_status() -> None:
        await plane.client("kubelet").update(RAY_CLUSTER, made, subresource="status")

    plane.kernel.spawn("kubelet", write_status())
    plane.kernel.run(until_s=2)
    assert len(reconciler.runs) == 1
    plane.patch(RAY_CLUSTER, "a", {"metadata": {"labels": {"x": "y"}}})
    plane.kernel.run(until_s=3)
    plane.patch(RAY_CLUSTER, "a", {"spec": {"rayVersion": "2.52.0"}})
    plane.kernel.run(until_s=4)
    plane.create(CONFIG_MAP, child("c", made))
    plane.kernel.run(until_s=5)
    plane.create(CONFIG_MAP, {"metadata": {"name": "stranger"}})
    plane.kernel.run(until_s=6)
    assert reconciler.runs == [(0.0, "a"), (2.0, "a"), (3.0, "a"), (4.0, "a")]


def test_the_predicate_looks_at_generation_labels_and_annotations() -> None:
    def obj(**metadata: Any) -> JsonObject:
        return {"metadata": metadata}

    before = obj(generation=1, labels={"a": "b"}, annotations={"c": "d"}, resourceVersion="1")
    assert not generation_or_metadata_changed(before, obj(**{**before["metadata"], "resourceVersion": "2"}))
    for change in ({"generation": 2}, {"labels": {}}, {"annotations": {}}):
        assert generation_or_metadata_changed(before, obj(**{**before["metadata"], **change}))


def test_idle_ticks_leave_no_trace(plane: Any) -> None:
    _, reconciler = start(plane, lambda run: Result(2.0))
    plane.create(RAY_CLUSTER, cluster("a"))
    plane.kernel.run(until_s=100)
    assert len(reconciler.runs) > 40
    assert [event["outcome"] for event in plane.kernel.trace.select(Kind.RECONCILE)] == ["ok"]


def test_a_crash_stops_everything_and_a_new_manager_begins_anew(plane: Any) -> None:
    manager, reconciler = start(plane, lambda run: Result(2.0))
    plane.create(RAY_CLUSTER, cluster("a"))
    plane.kernel.run(until_s=5)
    manager.crash()
    plane.kernel.run(until_s=20)
    assert [time for time, _ in reconciler.runs] == [0.0, 2.0, 4.0]
    _, second = start(plane, lambda run: DONE)
    plane.kernel.run(until_s=30)
    assert second.runs == [(20.0, "a")]


def test_a_crash_fault_in_a_worker_takes_the_whole_process_down(plane: Any) -> None:
    manager, reconciler = start(plane, lambda run: Result(2.0))
    plane.faults.plan = [("create", "configmaps/default/doomed", 1, CrashBefore())]

    async def reconcile(request: Request) -> Result:
        await reconciler.client.create(CONFIG_MAP, {"metadata": {"name": "doomed", "namespace": "default"}})
        return DONE

    reconciler.reconcile = reconcile  # type: ignore[method-assign]
    plane.create(RAY_CLUSTER, cluster("a"))
    plane.kernel.run(until_s=10)
    assert not manager.is_running
    assert manager.reconciles == 1
    assert plane.list(CONFIG_MAP) == []


def test_an_error_of_our_own_ends_the_run_unless_panics_are_recovered(plane: Any) -> None:
    def broken(run: int) -> Result:
        raise KeyError("bug")

    start(plane, broken)
    plane.create(RAY_CLUSTER, cluster("a"))
    with pytest.raises(ActorFailed, match="KeyError"):
        plane.kernel.run(until_s=1)


def test_a_recovered_panic_backs_off_like_an_error(plane: Any) -> None:
    def broken(run: int) -> Result:
        if run < 3:
            raise KeyError("bug")
        return DONE

    _, reconciler = start(plane, broken, recover_panics=True)
    plane.create(RAY_CLUSTER, cluster("a"))
    plane.kernel.run(until_s=1)
    assert [time for time, _ in reconciler.runs] == [0.0, 0.005, 0.015]


def test_several_workers_share_one_queue(plane: Any) -> None:
    manager, _ = start(plane, lambda run: DONE, reconcile_concurrency=3)
    busy: list[float] = []

    async def slow(request: Request) -> Result:
        busy.append(plane.kernel.monotonic_ns() / NS)
        await plane.kernel.sleep(1)
        return DONE

    manager.controllers["test-controller"].reconciler.reconcile = slow  # type: ignore[method-assign]
    for name in ("a", "b", "c", "d"):
        plane.create(RAY_CLUSTER, cluster(name))
    plane.kernel.run(until_s=10)
    assert busy == [0.0, 0.0, 0.0, 1.0]


@pytest.mark.accepts("RC-038")
def test_expectations_hold_until_the_cache_shows_them_or_30_s_have_passed() -> None:
    expectations = ScaleExpectations()
    cached: list[str] = []

    def is_satisfied(now_s: float) -> bool:
        return expectations.is_satisfied("default", "rc", "w", lambda name: name in cached, round(now_s * NS))

    assert is_satisfied(0)
    expectations.expect_create("default", "rc", "w", "p1", 0)
    assert not is_satisfied(29.9)
    assert is_satisfied(30)
    expectations.expect_create("default", "rc", "w", "p2", 30 * NS)
    cached.append("p2")
    assert is_satisfied(31)
    expectations.expect_delete("default", "rc", "w", "p2")
    assert not is_satisfied(10_000)
    cached.remove("p2")
    assert is_satisfied(10_000)
    expectations.expect_delete("default", "rc", "w", "p3")
    cached.append("p3")
    expectations.forget_cluster("default", "rc")
    assert is_satisfied(10_000)


def test_options_are_read_from_the_operators_environment() -> None:
    environment = {
        "ENABLE_ZERO_DOWNTIME": "False",
        "ENABLE_RANDOM_POD_DELETE": "true",
        "ENABLE_PROBES_INJECTION": "anything",
        "CLUSTER_DOMAIN": "example.org",
        "RAYCLUSTER_DEFAULT_REQUEUE_SECONDS_ENV": "60",
    }
    options = OperatorOptions.from_environment(environment, profile="1.1")
    assert not options.zero_downtime
    assert options.random_pod_delete
    assert options.inject_probes
    assert (options.cluster_domain, options.ray_cluster_requeue_s, options.profile) == ("example.org", 60, "1.1")
    assert options.kuberay_version == "v1.1.0"
    with pytest.raises(InputError, match="RAYCLUSTER_DEFAULT_REQUEUE_SECONDS_ENV"):
        OperatorOptions.from_environment({"RAYCLUSTER_DEFAULT_REQUEUE_SECONDS_ENV": "soon"})


def test_an_operator_of_1_1_has_no_gates() -> None:
    options = OperatorOptions(profile="1.1", gates=FeatureGates(ray_cluster_network_policy=True))
    assert options.gates == FeatureGates(
        ray_cluster_status_conditions=False,
        ray_service_incremental_upgrade=False,
        ray_multi_host_indexing=False,
        ray_job_deletion_policy=False,
        ray_cluster_network_policy=False,
    )
    assert OperatorOptions().gates == FeatureGates()
    assert OperatorOptions().kuberay_version == "v1.7.0"
    assert OperatorOptions(kuberay_version="v1.6.0").kuberay_version == "v1.6.0"


@pytest.mark.parametrize(("name", "profile"), [("1.1", "1.1"), ("v1.1.0", "1.1"), ("1.7", "1.7"), ("v1.7.0", "1.7")])
def test_a_profile_goes_by_its_number_or_its_version(name: str, profile: str) -> None:
    assert profile_of(name) == profile


def test_an_unknown_profile_is_told_with_its_remedy() -> None:
    with pytest.raises(InputError, match=r"--kuberay: there is no profile '1\.2' \(one of 1\.7, 1\.1\)"):
        profile_of("1.2", "--kuberay")


@pytest.mark.parametrize(
    ("variable", "field", "default"),
    [
        ("ENABLE_ZERO_DOWNTIME", "zero_downtime", True),
        ("ENABLE_PROBES_INJECTION", "inject_probes", True),
        ("ENABLE_INIT_CONTAINER_INJECTION", "inject_init_container", True),
        ("ENABLE_GCS_FT_REDIS_CLEANUP", "redis_cleanup", True),
        ("ENABLE_RANDOM_POD_DELETE", "random_pod_delete", False),
        ("ENABLE_RAY_HEAD_CLUSTER_IP_SERVICE", "head_cluster_ip_service", False),
        ("ENABLE_DETERMINISTIC_HEAD_POD_NAME", "deterministic_head_pod_name", False),
        ("ENABLE_LOGIN_SHELL", "login_shell", False),
    ],
)
def test_a_switch_of_the_environment_moves_for_one_word_only(variable: str, field: str, default: bool) -> None:
    values = {
        text: getattr(OperatorOptions.from_environment({variable: text}), field) for text in ("TRUE", "False", "", "x")
    }
    assert values == {"TRUE": True, "False": False, "": default, "x": default}
    assert getattr(OperatorOptions.from_environment({}), field) is default


def test_a_pause_that_is_no_number_is_told_with_its_remedy() -> None:
    with pytest.raises(InputError) as caught:
        OperatorOptions.from_environment({"RAYCLUSTER_DEFAULT_REQUEUE_SECONDS_ENV": "soon"})
    assert str(caught.value) == (
        "RAYCLUSTER_DEFAULT_REQUEUE_SECONDS_ENV: 'soon' is not a number of seconds (give a whole number, such as 300)"
    )


def test_settings_hold_over_the_environment() -> None:
    environment = {
        "CLUSTER_DOMAIN": "a.org",
        "ENABLE_LOGIN_SHELL": "true",
        "RAYCLUSTER_DEFAULT_REQUEUE_SECONDS_ENV": "5",
    }
    options = OperatorOptions.from_environment(environment, login_shell=False, cluster_domain="b.org")
    assert (options.login_shell, options.cluster_domain, options.ray_cluster_requeue_s) == (False, "b.org", 5)
    plain = OperatorOptions.from_environment({"CLUSTER_DOMAIN": ""})
    assert (plain.cluster_domain, plain.ray_cluster_requeue_s) == ("cluster.local", 300)


def test_expectations_are_kept_by_namespace_cluster_and_group() -> None:
    expectations = ScaleExpectations()
    places = [("a", "rc", "g"), ("b", "rc", "g"), ("a", "other", "g"), ("a", "rc", "h")]

    def unsettled() -> list[tuple[str, str, str]]:
        return [place for place in places if not expectations.is_satisfied(*place, lambda name: name == "old", 0)]

    expectations.expect_create("a", "rc", "g", "new", 0)
    expectations.expect_delete("b", "rc", "g", "old")
    assert unsettled() == [("a", "rc", "g"), ("b", "rc", "g")]
    assert [expectations.awaits_any(*place[:2]) for place in places] == [True, True, False, True]
    expectations.forget_cluster("a", "rc")
    assert unsettled() == [("b", "rc", "g")]
    expectations.forget_cluster("b", "rc")
    assert unsettled() == []
    assert not any(expectations.awaits_any(*place[:2]) for place in places)


def test_a_pod_deleted_before_it_showed_is_awaited_as_deleted_only() -> None:
    expectations = ScaleExpectations()
    expectations.expect_create("a", "rc", "g", "p", 0)
    expectations.expect_delete("a", "rc", "g", "p")
    assert expectations.is_satisfied("a", "rc", "g", lambda name: False, 0)
    assert not expectations.awaits_any("a", "rc")


def test_what_has_shown_is_struck_off_one_by_one() -> None:
    expectations = ScaleExpectations()
    shown: list[str] = []
    for pod in ("p", "q"):
        expectations.expect_create("a", "rc", "g", pod, 0)
        expectations.expect_delete("a", "rc", "g", f"old-{pod}")

    def is_satisfied() -> bool:
        return expectations.is_satisfied("a", "rc", "g", lambda name: name in shown, 1)

    shown[:] = ["p", "old-q"]
    assert not is_satisfied()
    shown[:] = []
    assert not is_satisfied(), "p has been seen; q has not"
    shown[:] = ["q"]
    assert is_satisfied()
    shown[:] = ["old-p", "old-q"]
    assert is_satisfied(), "nobody waits for them any more"


def test_reconciles_that_fail_or_end_otherwise_are_told_in_the_trace(plane: Any) -> None:
    def act(run: int) -> Result:
        if run == 2:
            raise ReconcileError("no luck")
        if run == 3:
            raise ReconcilePanic("index out of range")
        return DONE if run == 6 else Result(2.0)

    start(plane, act)
    plane.create(RAY_CLUSTER, cluster("a"))
    plane.kernel.run(until_s=20)
    told = [
        (event.t_s, event.subject, event["controller"], event["outcome"], event["requeue_ms"])
        for event in plane.kernel.trace.select(Kind.RECONCILE)
    ]
    who = ("rayclusters/default/a", "test-controller")
    assert told == [
        (0.0, *who, "ok", 2000),
        (2.0, *who, "error: no luck", 5),
        (2.005, *who, "panic: index out of range", 10),
        (2.015, *who, "ok", 2000),
        (6.015, *who, "ok", 0),
    ]


def test_a_reconcile_that_wrote_is_told_though_it_ended_as_before(plane: Any) -> None:
    _, reconciler = start(plane, lambda run: Result(2.0))

    async def write(request: Request) -> Result:
        reconciler.client.writes += 1
        return Result(2.0)

    reconciler.reconcile = write  # type: ignore[method-assign]
    plane.create(RAY_CLUSTER, cluster("a"))
    plane.kernel.run(until_s=5)
    assert [event.t_s for event in plane.kernel.trace.select(Kind.RECONCILE)] == [0.0, 2.0, 4.0]


def test_the_actors_of_an_operator_are_called_after_it(plane: Any) -> None:
    manager, _ = start(plane, lambda run: DONE, reconcile_concurrency=3)
    plane.kernel.run(until_s=1)
    assert [task.name for task in manager._tasks] == [
        "operator/test-controller",
        "operator/test-controller/2",
        "operator/test-controller/3",
    ]
    assert manager.ended.is_set is False
    manager.crash()
    assert (manager.ended.is_set, manager.is_running) == (True, False)
    plane.kernel.run(until_s=2)
    assert all(task.is_done for task in manager._tasks)


def test_only_pods_of_ray_and_jobs_of_the_operator_are_cached(plane: Any) -> None:
    manager, _ = start(plane, lambda run: DONE)
    pods, jobs = manager.cache.informer(POD), manager.cache.informer(JOB)
    container = {"name": "ray", "image": "ray"}
    for name, labels in (
        ("head", {"ray.io/node-type": "head"}),
        ("worker", {"ray.io/node-type": "worker"}),
        ("cleanup", {"ray.io/node-type": "redis-cleanup"}),
        ("stranger", {"ray.io/node-type": "other"}),
        ("plain", {}),
    ):
        plane.create(POD, {"metadata": {"name": name, "labels": labels}, "spec": {"containers": [container]}})
    template = {"spec": {"containers": [container], "restartPolicy": "Never"}}
    for name, labels in (("mine", {"app.kubernetes.io/created-by": "kuberay-operator"}), ("other", {})):
        plane.create(JOB, {"metadata": {"name": name, "labels": labels}, "spec": {"template": template}})
    plane.kernel.run(until_s=1)
    assert [pod["metadata"]["name"] for pod in pods.select()] == ["cleanup", "head", "worker"]
    assert [job["metadata"]["name"] for job in jobs.select()] == ["mine"]


def test_an_operator_may_keep_to_one_namespace(plane: Any) -> None:
    _, reconciler = start(plane, lambda run: DONE, watch_namespace="kube-system")
    plane.create(RAY_CLUSTER, cluster("a"))
    plane.create(RAY_CLUSTER, cluster("b"), "kube-system")
    plane.kernel.run(until_s=1)
    assert [name for _, name in reconciler.runs] == ["b"]


def test_a_manager_is_at_work_where_a_key_of_that_type_is_being_reconciled(plane: Any) -> None:
    told: list[tuple[bool, bool, bool]] = []

    def act(run: int) -> Result:
        told.append(
            (
                manager.is_at_work(RAY_CLUSTER, "kube-system"),
                manager.is_at_work(RAY_CLUSTER, "default"),
                manager.is_at_work(JOB, "kube-system"),
            )
        )
        return DONE

    manager, _ = start(plane, act)
    plane.create(RAY_CLUSTER, cluster("a"), "kube-system")
    plane.kernel.run(until_s=1)
    assert told == [(True, False, False)]
    assert not manager.is_at_work(RAY_CLUSTER, "kube-system")
