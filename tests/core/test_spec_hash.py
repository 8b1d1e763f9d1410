"""The hash that tells an upgrade from nothing (kuberay-operator 2.5)."""

from __future__ import annotations

import re
from typing import Any

import pytest

from rayrig_core.objects import copy_json
from rayrig_core.resources.hashing import own_spec_hash, spec_hash


def group(name: str, **fields: Any) -> dict[str, Any]:
    return {
        "groupName": name,
        "replicas": 1,
        "minReplicas": 0,
        "maxReplicas": 5,
        "rayStartParams": {},
        "template": {"spec": {"containers": [{"name": "w", "image": "i"}]}},
        **fields,
    }


def spec(*groups: dict[str, Any], **fields: Any) -> dict[str, Any]:
    container = {"name": "h", "image": "i", "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]}
    return {
        "rayVersion": "2.52.0",
        "headGroupSpec": {"rayStartParams": {}, "template": {"spec": {"containers": [container]}}},
        "workerGroupSpecs": list(groups) or [group("small")],
        **fields,
    }


def test_a_hash_has_32_characters() -> None:
    assert re.fullmatch(r"[0-9A-V]{32}", spec_hash(spec()))


@pytest.mark.accepts("RS-078", "RS-079")
@pytest.mark.parametrize(
    "changed",
    [
        spec(group("small", replicas=4)),
        spec(group("small", minReplicas=1, maxReplicas=9)),
        spec(group("small", scaleStrategy={"workersToDelete": ["p"]})),
        spec(group("small", scaleStrategy={})),
        spec(suspend=True),
        spec(upgradeStrategy={"type": "Recreate"}),
        spec(group("small", template={"spec": {"containers": [{"name": "w", "image": "i"}], "tolerations": [{}]}})),
        spec(group("small", template={"spec": {"containers": [{"name": "w", "image": "i"}], "schedulingGates": [{}]}})),
        spec(group("small", template={"metadata": {}, "spec": {"containers": [{"image": "i", "name": "w"}]}})),
    ],
)
def test_what_does_not_count(changed: dict[str, Any]) -> None:
    assert spec_hash(changed) == spec_hash(spec())


@pytest.mark.parametrize(
    "changed",
    [
        spec(rayVersion="2.53.0"),
        spec(enableInTreeAutoscaling=True),
        spec(group("other")),
        spec(group("small", suspend=True)),
        spec(group("small", numOfHosts=2)),
        spec(group("small"), group("large")),
        spec(group("small", template={"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "w"}]}})),
        spec(group("small", rayStartParams=None)),
    ],
)
def test_what_counts(changed: dict[str, Any]) -> None:
    assert spec_hash(changed) != spec_hash(spec())


def test_the_order_of_lists_counts_and_that_of_keys_does_not() -> None:
    turned = spec()
    turned["headGroupSpec"]["template"]["spec"]["containers"][0]["env"].reverse()
    assert spec_hash(turned) != spec_hash(spec())
    assert spec_hash(dict(reversed(spec().items()))) == spec_hash(spec())


def test_quantities_count_by_value() -> None:
    def limited(cpu: Any) -> dict[str, Any]:
        container = {"name": "w", "resources": {"limits": {"cpu": cpu}}}
        return spec(group("small", template={"spec": {"containers": [container]}}))

    assert spec_hash(limited("1000m")) == spec_hash(limited("1")) == spec_hash(limited(1))
    assert spec_hash(limited("1")) != spec_hash(limited("2"))


def test_hashing_leaves_the_spec_alone() -> None:
    before = spec(suspend=True)
    copy = copy_json(before)
    spec_hash(before)
    own_spec_hash(before)
    assert before == copy


def test_a_clusters_own_hash_takes_in_its_suspension_and_no_missing_parameters() -> None:
    assert own_spec_hash(spec()) == spec_hash(spec())
    assert own_spec_hash(spec(suspend=True)) != own_spec_hash(spec())
    assert own_spec_hash(spec(group("small", rayStartParams=None))) == own_spec_hash(spec())
