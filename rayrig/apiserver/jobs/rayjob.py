"""A job as a RayJob, and back."""

from __future__ import annotations

from collections.abc import Mapping

from rayrig.apiserver.clusters.spec import cluster_spec_of, raycluster_spec_of
from rayrig.apiserver.clusters.unconvertible import Unconvertible
from rayrig.apiserver.quantities import quantity
from rayrig.apiserver.stored import APP_NAME, APPLICATION, CLUSTER_NAME, MANAGED_BY, MANAGER, USER
from rayrig.apiserver.wire.floats import json_number
from rayrig_core.objects import JsonObject, labels_of, metadata, name_of, namespace_of
from rayrig_core.resource_types import RAY_JOB
from rayrig_core.resources.quantities import canonical

#: What the pod that submits gets, by resource; it is told only where it is something else.
_SUBMITTER = {"cpu": "1", "memory": "1Gi"}
#: As they are in the spec, by their names in the message.
_TAKEN_OVER = {
    "entrypoint": "entrypoint",
    "metadata": "metadata",
    "runtimeEnv": "runtimeEnvYAML",
    "shutdownAfterJobFinishes": "shutdownAfterJobFinishes",
    "ttlSecondsAfterFinished": "ttlSecondsAfterFinished",
    "clusterSelector": "clusterSelector",
    "entrypointResources": "entrypointResources",
}
_STATUS = (
    "jobId",
    "jobStatus",
    "jobDeploymentStatus",
    "message",
    "startTime",
    "endTime",
    "rayClusterName",
)


def rayjob_of(job: JsonObject, templates: Mapping[str, JsonObject]) -> JsonObject:
    """The object of a valid job. GPUs for the entrypoint are lost, as KubeRay's server loses them. Raises `Unconvertible`."""
    spec: JsonObject = {theirs: job[ours] for ours, theirs in _TAKEN_OVER.items() if job.get(ours)}
    if job.get("jobId"):
        spec["jobId"] = job["jobId"]
    if "clusterSpec" in job:
        spec["rayClusterSpec"] = raycluster_spec_of(job["clusterSpec"], templates, version=job.get("version", ""))
    if "jobSubmitter" in job:
        spec["submitterPodTemplate"] = _submitter_template_of(job["jobSubmitter"])
    if job.get("entrypointNumCpus", 0) > 0:
        spec["entrypointNumCpus"] = json_number(job["entrypointNumCpus"])
    if job.get("activeDeadlineSeconds", 0) > 0:
        spec["activeDeadlineSeconds"] = job["activeDeadlineSeconds"]
    labels = {
        CLUSTER_NAME: job["name"],
        USER: job["user"],
        APP_NAME: APPLICATION,
        MANAGED_BY: MANAGER,
    }
    about: JsonObject = {"name": job["name"], "namespace": job["namespace"], "labels": labels}
    if job.get("metadata"):
        about["annotations"] = dict(job["metadata"])
    return {"apiVersion": RAY_JOB.api_version, "kind": RAY_JOB.kind, "metadata": about, "spec": spec}


def _submitter_template_of(submitter: JsonObject) -> JsonObject:
    amounts: dict[str, str] = {}
    for resource, default in _SUBMITTER.items():
        text = submitter.get(resource) or default
        try:
            amounts[resource] = quantity(text)
        except ValueError as error:
            raise Unconvertible(
                f"{resource} for ray job submitter {text} is not specified correctly: {error}"
            ) from None
    container: JsonObject = {
        "name": "ray-job-submitter",
        "resources": {"limits": amounts, "requests": dict(amounts)},
    }
    if submitter.get("image"):
        container["image"] = submitter["image"]
    return {"metadata": {}, "spec": {"containers": [container], "restartPolicy": "Never"}}


def job_of(rayjob: JsonObject) -> JsonObject:
    """The message that tells of a RayJob."""
    spec, status, about = rayjob.get("spec") or {}, rayjob.get("status") or {}, metadata(rayjob)
    job: JsonObject = {ours: spec[theirs] for ours, theirs in _TAKEN_OVER.items() if spec.get(theirs)}
    job |= {name: status[name] for name in _STATUS if status.get(name)}
    job |= {
        "name": name_of(rayjob),
        "namespace": namespace_of(rayjob),
        "user": labels_of(rayjob).get(USER, ""),
        "createdAt": about["creationTimestamp"],
        "entrypointNumCpus": max(spec.get("entrypointNumCpus") or 0, 0),
        "entrypointNumGpus": max(spec.get("entrypointNumGpus") or 0, 0),
    }
    if about.get("deletionTimestamp"):
        job["deleteAt"] = about["deletionTimestamp"]
    cluster = spec.get("rayClusterSpec")
    if cluster is not None:
        job["version"] = cluster.get("rayVersion") or ""
        job["clusterSpec"] = cluster_spec_of(cluster)
    if spec.get("submitterPodTemplate") is not None:
        job["jobSubmitter"] = _submitter_of(spec["submitterPodTemplate"])
    return job


def _submitter_of(template: JsonObject) -> JsonObject:
    """Of a pod template that anybody may have written: without containers there is nothing to tell."""
    containers = (template.get("spec") or {}).get("containers") or ()
    if not containers:
        return {}
    limits = (containers[0].get("resources") or {}).get("limits") or {}
    submitter: JsonObject = {"image": containers[0].get("image") or ""}
    for resource, default in _SUBMITTER.items():
        amount = canonical(limits.get(resource, 0))
        if amount != default:
            submitter[resource] = amount
    return submitter
