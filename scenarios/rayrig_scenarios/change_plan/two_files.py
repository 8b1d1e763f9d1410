"""Two manifest files and what the change from one to the other does."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rayrig_controllers.options import OperatorOptions
from rayrig_core.errors import ApiError, InputError
from rayrig_core.objects import JsonObject
from rayrig_core.resource_types import RAY_SERVICE
from rayrig_fakes.kubernetes.calls import ApiCall
from rayrig_scenarios.change_plan.operator_plan import Plan, plan_ray_cluster, plan_ray_service
from rayrig_scenarios.language.manifests import WrittenObject
from rayrig_scenarios.manifest_checks.admission import TYPES, api_server
from rayrig_scenarios.manifest_checks.checks import check_file
from rayrig_scenarios.manifest_checks.finding import Level


@dataclass(frozen=True, slots=True)
class ObjectPlan:
    """`plan` is None for an object that only one of the files has; `note` then says which."""

    kind: str
    name: str
    plan: Plan | None
    note: str = ""


def compare_files(old_file: Path, new_file: Path, options: OperatorOptions) -> list[ObjectPlan]:
    """One entry per RayService or RayCluster.

    Raises `InputError` for a file that cannot be read or holds what would be refused, and for a change that the API server would
    refuse.
    """
    old, new = _valid_objects(old_file, options), _valid_objects(new_file, options)
    plans = []
    for key, written in new.items():
        before = old.get(key)
        if before is None:
            plans.append(ObjectPlan(written.kind, written.name, None, "only in the new file: it is made"))
        else:
            plans.append(ObjectPlan(written.kind, written.name, _plan(before, written, options)))
    for key, written in old.items():
        if key not in new:
            note = "only in the old file: it stays as it is until somebody deletes it"
            plans.append(ObjectPlan(written.kind, written.name, None, note))
    return plans


def _valid_objects(file: Path, options: OperatorOptions) -> dict[tuple[str, str, str], WrittenObject]:
    objects, findings = check_file(file, options.gates)
    for finding in findings:
        if finding.level is Level.ERROR:
            raise InputError(
                finding.what, where=f"{finding.file}:{finding.line} {finding.field}", remedy="see `rayrig validate`"
            )
    return {written.key: written for written in objects}


def _plan(old: WrittenObject, new: WrittenObject, options: OperatorOptions) -> Plan:
    resource = TYPES[new.kind]
    server = api_server()
    created = server.call(ApiCall("create", resource, old.namespace, body=_body(old))).own()
    body = _body(new)
    body["metadata"]["resourceVersion"] = created["metadata"]["resourceVersion"]
    try:
        changed = server.call(ApiCall("update", resource, new.namespace, new.name, body=body)).own()
    except ApiError as refused:
        raise InputError(f"the API server refuses the change: {refused.message}", where=new.where()) from None
    if resource == RAY_SERVICE:
        return plan_ray_service(created, changed, options)
    return plan_ray_cluster(created, changed)


def _body(written: WrittenObject) -> JsonObject:
    return {**written.object, "metadata": {**written.object["metadata"], "namespace": written.namespace}}
