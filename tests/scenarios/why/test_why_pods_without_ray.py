"""Why a pod is not ready, for every stage at which a pod can hang: literal stories of one cluster."""

from __future__ import annotations

import pytest
from why_telling import PROBE, answers, assert_told, details, pod, stages, story

from rayrig_core.objects import JsonObject
from rayrig_core.resource_types import ResourceType
from rayrig_scenarios.api import Rig
from rayrig_scenarios.why.stages import Stage

PRIORITY_CLASS = ResourceType("scheduling.k8s.io", "v1", "priorityclasses", "PriorityClass", False)


def cluster(*, nodes: int = 2) -> Rig:
    rig = Rig(seed=3)
    rig.node("n", count=nodes, cpu="4", memory="8Gi")
    return rig


@pytest.fixture(scope="module")
def crowd() -> Rig:
    """Pods of all kinds, ten seconds old."""
    rig = cluster()
    rig.apply(pod("flips", answers((0, "503:no"), (6, "200:ok"), (12, "503:no")), readinessProbe=PROBE))
    rig.apply(pod("slow", answers((0, "503:no")), startupProbe={**PROBE, "failureThreshold": 100}))
    rig.apply(pod("late", answers((0, "200:ok")), readinessProbe={**PROBE, "initialDelaySeconds": 40}))
    rig.apply(
        pod("thrice", answers((0, "200:ok")), readinessProbe={**PROBE, "periodSeconds": 7, "successThreshold": 3})
    )
    rig.apply(pod("nosuch", answers((0, "200:ok")), readinessProbe={"httpGet": {"path": "/", "port": "web"}}))
    rig.apply(pod("plain"))
    rig.apply(pod("crash", {"main": {"runs": [{"for": 1, "exit": 3, "message": "no database"}]}}))
    oom = {"main": {"runs": [{"for": 3, "exit": 137, "reason": "OOMKilled"}]}}
    rig.apply(pod("oom", oom, resources={"limits": {"memory": "64Mi"}}))
    rig.apply(pod("alive", answers((0, "200:ok"), (4, "500:no")), livenessProbe=PROBE))
    init = {"initContainers": [{"name": "first", "image": "web:1"}, {"name": "second", "image": "web:1"}]}
    rig.apply(pod("init-runs", {"first": {"runs": [{"for": 2, "exit": 0}]}}, init))
    rig.apply(
        pod(
            "init-fails",
            {"first": {"runs": [{"for": 2, "exit": 0}]}, "second": {"runs": [{"for": 1, "exit": 2}]}},
            init,
        )
    )
    rig.apply(pod("once", {"main": {"runs": [{"for": 2, "exit": 1}]}}, {"restartPolicy": "Never"}))
    rig.apply(pod("secret", envFrom=[{"secretRef": {"name": "none"}}]))
    rig.apply(pod("gate", spec={"readinessGates": [{"conditionType": "example.com/balanced"}]}))
    rig.apply(pod("held-back", spec={"schedulingGates": [{"name": "example.com/quota"}]}))
    rig.apply(pod("other", spec={"schedulerName": "mine"}))
    rig.apply(pod("big", resources={"requests": {"cpu": "8", "memory": "1Gi"}}))
    rig.apply(pod("picky", spec={"nodeSelector": {"zone": "a"}}))
    rig.sleep("10s")
    return rig


@pytest.mark.parametrize(
    ("name", "stage", "told", "particulars"),
    [
        pytest.param(
            "slow",
            Stage.STARTUP_PROBE,
            [
                "1.03 s: the startup probe of main fails",
                "its script says so: :8080/ready is answered 503:no from its start",
            ],
            [
                "it asks :8080/ready each 1 s, timeout 1 s; 100 failures in a row count",
                '1.03 to 10.03 s, every 1 s: failed 10 times, "HTTP probe failed with statuscode: 503"',
                "the next is due at 11.03 s",
            ],
            id="startup probe",
        ),
        pytest.param(
            "late",
            Stage.READINESS_PROBE,
            ["0.06 s: the readiness probe of main has not been made yet"],
            [
                "it asks :8080/ready each 1 s, timeout 1 s; 3 failures in a row count",
                "at the next turn of its 1 s from 40.00 s on: initialDelaySeconds is 40",
            ],
            id="initial delay",
        ),
        pytest.param(
            "nosuch",
            Stage.READINESS_PROBE,
            ["0.07 s: the readiness probe of main cannot be made"],
            [
                "it asks :web/ each 10 s, timeout 1 s; 3 failures in a row count",
                '0.07 and 0.58 s: could not be made twice, "strconv.Atoi: parsing "web": invalid syntax"',
                "the next is due at 10.58 s",
            ],
            id="a port that is not there",
        ),
        pytest.param(
            "crash",
            Stage.CRASHED,
            [
                "2.54 s: container main ended with code 3",
                "its script says so: it runs for 1 s and ends with 3",
            ],
            [
                "its last words: no database",
                "it has been started anew once; it ended at 1.05 s, 2.54 s",
                "it waits for the end of its back-off before it is started again",
            ],
            id="crash and back-off",
        ),
        pytest.param(
            "oom",
            Stage.CRASHED,
            [
                "6.71 s: container main was killed for want of memory (OOMKilled, code 137)",
                "its script says so: it runs for 3 s and ends as OOMKilled",
            ],
            [
                "its memory limit is 64Mi",
                "it has been started anew once; it ended at 3.06 s, 6.71 s",
                "it waits for the end of its back-off before it is started again",
            ],
            id="out of memory",
        ),
        pytest.param(
            "init-runs",
            Stage.INITIALIZING,
            ["2.51 s: init container second is still running"],
            [],
            id="init container runs",
        ),
        pytest.param(
            "init-fails",
            Stage.INITIALIZING,
            [
                "5.08 s: init container second ended with code 2",
                "its script says so: it runs for 1 s and ends with 2",
            ],
            [
                "it has been started anew once; it ended at 3.72 s, 5.08 s",
                "it waits for the end of its back-off before it is started again",
            ],
            id="init container fails",
        ),
        pytest.param(
            "once",
            Stage.ENDED,
            [
                "2.92 s: it has failed: a container ended with an error, and restartPolicy is Never",
                "its script says so: it runs for 2 s and ends with 1",
            ],
            ["main ended with code 1 (Error)"],
            id="restartPolicy Never",
        ),
        pytest.param(
            "secret",
            Stage.STARTING,
            ["0.09 s: container main cannot be started: CreateContainerConfigError"],
            ['secret "none" not found'],
            id="a Secret that is not there",
        ),
        pytest.param(
            "gate",
            Stage.READINESS_GATE,
            ["0.78 s: a readiness gate is closed: example.com/balanced is not set"],
            ["its containers are ready; whoever looks after a gate sets the condition of that name to True"],
            id="readiness gate",
        ),
        pytest.param(
            "held-back",
            Stage.UNSCHEDULED,
            ["0.08 s: its scheduling gates are closed: example.com/quota"],
            [],
            id="scheduling gate",
        ),
        pytest.param(
            "other",
            Stage.UNSCHEDULED,
            ["0.08 s: no scheduler called mine has looked at it"],
            ["pods are left to the scheduler that their schedulerName names"],
            id="another scheduler",
        ),
        pytest.param(
            "big",
            Stage.UNSCHEDULED,
            [
                "0.10 s: no node takes it: 0/2 nodes are available: 2 Insufficient cpu",
                "it asks for cpu 8, memory 1Gi; n-0, n-1: cpu: 4 of 4 free",
            ],
            ["preemption: 0/2 nodes are available: 2 Preemption is not helpful for scheduling."],
            id="too big for any node",
        ),
        pytest.param(
            "picky",
            Stage.UNSCHEDULED,
            [
                "0.11 s: no node takes it: 0/2 nodes are available: 2 node(s) didn't match Pod's node affinity/selector",
                "it fits nowhere; n-0, n-1: is not zone=a (it has no such label)",
            ],
            ["preemption: 0/2 nodes are available: 2 Preemption is not helpful for scheduling."],
            id="a label no node has",
        ),
    ],
)
def test_the_chain_of(crowd: Rig, name: str, stage: Stage, told: list[str], particulars: list[str]) -> None:
    chain = crowd.why(name)
    assert chain.stage is stage
    assert_told(story(chain), told)
    assert_told(details(chain), particulars)
    assert not chain.is_ready


def test_a_ready_pod_tells_since_when_and_what_its_probe_gets(crowd: Rig) -> None:
    chain = crowd.why("flips")
    assert chain.is_ready
    assert_told(story(chain), ["6.58 s: it is ready"])
    particulars = [
        "container main: it asks :8080/ready each 1 s, timeout 1 s; 3 failures in a row count",
        "6.58 to 9.58 s, every 1 s: succeeded 4 times",
    ]
    assert_told(details(chain)[:1], particulars[:1])
    assert_told(details(chain)[-1:], particulars[-1:])
    assert details(crowd.why("plain")) == ["main has no readiness probe: it is ready while it runs"]


def test_it_is_told_at_any_time_of_the_past(crowd: Rig) -> None:
    then = crowd.why("flips", "3.2s")
    assert then.stage is Stage.READINESS_PROBE
    told = "503:no from its start, 200:ok when it is 6 s old, 503:no when it is 12 s old"
    script = f"its script says so: :8080/ready is answered {told}"
    assert_told(story(then), ["0.04 s: the readiness probe of main fails", script])
    particulars = [
        "it asks :8080/ready each 1 s, timeout 1 s; 3 failures in a row count",
        '0.04 s: failed, "HTTP probe failed with statuscode: 503"',
        '0.58 to 2.58 s, every 1 s: failed 3 times, "HTTP probe failed with statuscode: 503"',
        "the next is due at 3.58 s",
    ]
    assert_told(details(then), particulars)
    expected = [
        "0.00 s: waits for a node",
        "0.02 s: its kubelet has not reported",
        "0.02 s: container not started main",
        "0.04 s: readiness probe main",
    ]
    assert_told(stages(then), expected)


def test_successes_are_counted_up_to_the_threshold(crowd: Rig) -> None:
    told = ["0.46 s: the readiness probe of main has succeeded 2 of the 3 times it takes"]
    assert_told(story(crowd.why("thrice", 5.0)), told)


def test_a_pod_that_has_succeeded_is_done_and_no_trouble() -> None:
    rig = cluster(nodes=1)
    rig.apply(pod("job", {"main": {"runs": [{"for": 2, "exit": 0}]}}, {"restartPolicy": "Never"}))
    rig.sleep("6s")
    chain = rig.why("job")
    assert chain.stage is Stage.DONE
    assert not chain.is_ready
    assert not chain.wants_ready
    assert chain.short() == "it has succeeded: it is done, and restartPolicy is Never"


def test_what_kills_a_container_is_told_with_its_probes() -> None:
    rig = cluster(nodes=1)
    rig.apply(pod("alive", answers((0, "200:ok"), (4, "500:no")), livenessProbe=PROBE))
    rig.sleep("23s")
    chain = rig.why("alive")
    assert chain.stage is Stage.CRASHED
    assert story(chain)[0].endswith("container main ended with code 143")
    assert story(chain)[1].endswith("its liveness probe failed, so the kubelet killed it")
    assert details(chain, 1)[-1].endswith('failed 3 times, "HTTP probe failed with statuscode: 500"')


def test_a_container_that_ends_by_itself_after_it_was_killed_once_is_not_told_as_killed() -> None:
    rig = cluster(nodes=1)
    script = answers((0, "200:ok"), (4, "500:no"))
    script["main"]["runs"] = [{}, {"for": 2, "exit": 5}]
    rig.apply(pod("both", script, livenessProbe=PROBE))
    rig.sleep("12s")
    killed, ended = rig.why("both", "7.5s"), rig.why("both")
    assert killed.is_ready or "liveness probe" in killed.cause
    script = "its script says so: it runs for 2 s and ends with 5"
    assert [link.text for link in ended.links] == ["container main ended with code 5", script]


def test_several_containers_each_say_what_they_wait_for() -> None:
    rig = cluster(nodes=1)
    two = pod("two", answers((0, "503:no")), readinessProbe=PROBE)
    two["spec"]["containers"].append({"name": "side", "image": "web:1", "readinessProbe": {"tcpSocket": {"port": 9}}})
    rig.apply(two)
    rig.sleep("5s")
    chain = rig.why("two")
    assert chain.verdict == "the readiness probe of main fails"
    assert details(chain)[-1] == "not ready either: side (readiness probe)"


def test_an_image_that_cannot_be_pulled_is_traced_to_the_fault() -> None:
    rig = cluster(nodes=1)
    rig.sleep("1s")
    rig.fault("image-pull-failure", image="web")
    rig.apply(pod("p"))
    rig.sleep("30s")
    chain = rig.why("p")
    assert chain.stage is Stage.IMAGE
    assert [text.partition(": ")[2] for text in story(chain)] == [
        "image web:1 of container main cannot be pulled",
        "fault image-pull-failure struck images/web: ErrImagePull",
    ]
    assert details(chain)[-1].startswith("pulls failed twice: at ")


def test_an_image_that_waits_for_another_says_for_which() -> None:
    rig = cluster(nodes=1)
    rig.calibrate(image_pull="20s")
    rig.apply(pod("first", image="big:1"))
    rig.sleep("2s")
    rig.apply(pod("second", image="small:1"))
    rig.sleep("3s")
    assert story(rig.why("first"))[0].endswith("image big:1 of container main is being pulled")
    assert [text.partition(": ")[2] for text in story(rig.why("second"))] == [
        "image small:1 of container main waits for its turn to be pulled",
        "n-0 pulls image big:1 for pod first",
    ]


def test_numbers_of_each_node_and_who_takes_them() -> None:
    rig = Rig(seed=3)
    rig.node("small", cpu="2", memory="4Gi")
    rig.node("gpu", cpu="8", memory="32Gi", gpus=1)
    rig.node("spot", cpu="8", memory="32Gi", gpus=4, taints=["spot=true:NoSchedule"])
    gpu = {"limits": {"nvidia.com/gpu": "1"}, "requests": {"cpu": "1500m"}}
    rig.apply(pod("holder", resources=gpu))
    rig.sleep("2s")
    rig.apply(pod("waiter", resources=gpu))
    rig.cordon("small-0")
    rig.sleep("2s")
    chain = rig.why("waiter")
    assert chain.links[1].text == "it asks for nvidia.com/gpu 1, cpu 1500m, and each node lacks something"
    assert details(chain, 1) == [
        "gpu-0: nvidia.com/gpu: 0 of 1 free, taken by holder",
        "small-0: is cordoned",
        "spot-0: has the taint spot=true:NoSchedule, which it does not tolerate",
    ]


def test_a_lost_node_is_traced_to_the_fault_and_says_when_the_pod_goes() -> None:
    rig = cluster()
    rig.apply(pod("p", {"main": {}}))
    rig.sleep("5s")
    rig.fault("node-loss", pod="p")
    rig.sleep("20s")
    assert rig.why("p").is_ready, "nobody knows yet"
    rig.sleep("40s")
    chain = rig.why("p")
    assert chain.stage is Stage.NODE
    assert [text.partition(": ")[2] for text in story(chain)] == [
        "its node n-0 is silent: its kubelet reports nothing any more",
        "node n-0 is lost (power lost)",
        "fault node-loss struck node n-0",
    ]
    assert details(chain)[0] == "NodeStatusUnknown: Kubelet stopped posting node status."
    assert details(chain)[1].endswith("when its toleration of node.kubernetes.io/unreachable ends (300 s)")
    rig.sleep("330s")
    evicted = rig.why("p")
    assert evicted.stage is Stage.DELETION
    assert [link.text for link in evicted.links][:3] == [
        "it is being deleted by the taint eviction controller",
        "nobody stops its containers, so it stays",
        "its node n-0 is silent: its kubelet reports nothing any more",
    ]


def test_a_deleted_node_takes_its_pods_along() -> None:
    rig = cluster()
    rig.apply(pod("p", {"main": {}}))
    rig.sleep("5s")
    rig.delete("Node", "n-0")
    rig.sleep("5s")
    assert rig.why("p").short() == "it is ready, but its node n-0 does not exist, because node n-0: deleted"
    rig.sleep("90s")
    chain = rig.why("p")
    assert chain.stage is Stage.GONE
    assert [link.text for link in chain.links] == [
        "it is gone: deleted by the garbage collector of pods",
        "its node does not exist any more",
        "its node n-0 does not exist",
        "node n-0: deleted",
    ]


def test_a_drain_is_named_as_what_evicted_the_pod() -> None:
    rig = cluster()
    rig.apply(pod("p", {"main": {"term": "ignore"}}))
    rig.sleep("5s")
    rig.fault("node-drain", node="n-0")
    rig.sleep("3s")
    chain = rig.why("p")
    assert chain.stage is Stage.DELETION
    assert [link.text for link in chain.links] == [
        "it is being deleted by a drain",
        "it was evicted by a request (a drain, or another tool that asks for evictions)",
        "node n-0 is draining",
        "fault node-drain struck node n-0",
    ]
    assert details(chain) == [
        "main may run until 35.03 s, the end of its grace of 30 s",
        "its condition Ready is True still, but no Service sends new connections to it",
    ]


def test_a_preempted_pod_names_the_one_that_needs_its_room() -> None:
    rig = cluster(nodes=1)
    name = {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": "vip"}, "value": 1000}
    rig._do(rig.world.client("test").create(PRIORITY_CLASS, name))
    needs = {"requests": {"cpu": "3"}}
    rig.apply(pod("low", {"main": {"term": "ignore"}}, resources=needs))
    rig.sleep("5s")
    rig.apply(pod("high", spec={"priorityClassName": "vip"}, resources=needs))
    rig.sleep("3s")
    assert [link.text for link in rig.why("low").links] == [
        "it is being deleted by the scheduler",
        "the scheduler made room for a pod of higher priority",
        "pod high needs the room: its priority is 1000, that of this one 0",
    ]
    assert [link.text for link in rig.why("high").links] == [
        "no node takes it: 0/1 nodes are available: 1 Insufficient cpu",
        "it asks for cpu 3; n-0: cpu: 1 of 4 free, taken by low",
        "pods of lower priority are being removed from n-0 to make room for it",
    ]


def test_asking_changes_nothing() -> None:
    def run(*, asks: bool) -> str:
        rig = cluster(nodes=1)
        rig.apply(pod("flips", answers((0, "503:no"), (6, "200:ok")), readinessProbe=PROBE))
        for _ in range(5):
            rig.sleep("2s")
            if asks:
                rig.why("flips")
                rig.why_each("1s")
        return rig.digest

    assert run(asks=True) == run(asks=False)


#: What a probe gets, and what the chain makes of it.
SCRIPTED = [
    ("http", {"8080": {"/healthz": 200}}, ":8080 has no answer to /ready, which is 404; it knows /healthz"),
    ("http", {"9090": 200}, "nobody listens on :8080; it listens on :9090"),
    ("http", {"8080": "hang"}, ":8080/ready is answered by nothing from its start"),
    ("http", {"8080": {"/ready": 200, "listen": [[0, False], [60, True]]}},
     ":8080/ready is answered 200 from its start; it listens on :8080: no from its start, yes when it is 60 s old"),
]  # fmt: skip


@pytest.mark.parametrize(("field", "script", "cause"), SCRIPTED)
def test_a_probe_is_traced_to_the_script(field: str, script: JsonObject, cause: str) -> None:
    rig = cluster(nodes=1)
    rig.apply(pod("p", {"main": {field: script}}, readinessProbe=PROBE))
    rig.sleep("10s")
    assert rig.why("p").cause == f"its script says so: {cause}"


def test_commands_and_grpc_are_traced_to_the_script() -> None:
    rig = cluster(nodes=1)
    says_no = {"exec": [{"match": "check", "schedule": {"0": {"exit": 1, "out": "not yet"}}}]}
    rig.apply(pod("command", {"main": says_no}, readinessProbe={"exec": {"command": ["check", "--all"]}}))
    rig.apply(pod("grpc", {"main": {"grpc": {"9100": "NOT_SERVING"}}}, readinessProbe={"grpc": {"port": 9100}}))
    rig.sleep("10s")
    assert rig.why("command").cause == 'its script says so: commands with "check" get exit code 1 from its start'
    assert rig.why("grpc").cause == "its script says so: :9100 says NOT_SERVING from its start"


def test_without_a_script_nobody_listens() -> None:
    rig = cluster(nodes=1)
    rig.apply(pod("p", readinessProbe=PROBE))
    rig.sleep("30s")
    assert rig.why("p").cause == "no script says what main answers, so nobody listens"


def test_what_keeps_a_scripted_container_from_its_start_is_told() -> None:
    rig = cluster(nodes=1)
    rig.script(pod="pull", pull=[{"delay": "2s", "error": "manifest unknown"}, {}])
    rig.script(pod="sandbox", sandbox={"error": "no addresses left", "times": 100})
    rig.script(pod="create", runs={"create-error": "no such device"})
    rig.script(pod="init", container="setup", runs={"for": "5m"})
    for name in ("pull", "sandbox", "create"):
        rig.apply(pod(name, image=f"{name}:1"))
    rig.apply(pod("init", spec={"initContainers": [{"name": "setup", "image": "web:1"}]}))
    rig.sleep("8s")
    assert {chain.pod: chain.cause for chain in rig.why_each()} == {
        "pull": 'its script says so: its pulls end after 2 s with "manifest unknown", then at once',
        "sandbox": 'its script says so: "no addresses left", the first 100 times',
        "create": 'its script says so: it is not started, "no such device"',
        "init": "its script says so: it runs for 300 s",
    }


def test_claims_that_are_not_bound_are_told() -> None:
    rig = cluster(nodes=1)
    asked = {"storageClassName": "", "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    rig.apply({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "c"}, "spec": asked})
    for name, claim in (("waits", "c"), ("lost", "nowhere")):
        rig.apply(pod(name, spec={"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": claim}}]}))
    rig.sleep("5s")
    waits = rig.why("waits")
    assert waits.cause == "PersistentVolumeClaim c is not bound: it has no storage class"
    reason = "FailedBinding: no persistent volumes available for this claim and no storage class is set"
    assert details(waits, -1) == [reason]
    assert rig.why("lost").cause == "there is no PersistentVolumeClaim nowhere"
