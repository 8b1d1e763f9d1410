"""The scenarios of the group e2e: each holds, shows what KubeRay's test looks at, and fails where that is broken."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from functools import cache
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from rayrig_backends.memory import MemoryWorld
from rayrig_backends.world import World, WorldSpec
from rayrig_core.objects import JsonObject
from rayrig_core.resource_types import RAY_SERVICE
from rayrig_core.timestamps import NS
from rayrig_core.trace import Kind
from rayrig_scenarios.language.load import bundled_scenarios, load, load_text
from rayrig_scenarios.results import RunResult, Verdict, what_broke
from rayrig_scenarios.runner import run

FOLDER = Path(str(files("rayrig_scenarios") / "library" / "e2e"))
NAMES = [name.removeprefix("e2e/") for name in bundled_scenarios("e2e")]
TABLE = Path(__file__).parents[2] / "docs" / "e2e-equivalents.md"


class Run:
    """A scenario performed while somebody watches the RayService."""

    def __init__(self, name: str) -> None:
        #: Each form of the status, with its time in ns.
        self.statuses: list[tuple[int, JsonObject]] = []
        self.result: RunResult = run(load(f"e2e/{name}"), world_factory=self._world)

    def _world(self, spec: WorldSpec) -> World:
        world = MemoryWorld(spec)
        world.spawn("observer", self._watch(world))
        return world

    async def _watch(self, world: MemoryWorld) -> None:
        stream = await world.client("observer").watch(RAY_SERVICE, "default")
        while True:
            status = (await stream.next()).object.get("status") or {}
            self.statuses.append((world.kernel.monotonic_ns(), status))

    # What there was

    def when(self, what: Kind, /, **data: Any) -> list[int]:
        """Times of such events in ns."""
        return [
            event.t_ns
            for event in self.result.trace.select(what)
            if all(event[name] == value for name, value in data.items())
        ]

    def events(self, reason: str) -> int:
        return len(self.when(Kind.EVENT, reason=reason))

    def served_by(self) -> Counter[str]:
        """Requests of the traffic that were answered, by pod."""
        found = self.result.trace.select(Kind.REQUEST)
        return Counter(str(event["pod"]) for event in found if event["fate"] == "ok")

    def clusters(self) -> list[str]:
        """Ray clusters in the order in which they were named in the status."""
        slots = (
            (status.get(slot) or {}).get("rayClusterName")
            for _, status in self.statuses
            for slot in ("activeServiceStatus", "pendingServiceStatus")
        )
        return list(dict.fromkeys(name for name in slots if name))

    def served_clusters(self) -> set[str]:
        """Ray clusters whose pods answered."""
        return {cluster for cluster in self.clusters() for pod in self.served_by() if pod.startswith(cluster)}

    def changed_ns(self, *path: str) -> list[int]:
        """Times at which a field of the status got another value."""
        times, last = [], None
        for t_ns, status in self.statuses:
            value: Any = status
            for part in path:
                value = (value or {}).get(part)
            if value != last:
                times.append(t_ns)
                last = value
        return times

    def steps(self) -> list[tuple[int, int, int, int]]:
        """Capacities and then traffic of the first and the second cluster, each time they changed while there were both."""
        found: list[tuple[int, int, int, int]] = []
        first = self.clusters()[0]
        for _, status in self.statuses:
            slots = [status.get(f"{slot}ServiceStatus") or {} for slot in ("active", "pending")]
            now = {slot["rayClusterName"]: slot for slot in slots if slot.get("rayClusterName")}
            others = [slot for name, slot in now.items() if name != first]
            if first not in now or not others:
                continue
            both = (now[first], others[0])
            capacity = tuple(slot.get("targetCapacity", default) for slot, default in zip(both, (100, 0), strict=True))
            traffic = tuple(
                slot.get("trafficRoutedPercent", default) for slot, default in zip(both, (100, 0), strict=True)
            )
            step = (*capacity, *traffic)
            if not found or found[-1] != step:
                found.append(step)  # type: ignore[arg-type]
        return found

    def traffic_moved_at(self) -> list[datetime]:
        """When the second cluster got another share of the traffic, as its status says."""
        slots = (status.get("pendingServiceStatus") or {} for _, status in self.statuses)
        moved = dict.fromkeys(slot["lastTrafficMigratedTime"] for slot in slots if slot.get("lastTrafficMigratedTime"))
        return [datetime.fromisoformat(text) for text in moved]

    def fates(self) -> dict[str, int]:
        return dict(sum((Counter(one.fates) for one in self.result.requests.values()), Counter()))


@cache
def performed(name: str) -> Run:
    return Run(name)


@pytest.mark.parametrize("name", NAMES)
def test_it_holds(name: str) -> None:
    result = performed(name).result
    assert result.verdict is Verdict.PASS, "\n".join(what_broke(result))
    assert result.scenario.file.expect
    assert set(performed(name).fates()) <= {"ok"}


@pytest.mark.parametrize("name", NAMES)
def test_it_is_called_like_its_file_and_says_why_it_is_there(name: str) -> None:
    scenario = load(f"e2e/{name}")
    assert scenario.name == f"e2e/{name}"
    assert len(scenario.description.split()) > 15
    assert not scenario.warnings


def test_each_is_in_the_table_of_equivalents_and_no_other() -> None:
    assert set(re.findall(r"`e2e/([\w-]+)`", TABLE.read_text(encoding="utf-8"))) == set(NAMES)


# The decisive facts, each seen by somebody other than the scenario's own conditions


def static_under_load(seen: Run) -> None:
    assert len(seen.served_by()) == 2, "head and worker both answer"
    assert seen.events("CreatedRayCluster") == 1


def autoscaling_under_burst(seen: Run) -> None:
    assert seen.events("CreatedWorkerPod") == 5, "one, and in the burst four more: the group's maximum"
    assert seen.result.usage.peak("pods") == 6


def zero_downtime_upgrade_under_load(seen: Run) -> None:
    assert len(seen.served_clusters()) == 2


def gcs_fault_tolerance(seen: Run) -> None:
    (killed,) = seen.when(Kind.FAULT, kind="gcs-kill")
    (gone,) = seen.when(Kind.RAY, component="head", state="gone")
    assert round((gone - killed) / NS) == 20, "as RAY_gcs_rpc_server_reconnect_timeout_s says"
    assert len(seen.when(Kind.RAY, component="gcs", state="recovered")) == 1
    assert len(seen.served_by()) == 1


def deletion_delay(seen: Run) -> None:
    (switched,) = seen.changed_ns("activeServiceStatus", "rayClusterName")[1:]
    deleted = seen.result.steps[-1].ended_ns or 0
    assert 10 <= (deleted - switched) / NS <= 13


def in_place_update(seen: Run) -> None:
    assert seen.events("UpdatedServeApplications") == 2
    assert len(seen.clusters()) == 1


def update_config_and_cluster(seen: Run) -> None:
    assert seen.events("UpdatedServeApplications") == 2, "one for each Ray cluster"
    assert len(seen.clusters()) == 2


def update_without_upgrade(seen: Run) -> None:
    assert seen.events("UpdatedServeApplications") == 2
    assert seen.clusters() == [seen.result.objects["rayclusters"][0]["metadata"]["name"]]


def ready_before_initializing_timeout(seen: Run) -> None:
    assert seen.events("RayServiceInitializingTimeout") == 0
    assert seen.result.simulated_ns > 600 * NS


def initializing_timeout(seen: Run) -> None:
    assert seen.events("RayServiceInitializingTimeout") == 1
    assert seen.events("CreatedRayCluster") == 1


def redeploy(seen: Run) -> None:
    assert seen.events("CreatedHeadPod") == 2
    assert seen.events("UpdatedServeApplications") == 2


def suspend_and_resume(seen: Run) -> None:
    assert len(seen.clusters()) == 2


def suspend_is_atomic(seen: Run) -> None:
    def of(status: JsonObject, name: str) -> str:
        return next((each["status"] for each in status.get("conditions") or () if each["type"] == name), "")

    told = [(of(status, "Suspending"), of(status, "Suspended")) for _, status in seen.statuses]
    order = [each for index, each in enumerate(told) if not index or told[index - 1] != each]
    assert order[-3:] == [("True", ""), ("False", "True"), ("False", "False")]
    assert len(seen.clusters()) == 2


def created_suspended(seen: Run) -> None:
    (created,) = seen.when(Kind.EVENT, reason="CreatedRayCluster")
    assert created > 30 * NS


def suspend_during_upgrade(seen: Run) -> None:
    assert len(seen.clusters()) == 3


def old_head_fails_during_upgrade(seen: Run) -> None:
    counts = [status.get("numServeEndpoints", 0) for _, status in seen.statuses]
    order = [count for index, count in enumerate(counts) if not index or counts[index - 1] != count]
    assert order == [0, 1, 0, 1]


def name_too_long(seen: Run) -> None:
    assert seen.result.objects["rayclusters"] == []
    assert seen.result.objects["pods"] == []


def managed_by(seen: Run) -> None:
    assert seen.events("CreatedRayCluster") == 1


def auth_token(seen: Run) -> None:
    assert len(seen.result.objects["pods"]) == 1


def sample(seen: Run) -> None:
    (service,) = seen.result.objects["rayservices"]
    statuses = service["status"]["activeServiceStatus"]["applicationStatuses"]
    assert {application["status"] for application in statuses.values()} == {"RUNNING"}


def operator_upgrade(seen: Run) -> None:
    assert len(seen.when(Kind.FAULT, kind="operator-crash")) == 2, "down and up again"
    assert seen.events("CreatedRayCluster") == 2
    assert len(seen.served_clusters()) == 2


def incremental(step: int, interval_s: int, surge: int) -> Callable[[Run], None]:
    def facts(seen: Run) -> None:
        steps = seen.steps()
        for before, after in pairwise(steps):
            assert after[0] <= before[0], "the old one's capacity never grows"
            assert after[2] <= before[2], "nor its traffic"
            assert after[1] >= before[1], "the new one's capacity never shrinks"
            assert after[3] >= before[3], "nor its traffic"
        assert sorted({each[3] for each in steps}) == list(range(0, 101, step))
        assert sorted({each[1] for each in steps}) == list(range(0, 101, surge))
        moves = seen.traffic_moved_at()
        assert 100 // step <= len(moves) <= 100 // step + 1, "it is set with the first weights, too"
        assert all((later - sooner).total_seconds() >= interval_s for sooner, later in pairwise(moves))
        assert len(seen.served_clusters()) == 2

    return facts


def rollback(clusters: int, *, back: bool) -> Callable[[Run], None]:
    def facts(seen: Run) -> None:
        assert len(seen.clusters()) == clusters
        shares = [step[2] for step in seen.steps()]
        turned = [after > before for before, after in pairwise(shares)]
        assert any(turned) == back, "traffic went back to the first cluster"
        for step in seen.steps():
            assert step[2] + step[3] == 100

    return facts


def suspend_during_incremental_upgrade(seen: Run) -> None:
    assert len(seen.clusters()) == 3
    for resource in ("gateways", "httproutes"):
        verbs = [event["verb"] for event in seen.result.trace.select(Kind.API_WRITE) if event["resource"] == resource]
        assert [verb for verb in verbs if verb in ("create", "delete")] == ["create", "delete", "create"]


FACTS: dict[str, Callable[[Run], None]] = {
    "static-under-load": static_under_load,
    "autoscaling-under-burst": autoscaling_under_burst,
    "zero-downtime-upgrade-under-load": zero_downtime_upgrade_under_load,
    "gcs-fault-tolerance": gcs_fault_tolerance,
    "deletion-delay": deletion_delay,
    "in-place-update": in_place_update,
    "update-config-and-cluster": update_config_and_cluster,
    "update-without-upgrade": update_without_upgrade,
    "ready-before-initializing-timeout": ready_before_initializing_timeout,
    "initializing-timeout": initializing_timeout,
    "redeploy": redeploy,
    "suspend-and-resume": suspend_and_resume,
    "suspend-is-atomic": suspend_is_atomic,
    "created-suspended": created_suspended,
    "suspend-during-upgrade": suspend_during_upgrade,
    "old-head-fails-during-upgrade": old_head_fails_during_upgrade,
    "name-too-long": name_too_long,
    "managed-by": managed_by,
    "auth-token": auth_token,
    "sample": sample,
    "sample-custom-serve-service": sample,
    "sample-different-port": sample,
    "sample-high-availability": sample,
    "operator-upgrade": operator_upgrade,
    "incremental-blue-green": incremental(100, 1, 100),
    "incremental-aggressive": incremental(25, 5, 50),
    "incremental-conservative": incremental(5, 10, 25),
    "incremental-blue-green-under-load": incremental(100, 1, 100),
    "incremental-aggressive-under-load": incremental(25, 5, 50),
    "incremental-conservative-under-load": incremental(5, 10, 25),
    "rollback-basic": rollback(2, back=True),
    "rollback-basic-under-load": rollback(2, back=True),
    "rollback-cancelled": rollback(2, back=True),
    "rollback-cancelled-under-load": rollback(2, back=True),
    "rollback-third-spec": rollback(3, back=True),
    "rollback-third-spec-under-load": rollback(3, back=True),
    "rollback-of-unhealthy-cluster": rollback(2, back=True),
    "rollback-early": rollback(2, back=True),
    "rollback-early-under-load": rollback(2, back=True),
    "rollback-late": rollback(2, back=True),
    "rollback-late-under-load": rollback(2, back=True),
    "rollback-before-traffic": rollback(2, back=False),
    "rollback-before-traffic-under-load": rollback(2, back=False),
    "suspend-during-incremental-upgrade": suspend_during_incremental_upgrade,
}


@pytest.mark.parametrize("name", NAMES)
def test_the_decisive_facts_are_so(name: str) -> None:
    FACTS[name](performed(name))


# Planted breaks: the text of a scenario with one thing other than it should be, and what then does not come true

_BROKEN_APPLICATION = (
    "\nsteps:\n",
    "\napplications: {fruit.deployment_graph: {fails-with: no fruit today}}\n\nsteps:\n",
)
_LOST_POD = (
    "  - sleep: 15s\n",
    "  - sleep: 15s\n  - fault: {kind: pod-kill, role: worker, grace: 0s}\n",
)

BREAKS: dict[str, tuple[str, str, str]] = {
    "static-under-load": (
        "- sleep: 150s",
        "- sleep: 10s\n  - fault: proxy-hang\n  - sleep: 140s",
        "most frequent failure",
    ),
    "autoscaling-under-burst": ("factor: 12,", "factor: 1,", "total 1, wanted > 1"),
    "zero-downtime-upgrade-under-load": (
        'spec.rayClusterConfig.rayVersion: ""',
        "metadata.labels: {a: b}",
        "UpgradeInProgress",
    ),
    "gcs-fault-tolerance": ("- fault: gcs-kill", "- fault: {kind: head-crash, mode: pod}", "no Pod orchard-"),
    "deletion-delay": ("DelaySeconds: 10", "DelaySeconds: 5", "no longer after"),
    "in-place-update": ("set:\n", "set:\n        spec.rayClusterConfig.rayVersion: 2.53.0\n", "wanted 1"),
    "update-config-and-cluster": ("[{name: FOO, value: BAR}]", "[]", "UpgradeInProgress"),
    "update-without-upgrade": ("type: None", "type: NewCluster", "wanted 1"),
    "ready-before-initializing-timeout": ("10m}}", "5s}}", "InitializingTimeout"),
    "initializing-timeout": (": 10s\n", ": 10m\n", "Ready is False: Initializing"),
    "redeploy": ("- delete: Pod/$(head)", "- sleep: 1s", "is still among them"),
    "suspend-and-resume": ("suspend: true", "suspend: false", "no condition Suspended"),
    "suspend-is-atomic": ("value: [example.com/kept]", "value: []", "no longer after"),
    "created-suspended": ("spec.suspend: true", "spec.suspend: false", "no condition Suspended"),
    "suspend-during-upgrade": ("2.52.0-upgrade}}", "2.52.0}}", "no pending cluster"),
    "old-head-fails-during-upgrade": ("- fault: {kind: proxy-hang, role: head}", "- sleep: 1s", "wanted no answer"),
    "name-too-long": ("a" * 48, "a" * 47, "Ready is True"),
    "managed-by": ("managedBy: kueue.x-k8s.io/multikueue}", "managedBy: ray.io/kuberay-operator}", "no longer after"),
    "auth-token": ("spec.rayClusterConfig.authOptions: {mode: token}", "metadata.labels: {a: b}", "is absent"),
    "sample": (*_BROKEN_APPLICATION, "serviceStatus"),
    "sample-custom-serve-service": ("name: stalls-by-the-road, labels", "labels", "no such host"),
    "sample-different-port": ("port: 9000, path", "port: 8000, path", "no answer"),
    "sample-high-availability": (*_BROKEN_APPLICATION, "serviceStatus"),
    "operator-upgrade": (
        "{kind: operator-crash, restart-after: 20s}",
        "{kind: node-loss, role: worker}",
        "no longer after",
    ),
    "incremental-blue-green": ("user_config.price: 4", "user_config.price: 5", "wanted 8"),
    "incremental-aggressive": ("stepSizePercent: 25", "stepSizePercent: 50", "trafficRoutedPercent"),
    "incremental-conservative": ("maxSurgePercent: 25", "maxSurgePercent: 50", "targetCapacity"),
    "incremental-blue-green-under-load": (*_LOST_POD, "failed"),
    "incremental-aggressive-under-load": (*_LOST_POD, "failed"),
    "incremental-conservative-under-load": (*_LOST_POD, "failed"),
    "rollback-third-spec": ("requests.cpu: 600m", "requests.cpu: 700m", 'is "700m"'),
    "suspend-during-incremental-upgrade": ("spec.suspend: true", "spec.suspend: false", "no condition Suspended"),
}
_STAYS = ('resources.requests.cpu: "2"', "resources.requests.cpu: 500m")
for _name in ("basic", "early", "late", "of-unhealthy-cluster"):
    BREAKS[f"rollback-{_name}"] = (*_STAYS, "no condition RollbackInProgress")
BREAKS["rollback-before-traffic"] = (*_STAYS, "is still there")
BREAKS["rollback-cancelled"] = ("requests.cpu: 500m", 'requests.cpu: "2"', 'is "2"')
for _name in ("basic", "early", "late", "before-traffic", "cancelled", "third-spec"):
    BREAKS[f"rollback-{_name}-under-load"] = (*_LOST_POD, "failed")


@pytest.mark.parametrize("name", NAMES)
def test_it_fails_where_what_it_looks_at_is_broken(name: str) -> None:
    old, new, told = BREAKS[name]
    text = (FOLDER / f"{name}.yaml").read_text(encoding="utf-8")
    before, found, after = text.rpartition(old)
    assert found
    broken = f"{before}{new}{after}" if name.startswith("rollback-") else text.replace(old, new)
    result = run(load_text(broken, f"{name}.yaml", folder=FOLDER))
    assert result.verdict is Verdict.FAIL
    assert any(told in f"{title}: {detail}" for title, detail in _told(result)), _told(result)


def _told(result: RunResult) -> list[tuple[str, str]]:
    steps = [(record.title, record.detail) for record in result.steps if record.state.value == "failed"]
    return steps + [(record.title, record.detail) for record in result.expectations if record.verdict is Verdict.FAIL]
