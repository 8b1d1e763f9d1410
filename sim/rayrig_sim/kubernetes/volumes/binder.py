"""What the scheduler asks about the claims of a pod: may it be placed yet, and are its volumes bound when it is.

Source: Kubernetes, scheduler plugin VolumeBinding.
"""

from __future__ import annotations

from collections.abc import Callable

from rayrig_core.errors import ApiError
from rayrig_core.objects import JsonObject, annotations_of, is_being_deleted
from rayrig_core.ports import KubernetesClient, Runtime, Signal, WatchType
from rayrig_core.resource_types import PERSISTENT_VOLUME_CLAIM, STORAGE_CLASS
from rayrig_sim.kubernetes.object_cache import ObjectCaches
from rayrig_sim.kubernetes.volumes.claims import (
    SELECTED_NODE,
    BindingMode,
    binding_mode,
    class_of,
    default_class,
    is_bound,
)

_BIND_TIMEOUT_S = 600.0


class VolumeBinder:
    """Follows claims and classes from the first pod on that has claims; before that, it does nothing."""

    def __init__(self, runtime: Runtime, client: KubernetesClient, caches: ObjectCaches) -> None:
        self._runtime = runtime
        self._client = client
        self._caches = caches
        self._is_following = False
        self._waiting: list[Signal[None]] = []

    async def follow(self, on_change: Callable[[str, str, int | None], None]) -> None:
        """Know claims and classes; `on_change` hears of each claim that changes (namespace, name, cause)."""
        claims = self._caches.of(PERSISTENT_VOLUME_CLAIM)
        classes = self._caches.of(STORAGE_CLASS)
        if not self._is_following:
            self._is_following = True

            def changed(type_: WatchType, old: JsonObject | None, new: JsonObject, cause: int | None) -> None:
                waiting, self._waiting = self._waiting, []
                for signal in waiting:
                    signal.set(None)
                metadata = new["metadata"]
                on_change(metadata.get("namespace", ""), metadata["name"], cause)

            claims.on_change(changed)
        await claims.synced
        await classes.synced

    def refusal(self, namespace: str, names: tuple[str, ...]) -> str:
        """Why a pod with these claims can be placed nowhere; empty when it can."""
        has_immediate = False
        for name in names:
            claim = self._caches.of(PERSISTENT_VOLUME_CLAIM).get(name, namespace)
            if claim is None:
                return f'persistentvolumeclaim "{name}" not found'
            if is_being_deleted(claim):
                return f'persistentvolumeclaim "{name}" is being deleted'
            classes = self._caches.of(STORAGE_CLASS)
            # A claim that names no class is about to get the default one.
            has_none = claim["spec"].get("storageClassName") is None
            storage_class = default_class(classes) if has_none else classes.get(class_of(claim))
            if not is_bound(claim) and binding_mode(storage_class) is BindingMode.IMMEDIATE:
                has_immediate = True
        return "pod has unbound immediate PersistentVolumeClaims" if has_immediate else ""

    async def bind(self, namespace: str, names: tuple[str, ...], node: str) -> str:
        """Let the claims be bound for a pod on this node, and wait for it. Why it did not come to that, or nothing."""
        if not await self._all_bound(namespace, names, node):
            return "binding volumes: context deadline exceeded"
        return ""

    async def _all_bound(self, namespace: str, names: tuple[str, ...], node: str) -> bool:
        runtime = self._runtime
        ends_ns = runtime.monotonic_ns() + round(_BIND_TIMEOUT_S * 1e9)
        claims = self._caches.of(PERSISTENT_VOLUME_CLAIM)
        while True:
            signal: Signal[None] = runtime.signal()
            self._waiting.append(signal)
            open_claims = [claim for name in names if (claim := claims.get(name, namespace)) and not is_bound(claim)]
            if not open_claims:
                return True
            for claim in open_claims:
                if annotations_of(claim).get(SELECTED_NODE) is None:
                    patch = {"metadata": {"annotations": {SELECTED_NODE: node}}}
                    try:
                        await self._client.patch(PERSISTENT_VOLUME_CLAIM, claim["metadata"]["name"], patch, namespace)
                    except ApiError:
                        return False
            left_s = (ends_ns - runtime.monotonic_ns()) / 1e9
            if left_s <= 0 or not await runtime.wait(signal, left_s):
                return False
