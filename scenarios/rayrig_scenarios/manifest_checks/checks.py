"""The checks that a RayService or RayCluster goes through on its way: API server, operator, Serve."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rayrig_core.errors import ApiError, InputError
from rayrig_core.objects import JsonObject, copy_json
from rayrig_core.resources.feature_gates import DEFAULT_GATES, FeatureGates
from rayrig_core.resources.go_yaml import yaml_to_json
from rayrig_core.resources.serve_config import field_path, line_of, serve_config_problems, unknown_fields
from rayrig_core.resources.validation import (
    Problem,
    ray_cluster_problems,
    ray_cluster_warnings,
    ray_service_problems,
)
from rayrig_scenarios.language.documents import Document, parse_documents, place_text, read_text
from rayrig_scenarios.language.manifests import WrittenObject, first_line, schema_problems
from rayrig_scenarios.manifest_checks.admission import TYPES, admitted
from rayrig_scenarios.manifest_checks.finding import Finding, Level, at_path

_VERSIONS = ("ray.io/v1", "ray.io/v1alpha1")


def ray_objects(file: Path) -> list[WrittenObject]:
    """The RayServices and RayClusters of a file; other kinds are left out. Raises `InputError` when it cannot be read as YAML."""
    found = []
    for document in parse_documents(read_text(file), str(file)):
        found += [written for written in _objects(document) if written.kind in TYPES]
    return found


def _objects(document: Document) -> Iterator[WrittenObject]:
    data = document.data
    if isinstance(data, dict) and data.get("kind") == "List" and isinstance(data.get("items"), list):
        for index, item in enumerate(data["items"]):
            if isinstance(item, dict):
                yield WrittenObject(item, document, ("items", index))
    elif isinstance(data, dict):
        yield WrittenObject(data, document)


def check(written: WrittenObject, gates: FeatureGates = DEFAULT_GATES) -> list[Finding]:
    """All that is wrong with one object, in the order of the file."""
    if written.object.get("apiVersion") not in _VERSIONS:
        what = f"apiVersion of the {written.kind} is {written.object.get('apiVersion')!r}"
        return [at_path(written, "apiVersion", Level.ERROR, what, f"write {_VERSIONS[0]}")]
    found = [
        at_path(written, place_text(place), Level.ERROR, what, remedy)
        for place, what, remedy in schema_problems(written)
    ]
    stored = _admitted(written, found)
    if stored is not None:
        found += _by_the_operator(written, stored, gates)
    found += _by_serve(written)
    return sorted(found, key=lambda finding: finding.line)


def _admitted(written: WrittenObject, found: list[Finding]) -> JsonObject | None:
    """The object as the API server would store it; None, and what it says added to `found`, when it refuses."""
    body = copy_json(written.object)
    metadata = body.get("metadata")
    namespace = (metadata.get("namespace") if isinstance(metadata, dict) else None) or "default"
    try:
        return admitted(written.kind, body, str(namespace))
    except ApiError as refused:
        told = {finding.field for finding in found}
        causes = (refused.status.get("details") or {}).get("causes") or []
        for cause in causes:
            path = cause.get("field") or ""
            path = "" if path == "<nil>" else path
            if path not in told and not _is_about_others(cause.get("message", "")):
                found.append(at_path(written, path, Level.ERROR, cause.get("message", "")))
        if not causes and not found:
            found.append(at_path(written, "", Level.ERROR, refused.message))
        return None


def _is_about_others(message: str) -> bool:
    return "some validation rules were not checked" in message


def _by_the_operator(written: WrittenObject, stored: JsonObject, gates: FeatureGates) -> Iterator[Finding]:
    if written.kind == "RayService":
        refused, cluster, prefix = ray_service_problems(stored, gates), "rayClusterConfig", "spec.rayClusterConfig"
        spec = (stored.get("spec") or {}).get(cluster) or {}
    else:
        refused, spec, prefix = ray_cluster_problems(stored, gates), stored.get("spec") or {}, "spec"
    for problem in refused:
        yield at_path(written, problem.path, Level.ERROR, _said_by_operator(problem), problem.remedy)
    for warning in ray_cluster_warnings(spec):
        path = warning.path.replace("spec", prefix, 1)
        yield at_path(written, path, Level.WARNING, _said_by_operator(warning), warning.remedy)


def _said_by_operator(problem: Problem) -> str:
    return f"the operator: {problem.message}"


def _by_serve(written: WrittenObject) -> Iterator[Finding]:
    spec = written.object.get("spec")
    text = spec.get("serveConfigV2") if written.kind == "RayService" and isinstance(spec, dict) else None
    if not text or not isinstance(text, str):
        return
    begin, file = first_line(written, text), written.document.file

    def finding(location: tuple[int | str, ...], line: int, level: Level, what: str, remedy: str) -> Finding:
        path = field_path(location)
        inside = f".{path}" if path else ""
        return Finding(file, begin + max(line, 1) - 1, f"spec.serveConfigV2{inside}", level, what, remedy)

    problems = serve_config_problems(text)
    for problem in problems:
        yield finding(problem.location, problem.line, Level.ERROR, problem.what, problem.remedy)
    if not problems:
        for location in unknown_fields(yaml_to_json(text)):
            what, remedy = "Serve knows no such field and drops it", "remove it, or mend its name"
            yield finding(location, line_of(text, location), Level.WARNING, what, remedy)


def check_file(file: Path, gates: FeatureGates = DEFAULT_GATES) -> tuple[list[WrittenObject], list[Finding]]:
    """The RayServices and RayClusters of a file, and all that is wrong with them. Raises `InputError`: no YAML, no such file, or
    none of them in it.
    """
    objects = ray_objects(file)
    if not objects:
        raise InputError("no RayService or RayCluster in it", where=str(file), remedy="name a manifest that holds one")
    return objects, [finding for written in objects for finding in check(written, gates)]
