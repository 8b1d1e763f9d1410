"""The controller of volumes: binds claims to volumes, and the provisioners of all classes, which make those that are not there.

Every StorageClass is taken to have its provisioner at work. Source: Kubernetes, "Persistent Volumes".
"""

from __future__ import annotations

from random import Random

from rayrig_core.core_event_recorder import CoreEventRecorder, EventType
from rayrig_core.errors import AlreadyExists, NotFound
from rayrig_core.objects import JsonObject, annotations_of, copy_json, is_being_deleted, key_of, name_of, uid_of
from rayrig_core.ports import KubernetesClient, Runtime, WatchType
from rayrig_core.resource_types import PERSISTENT_VOLUME, PERSISTENT_VOLUME_CLAIM, STORAGE_CLASS
from rayrig_core.timestamps import NS
from rayrig_sim.calibration import Distribution
from rayrig_sim.kubernetes.keyed_work import KeyedWork
from rayrig_sim.kubernetes.object_cache import Key, ObjectCaches
from rayrig_sim.kubernetes.volumes.claims import (
    BIND_COMPLETED,
    BOUND_BY_CONTROLLER,
    NO_PROVISIONER,
    SELECTED_NODE,
    BindingMode,
    best_volume,
    binding_mode,
    claim_reference,
    class_of,
    default_class,
    is_bound,
    is_for,
    provisioned_volume,
)

_NOTHING_FITS = "no persistent volumes available for this claim and no storage class is set"
_WAITS = "waiting for first consumer to be created before binding"


class VolumeController:
    """Works in the handlers of its caches."""

    def __init__(
        self,
        runtime: Runtime,
        client: KubernetesClient,
        caches: ObjectCaches,
        recorder: CoreEventRecorder,
        *,
        delay: Distribution,
        rng: Random,
    ) -> None:
        """`delay` is what a provisioner takes to make a volume."""
        self._runtime = runtime
        self._client = client
        self._recorder = recorder
        self._delay = delay
        self._rng = rng
        self._work = KeyedWork(runtime, caches, "persistentvolume-binder", self._sync)
        self._claims = caches.of(PERSISTENT_VOLUME_CLAIM)
        self._volumes = caches.of(PERSISTENT_VOLUME)
        self._classes = caches.of(STORAGE_CLASS)
        #: What was last said of a claim, by its uid: it is not said again.
        self._said: dict[str, str] = {}
        self._claims.on_change(self._on_claim)
        self._volumes.on_change(self._on_volume)
        self._classes.on_change(self._on_class)

    def _on_claim(self, type_: WatchType, old: JsonObject | None, new: JsonObject, cause: int | None) -> None:
        if type_ is WatchType.DELETED:
            self._said.pop(uid_of(new), None)
        if type_ is WatchType.DELETED or not is_bound(new):
            self._work.touch(key_of(new), cause)

    def _on_volume(self, type_: WatchType, old: JsonObject | None, new: JsonObject, cause: int | None) -> None:
        if type_ is not WatchType.DELETED and (new.get("status") or {}).get("phase") != "Bound":
            self._touch_open(cause)

    def _on_class(self, type_: WatchType, old: JsonObject | None, new: JsonObject, cause: int | None) -> None:
        if type_ is not WatchType.DELETED:
            self._touch_open(cause)

    def _touch_open(self, cause: int | None) -> None:
        for claim in self._claims:
            if not is_bound(claim):
                self._work.touch(key_of(claim), cause)

    async def _sync(self, key: Key) -> None:
        claim = self._claims.get(key[1], key[0])
        if claim is None:
            await self._release(key)
            return
        if is_bound(claim) or is_being_deleted(claim):
            return
        if claim["spec"].get("storageClassName") is None:
            default = default_class(self._classes)
            if default is not None:
                # Its class is written into it; the change brings the claim here again.
                await self._client.patch(PERSISTENT_VOLUME_CLAIM, key[1], _with_class(name_of(default)), key[0])
                return
        storage_class = self._classes.get(class_of(claim))
        node = annotations_of(claim).get(SELECTED_NODE)
        waits = binding_mode(storage_class) is BindingMode.FIRST_CONSUMER and not node
        volume = self._of(claim) or (None if waits else best_volume(claim, self._volumes))
        if volume is not None:
            await self._bind(claim, volume)
        elif waits:
            self._say(claim, "Normal", "WaitForFirstConsumer", _WAITS)
        elif not class_of(claim):
            self._say(claim, "Normal", "FailedBinding", _NOTHING_FITS)
        elif storage_class is None:
            note = f'storageclass.storage.k8s.io "{class_of(claim)}" not found'
            self._say(claim, "Warning", "ProvisioningFailed", note)
        elif storage_class.get("provisioner") != NO_PROVISIONER:
            await self._provision(claim, storage_class)

    def _of(self, claim: JsonObject) -> JsonObject | None:
        """The volume that names this claim, or that the claim names."""
        named = claim["spec"].get("volumeName")
        if named:
            return self._volumes.get(named)
        return next((volume for volume in self._volumes if is_for(volume, claim)), None)

    async def _provision(self, claim: JsonObject, storage_class: JsonObject) -> None:
        provisioner = storage_class.get("provisioner")
        self._say(
            claim,
            "Normal",
            "ExternalProvisioning",
            f"Waiting for a volume to be created either by the external provisioner '{provisioner}' or manually by the system "
            "administrator. If volume creation is delayed, please verify that the provisioner is running and correctly registered.",
        )
        await self._runtime.sleep(self._delay.draw_ns(self._rng) / NS)
        volume = provisioned_volume(claim, storage_class)
        try:
            volume = await self._client.create(PERSISTENT_VOLUME, volume)
        except AlreadyExists:
            return
        self._say(claim, "Normal", "ProvisioningSucceeded", f"Successfully provisioned volume {name_of(volume)}")
        await self._bind(claim, volume)

    async def _bind(self, claim: JsonObject, volume: JsonObject) -> None:
        """First the volume, then the claim, as the real one does: a claim that says it is bound is."""
        client = self._client
        if not is_for(volume, claim) or not (volume["spec"].get("claimRef") or {}).get("uid"):
            changed = copy_json(volume)
            changed["spec"]["claimRef"] = claim_reference(claim)
            volume = await client.update(PERSISTENT_VOLUME, changed)
        await client.patch(PERSISTENT_VOLUME, name_of(volume), {"status": {"phase": "Bound"}}, subresource="status")
        namespace, name = key_of(claim)
        annotations = {BIND_COMPLETED: "yes", BOUND_BY_CONTROLLER: "yes"}
        bound: JsonObject = {"metadata": {"annotations": annotations}, "spec": {"volumeName": name_of(volume)}}
        await client.patch(PERSISTENT_VOLUME_CLAIM, name, bound, namespace)
        offers = volume["spec"]
        status = {"phase": "Bound", "accessModes": offers.get("accessModes"), "capacity": offers.get("capacity")}
        await client.patch(PERSISTENT_VOLUME_CLAIM, name, {"status": status}, namespace, subresource="status")

    async def _release(self, key: Key) -> None:
        """The claim is gone: its volume goes too, or stays for somebody to look at."""
        for volume in list(self._volumes):
            reference = volume["spec"].get("claimRef") or {}
            if (reference.get("namespace"), reference.get("name")) != key:
                continue
            name = name_of(volume)
            try:
                await self._client.patch(
                    PERSISTENT_VOLUME, name, {"status": {"phase": "Released"}}, subresource="status"
                )
                if volume["spec"].get("persistentVolumeReclaimPolicy") == "Delete":
                    await self._client.delete(PERSISTENT_VOLUME, name)
            except NotFound:
                continue

    def _say(self, claim: JsonObject, type_: EventType, reason: str, note: str) -> None:
        if self._said.get(uid_of(claim)) != reason:
            self._said[uid_of(claim)] = reason
            regarding = {"kind": "PersistentVolumeClaim", "apiVersion": "v1", "metadata": claim["metadata"]}
            self._recorder.event(regarding, type_, reason, note)


def _with_class(name: str) -> JsonObject:
    return {"spec": {"storageClassName": name}}
