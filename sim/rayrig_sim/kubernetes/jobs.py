"""The Job controller: pods for Jobs, counted until enough have succeeded, too many have failed, or the deadline has passed.

Jobs may be suspended, indexed, and removed after a time to live. Not modelled: policies for failures, success and replacement,
limits for each index, and the tracking finalizer of pods. A failed pod is replaced after 10 s, doubling up to 10 min. KubeRay's
clean-up of Redis is such a Job (kuberay-operator.md 3.12).
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice

from rayrig_core.errors import ApiError
from rayrig_core.objects import (
    JsonObject,
    condition_of,
    has_condition,
    is_being_deleted,
    key_of,
    labels_of,
    name_of,
    namespace_of,
    uid_of,
)
from rayrig_core.ports import EventRecorder, KubernetesClient, Preconditions, Runtime, WatchType
from rayrig_core.resource_types import JOB, POD
from rayrig_core.timestamps import NS, parse_rfc3339, rfc3339
from rayrig_sim.kubernetes.object_cache import Key, ObjectCaches

_FIRST_BACKOFF_S, _LAST_BACKOFF_S = 10, 600
_RETRY_S = 1.0
_OVER = ("Succeeded", "Failed")
_INDEX_LABEL = "batch.kubernetes.io/job-completion-index"


@dataclass(slots=True)
class JobPlan:
    """What is to be done for a Job now. `again_s` is when it must be looked at without a change, None for never."""

    create: int = 0
    #: Completion indexes of the pods to be made, for an indexed Job.
    indexes: list[int] = field(default_factory=list)
    delete: list[JsonObject] = field(default_factory=list)
    status: JsonObject = field(default_factory=dict)
    #: The pods to be deleted are not counted any more.
    forget: bool = False
    #: (type, reason, message) of the event that tells of it.
    told: tuple[str, str, str] | None = None
    again_s: float | None = None


def plan_job(job: JsonObject, pods: list[JsonObject], now_ns: int) -> JobPlan:
    """Decide for a Job that is not over yet, from its pods. `now_ns` is Unix time."""
    spec, status = job["spec"], job.get("status") or {}
    now = rfc3339(now_ns)
    succeeded = [pod for pod in pods if _phase(pod) == "Succeeded"]
    failed = [pod for pod in pods if _phase(pod) == "Failed"]
    active = [pod for pod in pods if _phase(pod) not in _OVER]
    started = status.get("startTime") or now
    counts: JsonObject = {"succeeded": len(succeeded), "failed": len(failed), "terminating": 0}
    plan = JobPlan(status={"startTime": started, **counts, "uncountedTerminatedPods": {}})
    is_indexed = spec.get("completionMode") == "Indexed"
    done = sorted(_index_of(pod) for pod in succeeded) if is_indexed else []
    if is_indexed:
        succeeded = list({_index_of(pod): pod for pod in reversed(succeeded)}.values())
        plan.status["succeeded"] = len(succeeded)
        if done:
            plan.status["completedIndexes"] = _ranges(done)
    if spec.get("suspend"):
        _suspend(plan, status, active, now)
        return plan
    if _condition(status, "Suspended", "True") is not None:
        plan.status["startTime"] = started = now
        plan.status["conditions"] = _with_suspended(status, "False", "JobResumed", "Job resumed", now)
        plan.told = ("Normal", "Resumed", "Job resumed")
    completions, deadline_s = spec.get("completions"), spec.get("activeDeadlineSeconds")
    age_s = (now_ns - parse_rfc3339(started)) / NS
    wanted = spec.get("completions", 1) - len(succeeded)
    before = list(plan.status.get("conditions") or status.get("conditions") or ())
    if len(failed) > spec.get("backoffLimit", 6):
        message = "Job has reached the specified backoff limit"
        _end(plan, before, active, now, ("FailureTarget", "Failed"), "BackoffLimitExceeded", message)
    elif deadline_s is not None and age_s >= deadline_s:
        message = "Job was active longer than specified deadline"
        _end(plan, before, active, now, ("FailureTarget", "Failed"), "DeadlineExceeded", message)
    elif completions is not None and wanted <= 0:
        message = "Reached expected number of succeeded pods"
        _end(plan, before, active, now, ("SuccessCriteriaMet", "Complete"), "CompletionsReached", message)
        plan.status["completionTime"] = now
        plan.told = ("Normal", "Completed", "Job completed")
    else:
        missing = min(spec.get("parallelism", 1), wanted) - len(active)
        waits_s = _backoff_s(failed, now_ns) if missing > 0 else 0.0
        plan.create = max(missing, 0) if waits_s <= 0 else 0
        if is_indexed:
            taken = {*done, *(_index_of(pod) for pod in active)}
            free = (index for index in range(spec.get("completions", 1)) if index not in taken)
            plan.indexes = list(islice(free, plan.create))
            plan.create = len(plan.indexes)
        plan.again_s = waits_s if waits_s > 0 else None
        if deadline_s is not None:
            left_s = deadline_s - age_s
            plan.again_s = left_s if plan.again_s is None else min(plan.again_s, left_s)
        plan.status["active"] = len(active) + plan.create
        plan.status["ready"] = sum(has_condition(pod, "Ready") for pod in active)
    return plan


def _phase(pod: JsonObject) -> str:
    return str((pod.get("status") or {}).get("phase", "Pending"))


def _index_of(pod: JsonObject) -> int:
    index = labels_of(pod).get(_INDEX_LABEL) or ""
    return int(index) if index.isdecimal() else 0


def _ranges(indexes: Sequence[int]) -> str:
    """`0,1,3-5`: three and more in a row are a range."""
    groups: list[list[int]] = []
    for index in dict.fromkeys(indexes):
        if groups and groups[-1][-1] == index - 1:
            groups[-1].append(index)
        else:
            groups.append([index])
    return ",".join(f"{group[0]}-{group[-1]}" if len(group) > 2 else ",".join(map(str, group)) for group in groups)


def _condition(status: JsonObject, kind: str, value: str) -> JsonObject | None:
    conditions: list[JsonObject] = status.get("conditions") or []
    return next((each for each in conditions if (each.get("type"), each.get("status")) == (kind, value)), None)


def _with_suspended(status: JsonObject, value: str, reason: str, message: str, now: str) -> list[JsonObject]:
    kept = [each for each in status.get("conditions") or () if each.get("type") != "Suspended"]
    return [*kept, _new_condition("Suspended", value, reason, message, now)]


def _suspend(plan: JobPlan, status: JsonObject, active: list[JsonObject], now: str) -> None:
    plan.delete = [pod for pod in active if not is_being_deleted(pod)]
    plan.forget = True
    plan.status |= {"active": 0, "ready": 0, "startTime": None}
    if _condition(status, "Suspended", "True") is None:
        plan.status["conditions"] = _with_suspended(status, "True", "JobSuspended", "Job suspended", now)
        plan.told = ("Normal", "Suspended", "Job suspended")


def _new_condition(kind: str, value: str, reason: str, message: str, now: str) -> JsonObject:
    return {
        "type": kind,
        "status": value,
        "lastProbeTime": now,
        "lastTransitionTime": now,
        "reason": reason,
        "message": message,
    }


def _end(
    plan: JobPlan,
    before: list[JsonObject],
    active: list[JsonObject],
    now: str,
    kinds: tuple[str, str],
    reason: str,
    message: str,
) -> None:
    plan.delete = [pod for pod in active if not is_being_deleted(pod)]
    plan.told = ("Warning", reason, message)
    # Pods that are taken away have not succeeded.
    plan.status["failed"] += len(active)
    plan.status |= {"active": 0, "ready": 0}
    plan.status["conditions"] = [*before, *(_new_condition(kind, "True", reason, message, now) for kind in kinds)]


def _backoff_s(failed: list[JsonObject], now_ns: int) -> float:
    """Seconds left until a failed pod may be replaced."""
    if not failed:
        return 0.0
    latest = max(_ended_ns(pod) for pod in failed)
    pause_s = min(_FIRST_BACKOFF_S << len(failed) - 1, _LAST_BACKOFF_S)
    return pause_s - (now_ns - latest) / NS


def _ended_ns(pod: JsonObject) -> int:
    condition = condition_of(pod, "Ready") or {}
    return parse_rfc3339(condition.get("lastTransitionTime") or pod["metadata"]["creationTimestamp"])


class JobController:
    """Works in the handlers of its caches; there is an actor for a Job while there is something to do for it."""

    def __init__(
        self, runtime: Runtime, client: KubernetesClient, caches: ObjectCaches, recorder: EventRecorder
    ) -> None:
        self._runtime = runtime
        self._client = client
        self._recorder = recorder
        self._jobs = caches.of(JOB)
        #: Pods of each Job by its uid. Those just created are in it before the cache shows them.
        self._pods: dict[str, dict[Key, JsonObject]] = {}
        #: Whether a Job was changed while its actor was at work.
        self._busy: dict[str, bool] = {}
        self._jobs.on_change(self._on_job)
        caches.of(POD).on_change(self._on_pod)

    def _on_job(self, type_: WatchType, old: JsonObject | None, new: JsonObject, cause: int | None) -> None:
        if type_ is WatchType.DELETED:
            self._pods.pop(uid_of(new), None)
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
        job = self._jobs.get(owners[0]["name"], namespace_of(new))
        if job is None or uid_of(job) != owners[0]["uid"]:
            return
        pods = self._pods.setdefault(uid_of(job), {})
        if type_ is WatchType.DELETED and _phase(new) not in _OVER:
            pods.pop(key_of(new), None)
        else:
            pods[key_of(new)] = new
        self._touch(job)

    def _touch(self, job: JsonObject) -> None:
        uid = uid_of(job)
        if uid in self._busy:
            self._busy[uid] = True
        elif not is_being_deleted(job) and not _is_over(job):
            self._busy[uid] = False
            self._runtime.spawn(f"job-controller/{namespace_of(job)}/{name_of(job)}", self._work(*key_of(job), uid))

    async def _work(self, namespace: str, name: str, uid: str) -> None:
        runtime = self._runtime
        try:
            while True:
                self._busy[uid] = False
                job = self._jobs.get(name, namespace)
                if job is None or uid_of(job) != uid or is_being_deleted(job) or _is_over(job):
                    return
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
        plan = plan_job(job, list(pods.values()), self._runtime.unix_ns())
        for number in range(plan.create):
            index = plan.indexes[number] if plan.indexes else None
            pod = await self._client.create(POD, _pod_of(job, index), namespace)
            pods.setdefault(key_of(pod), pod)
            self._recorder.event(job, "Normal", "SuccessfulCreate", f"Created pod: {name_of(pod)}", action="Create")
        for pod in plan.delete:
            await self._client.delete(POD, name_of(pod), namespace)
            if plan.forget:
                pods.pop(key_of(pod), None)
            self._recorder.event(job, "Normal", "SuccessfulDelete", f"Deleted pod: {name_of(pod)}", action="Delete")
        before = job.get("status") or {}
        if any(before.get(key) != value for key, value in plan.status.items()):
            body = {"metadata": {"uid": uid}, "status": plan.status}
            await self._client.patch(JOB, name_of(job), body, namespace, patch_type="merge", subresource="status")
        if plan.told is not None:
            type_, reason, message = plan.told
            self._recorder.event(job, "Warning" if type_ == "Warning" else "Normal", reason, message, action="Finish")
        return plan.again_s


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
        labels[_INDEX_LABEL] = annotations[_INDEX_LABEL] = str(index)
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
            "ownerReferences": [owner],
        },
        "spec": spec,
    }


def _with_index(spec: JsonObject, hostname: str) -> JsonObject:
    """Each container knows its index."""
    field = {"fieldRef": {"apiVersion": "v1", "fieldPath": f"metadata.labels['{_INDEX_LABEL}']"}}
    variable = {"name": "JOB_COMPLETION_INDEX", "valueFrom": field}
    spec = {"hostname": hostname, **spec}
    for part in ("initContainers", "containers"):
        if spec.get(part):
            spec[part] = [{**each, "env": [*(each.get("env") or ()), variable]} for each in spec[part]]
    return spec
