"""Units, paths, merge patches and node sizing of the scenario language."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic_core import PydanticCustomError

from rayrig_core.resources.quantities import milli
from rayrig_scenarios.language.documents import parse_documents, place_text
from rayrig_scenarios.language.node_sizing import nodes_for
from rayrig_scenarios.language.paths import assign, lookup, parse_path
from rayrig_scenarios.language.units import parse_bound, parse_duration, parse_duration_bound, parse_rate


@pytest.mark.parametrize(
    ("text", "seconds"), [("30s", 30), ("5m", 300), ("250ms", 0.25), ("1h30m", 5400), ("1m 30s", 90), (0, 0)]
)
def test_durations_carry_their_unit(text: Any, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", [30, 2.5, "30", "s", "", None, True, "-3s", "5 parsecs"])
def test_what_is_no_duration_is_refused(text: Any) -> None:
    with pytest.raises(PydanticCustomError):
        parse_duration(text)


def test_rates_are_per_second() -> None:
    assert [parse_rate(text) for text in ("50/s", "600/m", "1.5 / s")] == [50, 10, 1.5]
    for text in ("50", 50, "0/s", "50/d"):
        with pytest.raises(PydanticCustomError):
            parse_rate(text)


@pytest.mark.parametrize(
    ("text", "holds", "fails"),
    [
        (3, 3, 4),
        ("3", 3, 4),
        ("<= 3", 3, 4),
        (">=3", 3, 2),
        ("< 3", 2, 3),
        ("> 3", 4, 3),
        ("!= 3", 4, 3),
        ("== 3", 3, 2),
    ],
)
def test_bounds_hold_what_they_say(text: Any, holds: float, fails: float) -> None:
    assert parse_bound(text).holds(holds)
    assert not parse_bound(text).holds(fails)


def test_a_bare_duration_bounds_from_above() -> None:
    assert str(parse_duration_bound("200ms")) == "<= 0.2"
    assert str(parse_duration_bound(">= 1s")) == ">= 1"


OBJECT = {
    "spec": {
        "serveConfigV2": "applications:\n- name: fruit\n  deployments:\n  - {name: Mango, user_config: {price: 3}}\n",
        "groups": [{"groupName": "small", "replicas": 1}, {"groupName": "large", "replicas": 2}],
    },
    "metadata": {"labels": {"ray.io/cluster": "a"}},
}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("spec.groups[0].replicas", 1),
        ("spec.groups[large].replicas", 2),
        ("spec.serveConfigV2.applications[fruit].deployments[Mango].user_config.price", 3),
        ('metadata.labels."ray.io/cluster"', "a"),
        ("spec.groups[huge].replicas", None),
        ("spec.nothing.here", None),
        ("spec.groups[7]", None),
    ],
)
def test_paths_find_values(path: str, value: Any) -> None:
    assert lookup(OBJECT, parse_path(path)) == value


def test_setting_a_path_leaves_the_original_alone_and_goes_into_embedded_yaml() -> None:
    path = parse_path("spec.serveConfigV2.applications[fruit].deployments[Mango].user_config.price")
    changed = assign(OBJECT, path, 4)
    assert lookup(changed, path) == 4
    assert lookup(OBJECT, path) == 3
    assert isinstance(changed["spec"]["serveConfigV2"], str)
    assert changed["spec"]["groups"] is OBJECT["spec"]["groups"]


def test_setting_a_path_makes_mappings_on_the_way_but_no_list_entries() -> None:
    assert assign({}, parse_path("a.b.c"), 1) == {"a": {"b": {"c": 1}}}
    with pytest.raises(ValueError, match=r"spec\.groups has no entry huge; it has small, large"):
        assign(OBJECT, parse_path("spec.groups[huge].replicas"), 1)
    with pytest.raises(ValueError, match="metadata is no list"):
        assign(OBJECT, parse_path("metadata[0]"), 1)


@pytest.mark.parametrize("text", ["", ".a", "a[", "a[]", "a..b"])
def test_what_is_no_path_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_path(text)


def test_lines_are_known_for_every_place() -> None:
    (document,) = parse_documents("a:\n  - b: 1\n    c:\n      - 2\nd: {e: 3}\n", "f.yaml")
    assert document.where(("a", 0, "c", 0)) == "f.yaml:4 a[0].c[0]"
    assert document.where(("d", "e")) == "f.yaml:5 d.e"
    # What was not written is where it should have been.
    assert document.where(("a", 0, "x")) == "f.yaml:2 a[0].x"
    assert place_text((0, "a")) == "[0].a"


def test_dates_stay_text_and_merge_keys_merge() -> None:
    (document,) = parse_documents("a: 2026-01-01\nb: &x {c: 1}\nd: {<<: *x, e: 2}\n", "f.yaml")
    assert document.data == {"a": "2026-01-01", "b": {"c": 1}, "d": {"c": 1, "e": 2}}


def _service(workers: int, cpu: str = "1", **resources: str) -> Any:
    def template(requests: dict[str, str]) -> Any:
        return {"spec": {"containers": [{"name": "c", "resources": {"requests": requests}}]}}

    group = {"groupName": "w", "replicas": workers, "template": template({"cpu": cpu, "memory": "2Gi", **resources})}
    cluster = {"headGroupSpec": {"template": template({"cpu": "2"})}, "workerGroupSpecs": [group]}
    return {"kind": "RayService", "metadata": {"name": "a"}, "spec": {"rayClusterConfig": cluster}}


def test_a_small_service_gets_one_node_that_fits_two_clusters() -> None:
    (nodes,) = nodes_for([_service(2)])
    assert (nodes.prefix, nodes.count, nodes.cpu, nodes.memory) == ("node", 1, "16", "64Gi")


def test_more_nodes_come_when_two_clusters_do_not_fit_on_one() -> None:
    # Two heads of 2 CPUs and eight workers of 6: two workers fit on a node of 16, with 4 CPUs left for a head.
    # One more, because the scheduler spreads pods rather than packs them.
    (nodes,) = nodes_for([_service(4, cpu="6")])
    assert nodes.count == 5


def test_a_pod_larger_than_a_node_gets_a_larger_node() -> None:
    (nodes,) = nodes_for([_service(1, cpu="40")])
    assert milli(nodes.cpu) == 40_000


def test_gpus_come_on_nodes_of_their_own() -> None:
    cpu, gpu = nodes_for([_service(5, **{"nvidia.com/gpu": "2"})])
    assert cpu.extended == {}
    # Ten workers of two GPUs in all, eight GPUs a node, and one node more. Both heads could land there: room for their 4 CPUs.
    assert (gpu.count, gpu.cpu, gpu.extended) == (4, "20", {"nvidia.com/gpu": "8"})


def test_no_service_still_gets_a_node() -> None:
    assert [nodes.names() for nodes in nodes_for([])] == [("node-0",)]
