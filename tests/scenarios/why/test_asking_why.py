"""Which pod is meant, at what time; the chain as JSON; what a failed run says of its pods."""

from __future__ import annotations

import json

import pytest
from why_telling import PROBE, answers, pod

from rayrig_core.errors import InputError
from rayrig_scenarios.api import Broken, Rig
from rayrig_scenarios.results import what_broke
from rayrig_scenarios.why.names import chosen_pod
from rayrig_scenarios.why.stages import Stage

KEYS = ["default/web-1", "default/web-10", "default/db-0", "other/web-1"]


@pytest.mark.parametrize(
    ("wanted", "namespace", "key"),
    [
        ("web-1", "default", "default/web-1"),
        ("default/web-1", "", "default/web-1"),
        ("other/web", "", "other/web-1"),
        ("pod/db", "", "default/db-0"),
        ("pods/db-0", "", "default/db-0"),
        ("b-0", "", "default/db-0"),
        ("web", "other", "other/web-1"),
        ("-10", "", "default/web-10"),
    ],
)
def test_a_pod_is_named_by_as_much_as_only_it_has(wanted: str, namespace: str, key: str) -> None:
    assert chosen_pod(wanted, KEYS, namespace) == key


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        ("web", 'POD: "web" may be 3 pods (name one of default/web-1, default/web-10, other/web-1)'),
        ("web-1", 'POD: "web-1" may be 2 pods (name one of default/web-1, other/web-1)'),
        ("default/web-", 'POD: "default/web-" may be 2 pods (name one of web-1, web-10)'),
        ("api", 'POD: there is no pod "api" (there are default/db-0, default/web-1, default/web-10, other/web-1)'),
        ("nowhere/web", 'POD: there is no pod "nowhere/web" (there are no pods)'),
        ("", "POD: which pod? (there are default/db-0, default/web-1, default/web-10, other/web-1)"),
    ],
)
def test_what_fits_none_or_several_lists_the_candidates(wanted: str, told: str) -> None:
    with pytest.raises(InputError) as error:
        chosen_pod(wanted, KEYS)
    assert str(error.value) == told


@pytest.fixture(scope="module")
def rig() -> Rig:
    rig = Rig(seed=3)
    rig.node("n", cpu="4", memory="8Gi")
    rig.apply(pod("web", answers((0, "503:no")), readinessProbe=PROBE))
    rig.sleep("3s")
    rig.delete("Pod", "web")
    rig.sleep("4s")
    rig.apply(pod("web", answers((0, "200:ok")), readinessProbe=PROBE))
    rig.sleep("3s")
    return rig


def test_a_name_that_was_given_twice_means_the_pod_that_had_it_then(rig: Rig) -> None:
    assert rig.why("web", "2s").stage is Stage.READINESS_PROBE
    assert rig.why("web", "3.01s").short() == "it is being deleted by the test"
    assert rig.why("web", "6s").stage is Stage.GONE
    assert rig.why("web").is_ready
    assert len(rig.why("web").unready) == 1, "of this pod, not of the one before it"


def test_a_pod_is_given_as_object_too(rig: Rig) -> None:
    assert rig.why(rig.objects("Pod")[0]) == rig.why("default/web")


@pytest.mark.parametrize(
    ("at", "told"),
    [
        (90.0, "at: the run has no 90 s: it ends at 10.02 s (give a time within the run)"),
        ("90s", "at: the run has no 90 s: it ends at 10.02 s (give a time within the run)"),
        (-1.0, "at: the run has no -1 s: it ends at 10.02 s (give a time within the run)"),
        ("soon", 'at: "soon" is no duration (write one such as 30s, 1m30s or 250ms)'),
    ],
)
def test_times_outside_the_run_are_refused(rig: Rig, at: str | float, told: str) -> None:
    with pytest.raises(InputError) as error:
        rig.why("web", at)
    assert str(error.value) == told


def test_the_chain_as_json(rig: Rig) -> None:
    value = json.loads(json.dumps(rig.why("web", "2s").as_json_value()))
    assert value.pop("unready")[0]["stages"][-1] == {
        "stage": "readiness probe",
        "what": "main",
        "from": pytest.approx(0.04, abs=0.05),
        "to": None,
    }
    link, script = value.pop("chain")
    assert script["text"].startswith("its script says so: :8080/ready is answered 503")
    assert link["text"] == "the readiness probe of main fails"
    assert link["details"][-1].startswith("the next is due at 2.")
    assert value == {
        "namespace": "default",
        "pod": "web",
        "node": "n-0",
        "at": 2.0,
        "ready": False,
        "stage": "readiness probe",
        "since": pytest.approx(0.03, abs=0.05),
    }


def test_a_failed_run_says_why_pods_are_not_ready_and_how_to_ask_for_more() -> None:
    result = Rig(seed=0).run("too-few-gpus", check=False)
    lines = what_broke(result)
    assert lines[-5:-2] == [
        f"pod {one.name} is not ready: no node takes it: 0/2 nodes are available: 1 Insufficient nvidia.com/gpu, "
        "1 node(s) didn't match Pod's node affinity/selector, because it asks for cpu 4, memory 16Gi, "
        "nvidia.com/gpu 1, and each node lacks something"
        for one in result.unready[:3]
    ]
    assert lines[-2:] == [
        f"all of it: rayrig why {result.unready[0].name} --scenario too-few-gpus --seed 0",
        "replay: rayrig run too-few-gpus --seed 0",
    ]


def test_what_does_not_come_true_says_which_pods_are_in_the_way() -> None:
    rig = Rig(seed=3)
    rig.node("n", cpu="4", memory="8Gi")
    rig.apply(pod("big", resources={"requests": {"cpu": "8"}}))
    with pytest.raises(Broken) as broken:
        rig.wait({"pods": {"ready": 1}}, timeout="5s")
    assert str(broken.value).splitlines() == [
        "not within 5 s: ready 0, wanted 1",
        (
            "pod big is not ready: no node takes it: 0/1 nodes are available: 1 Insufficient cpu, "
            "because it asks for cpu 8; n-0: cpu: 4 of 4 free"
        ),
    ]
