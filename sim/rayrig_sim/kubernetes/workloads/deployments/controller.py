"""The Deployment controller: a ReplicaSet for each template, rolled from old to new, scaled, paused, its history kept short.

Source: Kubernetes, "Deployments".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeAlias

from rayrig_core.errors import AlreadyExists, ApiError, NotFound
from rayrig_core.objects import (
    JsonObject,
    Vouched,
    annotations_of,
    controller_of,
    copy_json,
    is_being_deleted,
    key_of,
    name_of,
    namespace_of,
    uid_of,
)
from rayrig_core.ports import EventRecorder, KubernetesClient, Runtime, WatchType
from rayrig_core.resource_types import DEPLOYMENT, POD, REPLICA_SET
from rayrig_core.timestamps import parse_rfc3339
from rayrig_sim.kubernetes.controlled_objects import ControlledObjects, controller_reference
from rayrig_sim.kubernetes.keyed_work import KeyedWork
from rayrig_sim.kubernetes.object_cache import NO_PART, Key, ObjectCaches
from rayrig_sim.kubernetes.selectors import label_selector
from rayrig_sim.kubernetes.workloads.deployments import conditions
from rayrig_sim.kubernetes.workloads.deployments.annotations import (
    DESIRED,
    REVISION,
    number_of,
    with_revision,
    with_sizes,
)
from rayrig_sim.kubernetes.workloads.deployments.sizes import (
    Limits,
    limits_of,
    reported,
    shrink_old,
    size_of,
    size_of_new,
    spread,
)
from rayrig_sim.kubernetes.workloads.pod_owners import PodOwners
from rayrig_sim.kubernetes.workloads.pod_templates import phase_of, short_hash

#: From a Deployment, its ReplicaSets, the new one and the time.
_Judge: TypeAlias = Callable[[JsonObject, Sequence[JsonObject], JsonObject | None, int], JsonObject]
TEMPLATE_HASH = "pod-template-hash"
_NO_LIMIT = 2**31 - 1


@dataclass(slots=True)
class _Rollout:
    """A Deployment at work: it as last written, and its ReplicaSets, oldest first."""

    deployment: JsonObject
    sets: list[JsonObject]
    new: JsonObject | None = None

    @property
    def old(self) -> list[JsonObject]:
        new = uid_of(self.new) if self.new is not None else ""
        return [each for each in self.sets if uid_of(each) != new]

    @property
    def everything(self) -> list[JsonObject]:
        return [*self.old, self.new] if self.new is not None else self.old

    @property
    def limits(self) -> Limits:
        return limits_of(self.deployment)

    @property
    def is_rolling(self) -> bool:
        return bool((self.deployment["spec"].get("strategy") or {}).get("type") == "RollingUpdate")

    def replace(self, replica_set: JsonObject) -> None:
        uid = uid_of(replica_set)
        self.sets = [replica_set if uid_of(each) == uid else each for each in self.sets]
        if self.new is not None and uid_of(self.new) == uid:
            self.new = replica_set


class DeploymentController:
    """Works in the handlers of its caches; there is an actor for a Deployment while there is something to do for it."""

    def __init__(
        self,
        runtime: Runtime,
        client: KubernetesClient,
        caches: ObjectCaches,
        deployments: ControlledObjects,
        sets: ControlledObjects,
        pods: ControlledObjects,
        recorder: EventRecorder,
    ) -> None:
        self._runtime = runtime
        self._client = client
        self._recorder = recorder
        self._deployments = deployments
        self._sets = sets
        self._pods = pods
        self._work = KeyedWork(runtime, caches, "deployment-controller", self._sync)
        self._owners = PodOwners(caches, DEPLOYMENT, self._work.touch, REPLICA_SET)
        self._work.follow(caches.of(DEPLOYMENT))
        caches.of(POD).on_change(self._on_pod, NO_PART)

    def _on_pod(self, type_: WatchType, old: JsonObject | None, new: JsonObject, cause: int | None) -> None:
        """A Deployment that recreates waits for the last of its old pods to go."""
        if type_ is not WatchType.DELETED:
            return
        owner = controller_of(new)
        replica_set = self._sets.get((namespace_of(new), owner["name"])) if owner is not None else None
        above = controller_of(replica_set) if replica_set is not None else None
        if above is None or above["kind"] != DEPLOYMENT.kind:
            return
        deployment = self._deployments.get((namespace_of(new), above["name"]))
        if deployment is not None and (deployment["spec"].get("strategy") or {}).get("type") == "Recreate":
            self._work.touch(key_of(deployment), cause)

    # One look

    async def _sync(self, key: Key) -> None:
        found = self._deployments.get(key)
        if found is None:
            return
        selector = label_selector(found["spec"].get("selector"))
        sets = await self._sets.claim(self._client, found, DEPLOYMENT, selector)
        work = _Rollout(found, sorted(sets, key=_age))
        if is_being_deleted(found):
            self._find_new(work)
            await self._report(work, conditions.counted)
            return
        await self._tell_pause(work)
        if found["spec"].get("paused") or self._is_being_scaled(work):
            await self._bring_new(work, may_create=False)
            await self._scale_all(work)
            if found["spec"].get("paused"):
                await self._forget_old(work)
            await self._report(work, conditions.counted)
        elif work.is_rolling:
            await self._roll(work)
        else:
            await self._recreate(work)

    async def _roll(self, work: _Rollout) -> None:
        new = await self._bring_new(work, may_create=True)
        grown = size_of_new(work.limits, True, sum(map(size_of, work.everything)), size_of(new))
        if size_of(new) > work.limits.replicas:
            grown = work.limits.replicas
        if not await self._scale(work, new, grown) and not await self._shrink_old(work, new):
            await self._forget_old_when_complete(work)
        await self._report(work, conditions.rolled_out)

    async def _shrink_old(self, work: _Rollout, new: JsonObject) -> bool:
        old = [each for each in work.old if size_of(each) > 0]
        changed = False
        for sizes in shrink_old(work.limits, new, old):
            for name, size in sizes.items():
                replica_set = next(each for each in work.sets if name_of(each) == name)
                changed = await self._scale(work, replica_set, size) or changed
        return changed

    async def _recreate(self, work: _Rollout) -> None:
        await self._bring_new(work, may_create=False)
        shrunk = False
        for each in [each for each in work.old if size_of(each) > 0]:
            shrunk = await self._scale(work, each, 0) or shrunk
        if not shrunk and not self._old_pods_run(work):
            new = await self._bring_new(work, may_create=True)
            await self._scale(work, new, work.limits.replicas)
            await self._forget_old_when_complete(work)
        await self._report(work, conditions.rolled_out)

    def _old_pods_run(self, work: _Rollout) -> bool:
        return any(
            phase_of(pod) not in ("Succeeded", "Failed") for each in work.old for pod in self._pods.of(uid_of(each))
        )

    # Pause

    async def _tell_pause(self, work: _Rollout) -> None:
        deployment = work.deployment
        if conditions.deadline_s(deployment) is None:
            return
        status = dict(deployment.get("status") or {})
        current = conditions.get(status, conditions.PROGRESSING)
        if current is not None and current.get("reason") == conditions.TIMED_OUT:
            return
        is_told = current is not None and current.get("reason") == conditions.PAUSED
        is_paused = bool(deployment["spec"].get("paused"))
        if is_paused == is_told:
            return
        reason, text = (conditions.PAUSED, "paused") if is_paused else (conditions.RESUMED, "resumed")
        now_ns = self._runtime.unix_ns()
        conditions.put(status, conditions.PROGRESSING, "Unknown", reason, f"Deployment is {text}", now_ns)
        await self._write_status(work, status)

    # ReplicaSets

    def _find_new(self, work: _Rollout) -> JsonObject | None:
        template = _without_hash(work.deployment["spec"].get("template") or {})
        work.new = next(
            (each for each in work.sets if _without_hash(each["spec"].get("template") or {}) == template), None
        )
        return work.new

    async def _bring_new(self, work: _Rollout, *, may_create: bool) -> JsonObject:
        """The ReplicaSet of the present template, its revision the highest; an empty object when there is none."""
        new = self._find_new(work)
        revision = max((number_of(each, REVISION) for each in work.old), default=0) + 1
        if new is not None:
            annotations = with_revision(work.deployment, new, revision)
            min_ready_s = work.deployment["spec"].get("minReadySeconds")
            if annotations != annotations_of(new) or (min_ready_s or 0) != (new["spec"].get("minReadySeconds") or 0):
                body = copy_json(new)
                body["metadata"]["annotations"] = annotations
                body["spec"].pop("minReadySeconds", None)
                if min_ready_s:
                    body["spec"]["minReadySeconds"] = min_ready_s
                new = await self._write_set(work, body)
                # Looked at again when that comes back, as after a change of anybody else's.
            text = f'Found new replica set "{name_of(new)}"'
            await self._tell_revision(work, annotations[REVISION], "FoundNewReplicaSet", text)
            return new
        if not may_create:
            return {}
        return await self._create_new(work, revision)

    async def _create_new(self, work: _Rollout, revision: int) -> JsonObject:
        deployment, limits = work.deployment, work.limits
        body = _new_replica_set(deployment)
        size = size_of_new(limits, work.is_rolling, sum(map(size_of, work.sets)), 0)
        body["spec"]["replicas"] = size
        annotations = with_revision(deployment, body, revision)
        body["metadata"]["annotations"] = with_sizes(annotations, limits.replicas, limits.replicas + limits.surge)
        name, namespace = name_of(body), namespace_of(deployment)
        made = True
        try:
            new = await self._client.create(REPLICA_SET, body, namespace)
        except AlreadyExists:
            new = await self._client.get(REPLICA_SET, name, namespace)
            owner = controller_of(new)
            same = _without_hash(new["spec"].get("template") or {}) == _without_hash(deployment["spec"]["template"])
            if owner is None or owner["uid"] != uid_of(deployment) or not same:
                status = dict(deployment.get("status") or {})
                status["collisionCount"] = (status.get("collisionCount") or 0) + 1
                await self._write_status(work, status)
                raise
            made = False
        except ApiError as refused:
            if conditions.deadline_s(deployment) is not None and refused.reason != "Forbidden":
                status = dict(deployment.get("status") or {})
                text = f'Failed to create new replica set "{name}": {refused.message}'
                now_ns = self._runtime.unix_ns()
                reason = "ReplicaSetCreateError"
                conditions.put(status, conditions.PROGRESSING, "False", reason, text, now_ns)
                await self._write_status(work, status)
            raise
        self._sets.wrote(new)
        work.sets = [*work.sets, new]
        work.new = new
        if made and size:
            text = f"Scaled up replica set {name} from 0 to {size}"
            self._recorder.event(deployment, "Normal", "ScalingReplicaSet", text)
        text = f'Created new replica set "{name}"'
        await self._tell_revision(work, str(revision), "NewReplicaSetCreated" if made else "", text, renew=True)
        return new

    async def _tell_revision(
        self, work: _Rollout, revision: str, reason: str, message: str, *, renew: bool = False
    ) -> None:
        """The Deployment carries the revision of its new ReplicaSet, and a condition from the beginning."""
        deployment = work.deployment
        status = dict(deployment.get("status") or {})
        tells = conditions.deadline_s(deployment) is not None and bool(reason)
        if tells and (renew or conditions.get(status, conditions.PROGRESSING) is None):
            conditions.put(status, conditions.PROGRESSING, "True", reason, message, self._runtime.unix_ns())
        annotations = {**annotations_of(deployment), REVISION: revision}
        if annotations != annotations_of(deployment) or status != (deployment.get("status") or {}):
            await self._write_status(work, status, annotations)

    async def _scale(self, work: _Rollout, replica_set: JsonObject, size: int) -> bool:
        if size_of(replica_set) == size:
            return False
        return await self._resize(work, replica_set, size)

    async def _resize(self, work: _Rollout, replica_set: JsonObject, size: int) -> bool:
        """Also when only the sizes asked for are others than those noted. True when the size changed."""
        limits, before = work.limits, size_of(replica_set)
        annotations = with_sizes(annotations_of(replica_set), limits.replicas, limits.replicas + limits.surge)
        if before == size and annotations == annotations_of(replica_set):
            return False
        body = Vouched(replica_set)
        body["spec"] = {**replica_set["spec"], "replicas": size}
        body["metadata"] = {**replica_set["metadata"], "annotations": annotations}
        await self._write_set(work, body)
        if before == size:
            return False
        way = "up" if size > before else "down"
        text = f"Scaled {way} replica set {name_of(replica_set)} from {before} to {size}"
        self._recorder.event(work.deployment, "Normal", "ScalingReplicaSet", text)
        return True

    # Scaling of all

    def _is_being_scaled(self, work: _Rollout) -> bool:
        """The size asked for is another than that which the ReplicaSets were given."""
        replicas = work.limits.replicas
        return any(
            size_of(each) > 0 and DESIRED in annotations_of(each) and number_of(each, DESIRED) != replicas
            for each in work.sets
        )

    async def _scale_all(self, work: _Rollout) -> None:
        limits, new = work.limits, work.new
        active = [each for each in work.everything if size_of(each) > 0]
        only = active[0] if len(active) == 1 else None
        if not active and work.sets:
            only = new if new is not None else work.sets[-1]
        if only is not None:
            if size_of(only) != limits.replicas:
                await self._resize(work, only, limits.replicas)
            return
        if new is not None and _is_saturated(new, limits.replicas):
            for each in [each for each in work.old if size_of(each) > 0]:
                await self._resize(work, each, 0)
            return
        if not work.is_rolling:
            return
        grows = (limits.replicas + limits.surge if limits.replicas else 0) > sum(map(size_of, active))
        newest_first = sorted(active, key=_age, reverse=grows)
        by_size = sorted(newest_first, key=size_of, reverse=True)
        status_replicas = (work.deployment.get("status") or {}).get("replicas", 0)
        for name, size in spread(limits, by_size, status_replicas).items():
            replica_set = next(each for each in work.sets if name_of(each) == name)
            await self._resize(work, replica_set, size)

    async def _forget_old_when_complete(self, work: _Rollout) -> None:
        if conditions.is_complete(work.deployment, work.deployment.get("status") or {}):
            await self._forget_old(work)

    async def _forget_old(self, work: _Rollout) -> None:
        """Old ReplicaSets beyond the history limit go, those of the lowest revisions first."""
        limit = work.deployment["spec"].get("revisionHistoryLimit")
        if limit is None or limit == _NO_LIMIT:
            return
        old = sorted(
            (each for each in work.old if not is_being_deleted(each)), key=lambda each: number_of(each, REVISION)
        )
        for each in old[: max(0, len(old) - limit)]:
            observed = (each.get("status") or {}).get("observedGeneration", 0)
            if reported([each]) or size_of(each) or each["metadata"].get("generation", 0) > observed:
                continue
            with suppress(NotFound):
                await self._client.delete(REPLICA_SET, name_of(each), namespace_of(each))
            self._sets.removed(each)

    # Writing

    async def _write_set(self, work: _Rollout, body: JsonObject) -> JsonObject:
        written = await self._client.update(REPLICA_SET, body)
        self._sets.wrote(written)
        work.replace(written)
        return written

    async def _write_status(
        self, work: _Rollout, status: JsonObject, annotations: dict[str, str] | None = None
    ) -> None:
        body = Vouched(work.deployment, status=status)
        if annotations is not None:
            body["metadata"] = {**body["metadata"], "annotations": annotations}
        written = await self._client.update(DEPLOYMENT, body, subresource="status")
        self._deployments.wrote(written)
        work.deployment = written

    async def _report(self, work: _Rollout, judge: _Judge) -> None:
        now_ns = self._runtime.unix_ns()
        status = judge(work.deployment, work.everything, work.new, now_ns)
        if status != (work.deployment.get("status") or {}):
            await self._write_status(work, status)
        elif judge is conditions.rolled_out:
            again_s = conditions.looks_again_in_s(work.deployment, status, now_ns)
            if again_s is not None:
                self._work.touch_after(key_of(work.deployment), again_s)


def _is_saturated(new: JsonObject, replicas: int) -> bool:
    return (
        size_of(new) == replicas
        and number_of(new, DESIRED) == replicas
        and reported([new], "availableReplicas") == replicas
    )


def _age(obj: JsonObject) -> tuple[int, str]:
    return parse_rfc3339(obj["metadata"]["creationTimestamp"]), name_of(obj)


def _without_hash(template: JsonObject) -> JsonObject:
    metadata = template.get("metadata") or {}
    labels = {name: value for name, value in (metadata.get("labels") or {}).items() if name != TEMPLATE_HASH}
    rest = {name: value for name, value in metadata.items() if name != "labels" and value}
    return {"metadata": {**rest, "labels": labels}, "spec": template.get("spec")}


def _new_replica_set(deployment: JsonObject) -> JsonObject:
    """Without its size and annotations."""
    spec = deployment["spec"]
    template = copy_json(spec["template"])
    hash_ = short_hash(_without_hash(template), (deployment.get("status") or {}).get("collisionCount"))
    metadata = template.setdefault("metadata", {})
    metadata["labels"] = {**(metadata.get("labels") or {}), TEMPLATE_HASH: hash_}
    selector = copy_json(spec["selector"])
    selector["matchLabels"] = {**(selector.get("matchLabels") or {}), TEMPLATE_HASH: hash_}
    made: JsonObject = {"selector": selector, "template": template}
    if spec.get("minReadySeconds"):
        made["minReadySeconds"] = spec["minReadySeconds"]
    return {
        "apiVersion": REPLICA_SET.api_version,
        "kind": REPLICA_SET.kind,
        "metadata": {
            "name": f"{name_of(deployment)}-{hash_}",
            "namespace": namespace_of(deployment),
            "labels": dict(metadata["labels"]),
            "ownerReferences": [controller_reference(deployment, DEPLOYMENT)],
        },
        "spec": made,
    }
