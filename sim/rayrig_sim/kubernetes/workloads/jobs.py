"""The Job controller: pods for Jobs, counted until enough have succeeded, too many have failed, or the deadline has passed.

Jobs may be suspended, indexed, judge failures by a policy, be left to another controller, and be removed after a time to live. A
failed pod is replaced after 10 s, doubling up to 10 min. What is to be done is decided by `job_decisions`. KubeRay's clean-up of
Redis is such a Job (kuberay-operator.md 3.12).
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from rayrig_core.errors import ApiError, NotFound
from rayrig_core.objects import (
    JsonObject,
    condition_of,
    controller_of,
    has_condition,
    is_being_deleted,
    key_of,
    name_of,
    namespace_of,
    uid_of,
)
from rayrig_core.ports import EventRecorder, KubernetesClient, Preconditions, Runtime, WatchType
from rayrig_core.resource_types import JOB, POD
from rayrig_core.timestamps import NS, parse_rfc3339, rfc3339
from rayrig_sim.kubernetes.object_cache import Key, ObjectCaches
from rayrig_sim.kubernetes.workloads.job_decisions import TRACKING_FINALIZER, Backoff, is_tracked, plan_job
from rayrig_sim.kubernetes.workloads.job_indexes import INDEX_LABEL, failure_annotations

_RETRY_S = 1.0
#: Jobs that name another manager are left to it.
_MANAGER = "kubernetes.io/job-controller"


class JobController:
    """Works in the handlers of its caches; there is an actor for a Job while there is something to do for it."""

    def __init__(
        self, runtime: Runtime, client: KubernetesClient, caches: ObjectCaches, recorder: EventRecorder
    ) -> None:
        self._runtime = runtime
        self._client = client
        self._caches = caches
        self._recorder = recorder
        self._jobs = caches.of(JOB)
        #: Pods of each Job by its uid. Those just created are in it before the cache shows them.
        self._pods: dict[str, dict[Key, JsonObject]] = {}
        #: Whether a Job was changed while its actor was at work.
        self._busy: dict[str, bool] = {}
        #: Jobs as their own writes left them, when the cache is behind.
        self._latest: dict[str, JsonObject] = {}
        self._backoffs: dict[str, Backoff] = {}
        self._jobs.on_change(self._on_job)
        caches.of(POD).on_change(self._on_pod, controlled_by=JOB.kind)

    def _on_job(self, type_: WatchType, old: JsonObject | None, new: JsonObject, cause: int | None) -> None:
        if type_ is WatchType.DELETED:
            left = self._tracked(uid_of(new))
            self._pods.pop(uid_of(new), None)
            self._backoffs.pop(uid_of(new), None)
            self._latest.pop(uid_of(new), None)
            if left:
                owner = {"name": name_of(new), "uid": uid_of(new)}
                self._runtime.spawn(f"job-controller/{namespace_of(new)}/orphans", self._let_go(owner, left))
            return
        self._touch(new)
        if new["spec"].get("ttlSecondsAfterFinished") is not None and _is_over(new) and not is_being_deleted(new):
            was_over = old is not None and _is_over(old)
            if not was_over:
                self._runtime.spawn(
                    f"ttl-after-finished-controller/{namespace_of(new)}/{name_of(new)}", self._expire(new)
                )

    def _on_pod(self, type_: WatchType, old: JsonObject | None, new: JsonObject, cause: int | None) -> None:
        owners = new["metadata"].get("ownerReferences")
        if not owners or owners[0].get("kind") != JOB.kind:
            return
        uid = owners[0]["uid"]
        job = self._jobs.get(owners[0]["name"], namespace_of(new))
        if job is None or uid_of(job) != uid:
            if type_ is not WatchType.DELETED and is_tracked(new):
                self._runtime.spawn(f"job-controller/{namespace_of(new)}/orphans", self._let_go(owners[0], [new]))
            return
        pods, key = self._pods.setdefault(uid, {}), key_of(new)
        if type_ is WatchType.DELETED:
            pods.pop(key, None)
        elif key not in pods or _revision(pods[key]) <= _revision(new):
            pods[key] = new
        self._touch(job)

    def _touch(self, job: JsonObject) -> None:
        uid = uid_of(job)
        if uid in self._busy:
            self._busy[uid] = True
        elif _is_ours(job) and (not _is_over(job) or self._tracked(uid)):
            self._busy[uid] = False
            self._runtime.spawn(f"job-controller/{namespace_of(job)}/{name_of(job)}", self._work(*key_of(job), uid))

    def _tracked(self, uid: str) -> list[JsonObject]:
        return [pod for pod in self._pods.get(uid, {}).values() if is_tracked(pod)]

    async def _let_go(self, owner: JsonObject, pods: list[JsonObject]) -> None:
        """The pods' Job is gone: nobody will count them."""
        await self._caches.wait_synced()
        for pod in pods:
            job = self._jobs.get(owner["name"], namespace_of(pod))
            if job is None or uid_of(job) != owner["uid"]:
                with suppress(ApiError):
                    await self._finalize(pod)

    async def _work(self, namespace: str, name: str, uid: str) -> None:
        runtime = self._runtime
        try:
            while True:
                self._busy[uid] = False
                job = self._jobs.get(name, namespace)
                if job is None or uid_of(job) != uid:
                    return
                latest = self._latest.get(uid)
                if latest is not None and _revision(latest) > _revision(job):
                    job = latest
                again_s: float | None
                try:
                    again_s = await self._sync(job)
                except ApiError:
                    again_s = _RETRY_S
                if self._busy[uid]:
                    continue
                if again_s is None:
                    return
                runtime.spawn(f"job-controller/{namespace}/{name}/later", self._look_again(job, again_s))
                return
        finally:
            del self._busy[uid]

    async def _expire(self, job: JsonObject) -> None:
        """Remove a Job that is over when its time to live has passed, unless that was changed."""
        while True:
            limit_s = job["spec"].get("ttlSecondsAfterFinished")
            if limit_s is None:
                return
            ended = condition_of(job, "Complete") or condition_of(job, "Failed") or {}
            left_s = (
                limit_s
                - (
                    self._runtime.unix_ns()
                    - parse_rfc3339(ended.get("lastTransitionTime") or rfc3339(self._runtime.unix_ns()))
                )
                / NS
            )
            if left_s > 0:
                await self._runtime.sleep(left_s)
                current = self._jobs.get(name_of(job), namespace_of(job))
                if current is None or uid_of(current) != uid_of(job):
                    return
                job = current
                continue
            with suppress(ApiError):
                await self._client.delete(
                    JOB,
                    name_of(job),
                    namespace_of(job),
                    propagation_policy="Foreground",
                    preconditions=Preconditions(uid=uid_of(job)),
                )
            return

    async def _look_again(self, job: JsonObject, after_s: float) -> None:
        await self._runtime.sleep(after_s)
        current = self._jobs.get(name_of(job), namespace_of(job))
        if current is not None and uid_of(current) == uid_of(job):
            self._touch(current)

    async def _sync(self, job: JsonObject) -> float | None:
        uid, namespace = uid_of(job), namespace_of(job)
        pods = self._pods.setdefault(uid, {})
        if is_being_deleted(job) or _is_over(job):
            for pod in self._tracked(uid):
                await self._finalize(pod)
            return None
        backoff = self._backoffs.setdefault(uid, Backoff())
        plan = plan_job(job, list(pods.values()), self._runtime.unix_ns(), backoff)
        for number in range(plan.create):
            index = plan.indexes[number] if plan.indexes else None
            made = _pod_of(job, index)
            if index in plan.failures:
                made["metadata"]["annotations"].update(failure_annotations(plan.failures[index]))
            pod = await self._client.create(POD, made, namespace)
            pods.setdefault(key_of(pod), pod)
            self._recorder.event(job, "Normal", "SuccessfulCreate", f"Created pod: {name_of(pod)}", action="Create")
        for pod in plan.release:
            await self._finalize(pod)
        for pod in plan.delete:
            await self._delete(job, pod)
        job = await self._write(job, plan.noted)
        for pod in plan.finalize:
            await self._finalize(pod)
        await self._write(job, plan.counted)
        if plan.told is not None:
            type_, reason, message = plan.told
            self._recorder.event(job, "Warning" if type_ == "Warning" else "Normal", reason, message, action="Finish")
        return plan.again_s

    async def _write(self, job: JsonObject, status: JsonObject) -> JsonObject:
        before = job.get("status") or {}
        if "uncountedTerminatedPods" in before and all(_equal(before.get(key), value) for key, value in status.items()):
            return job
        body = {"metadata": {"uid": uid_of(job)}, "status": status}
        written = await self._client.patch(
            JOB, name_of(job), body, namespace_of(job), patch_type="merge", subresource="status"
        )
        if uid_of(job) in self._pods:
            self._latest[uid_of(job)] = written
        return written

    async def _delete(self, job: JsonObject, pod: JsonObject) -> None:
        try:
            gone = await self._client.delete(POD, name_of(pod), namespace_of(pod))
        except NotFound:
            return
        self._keep(pod, gone)
        self._recorder.event(job, "Normal", "SuccessfulDelete", f"Deleted pod: {name_of(pod)}", action="Delete")

    async def _finalize(self, pod: JsonObject) -> None:
        """Take the tracking finalizer off."""
        body = {"metadata": {"uid": uid_of(pod), "$deleteFromPrimitiveList/finalizers": [TRACKING_FINALIZER]}}
        try:
            written = await self._client.patch(POD, name_of(pod), body, namespace_of(pod), patch_type="strategic")
        except NotFound:
            return
        self._keep(pod, written)

    def _keep(self, pod: JsonObject, written: JsonObject) -> None:
        """The answer to a write is what is known of the pod, unless the cache is ahead: it may be gone by now."""
        owner = controller_of(pod)
        pods = self._pods.get(owner["uid"], {}) if owner is not None else {}
        known = pods.get(key_of(pod))
        if known is not None and written.get("kind") == "Pod" and _revision(known) < _revision(written):
            pods[key_of(pod)] = written


def _revision(obj: JsonObject) -> int:
    return int(obj["metadata"].get("resourceVersion") or 0)


def _equal(before: Any, after: Any) -> bool:
    if isinstance(after, dict):
        return all((before or {}).get(key) == value for key, value in after.items())
    return bool(before == after)


def _is_ours(job: JsonObject) -> bool:
    return job["spec"].get("managedBy") in (None, "", _MANAGER)


def _is_over(job: JsonObject) -> bool:
    return has_condition(job, "Complete") or has_condition(job, "Failed")


def _pod_of(job: JsonObject, index: int | None = None) -> JsonObject:
    template = job["spec"]["template"]
    metadata = template.get("metadata") or {}
    name, uid = name_of(job), uid_of(job)
    labels = {
        **(metadata.get("labels") or {}),
        "batch.kubernetes.io/controller-uid": uid,
        "batch.kubernetes.io/job-name": name,
        "controller-uid": uid,
        "job-name": name,
    }
    owner = {
        "apiVersion": JOB.api_version,
        "kind": JOB.kind,
        "name": name,
        "uid": uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }
    annotations = dict(metadata.get("annotations") or {})
    spec = template["spec"]
    if index is not None:
        labels[INDEX_LABEL] = annotations[INDEX_LABEL] = str(index)
        name = f"{name}-{index}"
        spec = _with_index(spec, name)
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "generateName": f"{name}-",
            "namespace": namespace_of(job),
            "labels": labels,
            "annotations": annotations,
            "finalizers": [*(metadata.get("finalizers") or ()), TRACKING_FINALIZER],
            "ownerReferences": [owner],
        },
        "spec": spec,
    }


def _with_index(spec: JsonObject, hostname: str) -> JsonObject:
    """Each container knows its index."""
    field = {"fieldRef": {"apiVersion": "v1", "fieldPath": f"metadata.labels['{INDEX_LABEL}']"}}
    variable = {"name": "JOB_COMPLETION_INDEX", "valueFrom": field}
    spec = {"hostname": hostname, **spec}
    for part in ("initContainers", "containers"):
        if spec.get(part):
            spec[part] = [{**each, "env": [*(each.get("env") or ()), variable]} for each in spec[part]]
    return spec
