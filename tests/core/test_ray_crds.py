"""The CRDs generated from our types, held against KubeRay's where those are."""

from pathlib import Path
from typing import Annotated, Any, Required, TypedDict

import pytest
import yaml

from rayrig_core.resources.crds import custom_resource_definitions, ray_job_definition
from rayrig_core.resources.raycluster import WorkerGroupSpec
from rayrig_core.resources.schema import Int32, default, structural

KUBERAY = Path(__file__).parents[3] / "shared" / "kuberay" / "crd"
NAMES = ("rayclusters", "rayservices", "rayjobs")


def ours(plural: str) -> dict[str, Any]:
    return next(
        d for d in (*custom_resource_definitions(), ray_job_definition()) if d["spec"]["names"]["plural"] == plural
    )


def theirs(plural: str) -> dict[str, Any]:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    document: dict[str, Any] = yaml.load((KUBERAY / f"ray.io_{plural}.yaml").read_text(), Loader=loader)
    return document


def plain(schema: Any) -> Any:
    """Without descriptions, and with what has no order sorted."""
    if isinstance(schema, dict):
        kept = {k: plain(v) for k, v in schema.items() if not (k == "description" and isinstance(v, str))}
        if isinstance(kept.get("required"), list):
            kept["required"] = sorted(kept["required"])
        return kept
    return [plain(item) for item in schema] if isinstance(schema, list) else schema


def differences(left: Any, right: Any, path: str = "") -> list[str]:
    if isinstance(left, dict) and isinstance(right, dict):
        found: list[str] = []
        for key in sorted(set(left) | set(right)):
            if key not in left or key not in right:
                found.append(f"{path}.{key}: {'ours' if key in left else 'theirs'} only")
            else:
                found += differences(left[key], right[key], f"{path}.{key}")
        return found
    return [] if left == right else [f"{path}: {left!r} != {right!r}"]


@pytest.mark.skipif(not KUBERAY.is_dir(), reason="KubeRay's CRDs are not here")
@pytest.mark.parametrize("plural", NAMES)
def test_every_version_is_the_same_as_kuberays(plural: str) -> None:
    own, other = ours(plural)["spec"], theirs(plural)["spec"]
    assert [v["name"] for v in own["versions"]] == [v["name"] for v in other["versions"]]
    for mine, its in zip(own["versions"], other["versions"], strict=True):
        assert differences(plain(mine), plain(its), f"{plural}/{mine['name']}") == []
    assert own["names"] == other["names"]


def test_printer_columns_as_people_know_them() -> None:
    versions = {d["metadata"]["name"]: d["spec"]["versions"][0] for d in custom_resource_definitions()}
    assert [c["name"] for c in versions["rayservices.ray.io"]["additionalPrinterColumns"]] == [
        "service status",
        "num serve endpoints",
    ]
    columns = versions["rayclusters.ray.io"]["additionalPrinterColumns"]
    assert [c["name"] for c in columns if not c.get("priority")] == [
        "desired workers",
        "available workers",
        "cpus",
        "memory",
        "gpus",
        "status",
        "age",
    ]


def test_only_v1_is_stored_and_the_old_version_warns() -> None:
    for plural in NAMES:
        v1, old = ours(plural)["spec"]["versions"]
        assert (v1["name"], v1["storage"], old["name"], old["storage"]) == ("v1", True, "v1alpha1", False)
        assert old["deprecated"]
        assert "is deprecated" in old["deprecationWarning"]


def test_defaults_of_a_worker_group() -> None:
    properties = structural(WorkerGroupSpec)["properties"]
    assert {name: field["default"] for name, field in properties.items() if "default" in field} == {
        "replicas": 0,
        "minReplicas": 0,
        "maxReplicas": 2147483647,
        "numOfHosts": 1,
        "priority": 0,
    }


def test_a_schema_is_read_off_annotations() -> None:
    class Thing(TypedDict, total=False):
        name: Required[str]
        sizes: list[Annotated[Int32, default(3)]]
        tags: dict[str, bool]

    assert structural(Thing) == {
        "type": "object",
        "required": ["name"],
        "properties": {
            "name": {"type": "string"},
            "sizes": {"type": "array", "items": {"type": "integer", "format": "int32", "default": 3}},
            "tags": {"type": "object", "additionalProperties": {"type": "boolean"}},
        },
    }


def test_what_has_no_schema_is_refused() -> None:
    with pytest.raises(TypeError, match="no structural schema"):
        structural(set)
