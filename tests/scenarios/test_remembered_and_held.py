"""Steps that keep values, hold conditions and want refusals; conditions on endpoints and on numbers of objects; Gateways."""

from __future__ import annotations

import textwrap
from typing import Any

import pytest
from scripted_world import ScriptedWorld

from rayrig_backends.world import WorldSpec
from rayrig_core.errors import InputError
from rayrig_core.resource_types import ENDPOINT_SLICE, GATEWAY
from rayrig_scenarios.language.load import load_text
from rayrig_scenarios.results import RunResult, Verdict
from rayrig_scenarios.runner import run

HEAD = """
name: test
description: a test
manifests: [{bundled: one-per-node}]
steps:
- apply: orchard
- wait: {for: {ready: orchard}, timeout: 1m}
"""


def perform(text: str, **options: Any) -> RunResult:
    options.setdefault("world_factory", ScriptedWorld)
    return run(load_text(HEAD + textwrap.dedent(text), "test.yaml"), **options)


def details(result: RunResult) -> list[str]:
    """What the steps after the head's came to."""
    return [f"{record.state.value}: {record.detail}" for record in result.steps[2:]]


# Remembered values


def test_a_remembered_value_stands_in_later_steps_and_expectations() -> None:
    result = perform("""
        - remember: {first: {name: orchard, path: status.activeServiceStatus.rayClusterName}}
        - patch: {kind: RayCluster, name: $(first), merge: {metadata: {annotations: {seen: "$(first)", own: $(POD_IP)}}}}
        - wait: {for: {field: {kind: RayCluster, name: $(first), path: metadata.annotations.seen, equals: $(first)}}, timeout: 1s}
        - apply: {manifest: orchard, set: {spec.rayClusterConfig.rayVersion: 2.100.0}}
        - wait: {for: {field: {name: orchard, path: status.activeServiceStatus.rayClusterName, differs: $(first)}}, timeout: 1m}
        - wait: {for: {gone: RayCluster/$(first)}, timeout: 1m}
        expect:
        - {gone: RayCluster/$(first)}
        - field: {name: orchard, path: status.activeServiceStatus.rayClusterName, differs: $(first)}
    """)
    assert (result.verdict, [e.detail for e in result.expectations if e.verdict is not Verdict.PASS]) == (
        Verdict.PASS,
        [],
    )
    first = result.steps[2].detail.removeprefix("first is ").strip('"')
    assert first.startswith("orchard-")
    assert details(result)[2] == f'done: metadata.annotations.seen is "{first}"'


def test_a_reference_that_is_all_of_a_text_is_the_value_itself_and_otherwise_its_text() -> None:
    result = perform("""
        - remember:
            generation: {name: orchard, path: metadata.generation}
        - wait: {for: {field: {name: orchard, path: metadata.generation, equals: $(generation)}}, timeout: 1s}
        - patch: {name: orchard, merge: {metadata: {labels: {g: "g$(generation)"}}}}
        - wait: {for: {field: {name: orchard, path: metadata.labels.g, equals: g1}}, timeout: 1s}
    """)
    assert result.verdict is Verdict.PASS


def test_the_kept_value_is_that_of_its_time() -> None:
    result = perform("""
        - remember: {before: {name: orchard, path: spec.rayClusterConfig}}
        - patch: {name: orchard, set: {spec.rayClusterConfig.rayVersion: 2.100.0}}
        - wait: {for: {field: {name: orchard, path: spec.rayClusterConfig, equals: $(before)}}, timeout: 1s}
    """)
    assert [record.state.value for record in result.steps] == ["done", "done", "done", "done", "failed"]


def test_nothing_can_be_remembered_of_what_is_not_there() -> None:
    assert details(perform("- remember: {a: {kind: Service, name: nobody, path: spec}}")) == [
        "failed: no Service nobody"
    ]
    assert details(perform("- remember: {a: {name: orchard, path: spec.nothing}}")) == [
        "failed: RayService/orchard has no spec.nothing"
    ]


def test_a_remembered_value_that_does_not_fit_its_place_is_told_with_the_place() -> None:
    with pytest.raises(InputError) as caught:
        perform("""
            - remember: {spec: {name: orchard, path: spec.rayClusterConfig}}
            - delete: {kind: RayCluster, name: $(spec)}
        """)
    assert str(caught.value).startswith("test.yaml:10 steps[3].delete.name: this is a mapping (give a text")


# Holding


def test_what_holds_all_the_time_takes_that_time() -> None:
    result = perform("- hold: {that: [{ready: orchard}, {clusters: {count: 1}}], for: 5s}")
    assert result.verdict is Verdict.PASS
    held = result.steps[2]
    assert held.title == "for 5 s ready orchard and clusters count 1"
    assert (held.ended_ns or 0) - (held.started_ns or 0) == 5_000_000_000


def test_what_ends_in_between_fails_the_step_at_once() -> None:
    result = perform("""
        - apply: {manifest: orchard, set: {spec.rayClusterConfig.rayVersion: 2.100.0}}
        - hold: {that: {clusters: {count: 1}}, for: 30s}
    """)
    assert result.verdict is Verdict.FAIL
    held = result.steps[3]
    assert held.state.value == "failed"
    assert "count 2, wanted 1" in held.detail
    assert (held.ended_ns or 0) - (held.started_ns or 0) < 3_000_000_000


# Refusals


def test_an_object_that_must_be_refused_is_and_leaves_what_was_applied_as_it_was() -> None:
    result = perform("""
        - apply: {manifest: orchard, set: {spec.suspend: maybe}, refused: spec.suspend}
        - apply: {manifest: orchard, set: {metadata.labels: {a: b}}}
        - patch: {name: orchard, merge: {spec: {suspend: maybe}}, refused: spec.suspend}
        expect:
        - field: {name: orchard, path: metadata.labels.a, equals: b}
    """)
    assert result.verdict is Verdict.PASS, details(result)
    assert details(result)[0].startswith("done: as expected, apply of RayService/orchard was refused: 422 Invalid")


def test_a_refusal_that_does_not_come_or_is_another_one_fails_the_step() -> None:
    assert details(perform("- apply: {manifest: orchard, set: {metadata.labels: {a: b}}, refused: suspend}")) == [
        "failed: RayService/orchard configured, wanted it to be refused: suspend"
    ]
    assert details(perform("- patch: {name: orchard, merge: {metadata: {labels: {a: b}}}, refused: suspend}")) == [
        "failed: RayService/orchard patched, wanted it to be refused: suspend"
    ]
    (other,) = details(perform("- patch: {name: nobody, merge: {spec: {suspend: true}}, refused: Invalid}"))
    assert other.endswith('wanted "Invalid" in it')


# Objects, endpoints, Gateways


def test_objects_are_counted_by_kind_and_labels() -> None:
    result = perform("""
        - wait: {for: {objects: {kind: RayCluster, labels: {ray.io/originated-from-cr-name: orchard}, count: 1}}, timeout: 1s}
        expect:
        - objects: {kind: Pod, labels: {ray.io/node-type: head}, count: 1}
        - objects: {kind: Pod, count: ">= 5"}
        - objects: {kind: Pod, labels: {ray.io/node-type: nobody}, count: 0}
    """)
    assert [e.verdict.value for e in result.expectations] == ["pass", "fail", "pass"]
    assert result.expectations[1].title == ">= 5 Pod"


class WithObjects(ScriptedWorld):
    """A Service with one ready and one unready endpoint, and a Gateway, from the start."""

    def __init__(self, spec: WorldSpec) -> None:
        super().__init__(spec)
        self.spawn("objects", self._make())

    async def _make(self) -> None:
        client = self.client("test")
        slice_ = {
            "metadata": {"name": "shop-1", "labels": {"kubernetes.io/service-name": "shop"}},
            "addressType": "IPv4",
            "ports": [{"port": 8000}],
            "endpoints": [
                {"addresses": ["10.0.0.1"], "conditions": {"ready": True}, "targetRef": {"kind": "Pod", "name": "one"}},
                {
                    "addresses": ["10.0.0.2"],
                    "conditions": {"ready": False},
                    "targetRef": {"kind": "Pod", "name": "two"},
                },
            ],
        }
        await client.create(ENDPOINT_SLICE, slice_, "default")
        listener = {"name": "http", "protocol": "HTTP", "port": 80}
        for name, status in (("way", {"addresses": [{"type": "Hostname", "value": "orchard-serve-svc"}]}), ("new", {})):
            spec = {"gatewayClassName": "any", "listeners": [listener]}
            await client.create(GATEWAY, {"metadata": {"name": name}, "spec": spec}, "default")
            if status:
                await client.patch(
                    GATEWAY, name, {"status": status}, "default", patch_type="merge", subresource="status"
                )


def test_endpoints_are_counted_and_looked_through_for_a_pod() -> None:
    result = perform(
        """
        - wait: {for: {endpoints: {name: shop, total: 2, ready: 1, without: three}}, timeout: 1s}
        expect:
        - endpoints: {name: shop, without: two}
        - endpoints: {name: nobody, total: 0}
        """,
        world_factory=WithObjects,
    )
    assert [e.verdict.value for e in result.expectations] == ["fail", "pass"]
    assert result.expectations[0].detail == "two is still among them"


def test_a_request_through_a_gateway_goes_to_the_address_in_its_status() -> None:
    result = perform(
        """
        - request: {gateway: way, expect: {json: {price: 6}}}
        - request: {gateway: new, expect: {failure: unresolved}}
        - request: {gateway: nobody, expect: {failure: unresolved}}
        """,
        world_factory=WithObjects,
    )
    assert [detail.partition(":")[0] for detail in details(result)] == ["done"] * 3, details(result)
    assert "has no address yet" in details(result)[1]
    assert "is not there" in details(result)[2]
