"""The disruption controller: how many pods of a PodDisruptionBudget may be evicted now, in its status.

A percentage, and `maxUnavailable`, are of the pods that the workloads above the found pods ask for; a plain `minAvailable` is of
the pods found. An eviction that the API server let pass counts its pod as gone for two minutes, or until it is.
Source: Kubernetes, "Disruptions" and "Specifying a Disruption Budget"; K8-064.
"""

from __future__ import annotations

from dataclasses import dataclass

from rayrig_core.objects import (
    JsonObject,
    controller_of,
    is_being_deleted,
    key_of,
    labels_of,
    name_of,
    namespace_of,
    uid_of,
)
from rayrig_core.ports import EventRecorder, KubernetesClient, Runtime, WatchType
from rayrig_core.resource_types import (
    DEPLOYMENT,
    POD,
    POD_DISRUPTION_BUDGET,
    REPLICA_SET,
    STATEFUL_SET,
    ResourceType,
)
from rayrig_core.timestamps import NS, parse_rfc3339, rfc3339
from rayrig_sim.kubernetes.controlled_objects import ControlledObjects
from rayrig_sim.kubernetes.keyed_work import KeyedWork
from rayrig_sim.kubernetes.object_cache import Key, ObjectCaches
from rayrig_sim.kubernetes.selectors import LabelSelector, label_selector
from rayrig_sim.kubernetes.workloads.int_or_percent import amount_of
from rayrig_sim.kubernetes.workloads.pod_templates import is_ready

#: How long an eviction is believed to be under way.
_DISRUPTION_NS = 120 * NS
_CONDITION = "DisruptionAllowed"
_REPLICATION_CONTROLLER = ResourceType("", "v1", "replicationcontrollers", "ReplicationController")


class _NoScale(Exception):
    """The pods' workload doesn't say how many there are to be."""


@dataclass(frozen=True, slots=True)
class Counts:
    """`expected` pods there should be, `desired` of them healthy."""

    expected: int
    desired: int


class DisruptionController:
    """Works in the handlers of its caches; there is an actor for a budget while there is something to do for it."""

    def __init__(
        self,
        runtime: Runtime,
        client: KubernetesClient,
        caches: ObjectCaches,
        pods: ControlledObjects,
        recorder: EventRecorder,
    ) -> None:
        self._runtime = runtime
        self._client = client
        self._caches = caches
        self._pods = pods
        self._recorder = recorder
        self._budgets = ControlledObjects(caches, POD_DISRUPTION_BUDGET)
        self._selectors: dict[str, dict[Key, LabelSelector]] = {}
        self._work = KeyedWork(runtime, caches, "disruption-controller", self._sync)
        self._scaled = {each.kind: each for each in (DEPLOYMENT, REPLICA_SET, STATEFUL_SET)}
        caches.of(POD_DISRUPTION_BUDGET).on_change(self._on_budget)
        caches.of(POD).on_change(self._on_pod)

    def _on_budget(self, type_: WatchType, old: JsonObject | None, new: JsonObject, cause: int | None) -> None:
        key = key_of(new)
        if type_ is WatchType.DELETED:
            self._selectors.get(key[0], {}).pop(key, None)
            return
        self._selectors.setdefault(key[0], {})[key] = label_selector((new.get("spec") or {}).get("selector"))
        self._work.touch(key, cause)

    def _on_pod(self, type_: WatchType, old: JsonObject | None, new: JsonObject, cause: int | None) -> None:
        budgets = self._selectors.get(namespace_of(new)) if self._selectors else None
        if not budgets:
            return
        found = [key for key, selector in budgets.items() if selector.matches(labels_of(new))]
        if len(found) > 1:
            # Only one of them learns of the pod; evictions of it are refused.
            who = f'Pod "{namespace_of(new)}"/"{name_of(new)}"'
            text = f'{who} matches multiple PodDisruptionBudgets.  Chose "{found[0][1]}" arbitrarily.'
            self._recorder.event(_as_pod(new), "Warning", "MultiplePodDisruptionBudgets", text)
            del found[1:]
        if old is not None and labels_of(old) != labels_of(new):
            found += [key for key, selector in budgets.items() if key not in found and selector.matches(labels_of(old))]
        for key in found:
            self._work.touch(key, cause)

    async def _sync(self, key: Key) -> None:
        budget = self._budgets.get(key)
        if budget is None:
            return
        selector = label_selector((budget.get("spec") or {}).get("selector"))
        found = [pod for pod in self._pods.within(key[0]) if selector.matches(labels_of(pod))]
        if not found:
            self._recorder.event(budget, "Normal", "NoPods", "No matching pods found")
        now_ns = self._runtime.unix_ns()
        try:
            counts = await self._count(budget, found)
        except _NoScale as problem:
            text = f"Failed to calculate the number of expected pods: {problem}"
            self._recorder.event(budget, "Warning", "CalculateExpectedPodCountFailed", text)
            status = dict(budget.get("status") or {})
            status["disruptionsAllowed"] = 0
            status["observedGeneration"] = budget["metadata"].get("generation", 0)
            _put(status, "False", "SyncFailed", str(problem), now_ns)
            await self._write(budget, status)
            return
        disrupted, again_ns = _still_disrupted(budget, found, now_ns)
        healthy = sum(
            is_ready(pod) and not is_being_deleted(pod) and now_ns >= _believed_until(disrupted.get(name_of(pod)))
            for pod in found
        )
        allowed = healthy - counts.desired
        if counts.expected <= 0 or allowed <= 0:
            allowed = 0
        status = {"observedGeneration": budget["metadata"].get("generation", 0)}
        if disrupted:
            status["disruptedPods"] = disrupted
        status["disruptionsAllowed"] = allowed
        status["currentHealthy"] = healthy
        status["desiredHealthy"] = counts.desired
        status["expectedPods"] = counts.expected
        status["conditions"] = list((budget.get("status") or {}).get("conditions") or ())
        if allowed > 0:
            _put(status, "True", "SufficientPods", "", now_ns)
        else:
            _put(status, "False", "InsufficientPods", "", now_ns)
        await self._write(budget, status)
        if again_ns is not None:
            self._work.touch_after(key, (again_ns - now_ns) / NS)

    async def _write(self, budget: JsonObject, status: JsonObject) -> None:
        if status != (budget.get("status") or {}):
            body = {**budget, "status": status}
            self._budgets.wrote(await self._client.update(POD_DISRUPTION_BUDGET, body, subresource="status"))

    async def _count(self, budget: JsonObject, pods: list[JsonObject]) -> Counts:
        spec = budget.get("spec") or {}
        most, least = spec.get("maxUnavailable"), spec.get("minAvailable")
        if most is not None:
            expected = await self._expected(budget, pods)
            return Counts(expected, max(0, expected - amount_of(most, expected, round_up=True)))
        if isinstance(least, str):
            expected = await self._expected(budget, pods)
            return Counts(expected, amount_of(least, expected, round_up=True))
        if least is None:
            return Counts(0, 0)
        return Counts(len(pods), least)

    async def _expected(self, budget: JsonObject, pods: list[JsonObject]) -> int:
        """The sizes of the workloads above the pods, each counted once. A pod without one is passed over, as if not found."""
        sizes: dict[str, int] = {}
        unmanaged: list[str] = []
        for pod in pods:
            owner = controller_of(pod)
            if owner is None:
                unmanaged.append(name_of(pod))
                continue
            if owner["uid"] in sizes:
                continue
            uid, size = await self._size_above(owner, namespace_of(pod))
            sizes[uid] = size
        if unmanaged:
            text = (
                f"Pods selected by this PodDisruptionBudget (selector: {_selector_text(budget)}) were found to be unmanaged. As a "
                "result, the status of the PDB cannot be calculated correctly, which may result in undefined behavior. To "
                'account for these pods please set ".spec.minAvailable" field of the PDB to an integer value.'
            )
            self._recorder.event(budget, "Warning", "UnmanagedPods", text)
        return sum(sizes.values())

    async def _size_above(self, owner: JsonObject, namespace: str) -> tuple[str, int]:
        kind = owner["kind"]
        resource = self._scaled.get(kind)
        if kind == _REPLICATION_CONTROLLER.kind:
            resource = _REPLICATION_CONTROLLER
        if resource is None or not _is_of_group(owner, resource):
            return await self._size_by_subresource(owner, namespace)
        found = await self._found(resource, owner, namespace)
        if found is None:
            return owner["uid"], 0
        if resource == REPLICA_SET:
            above = controller_of(found)
            if above is not None and above["kind"] == DEPLOYMENT.kind:
                deployment = await self._found(DEPLOYMENT, above, namespace)
                if deployment is None:
                    return above["uid"], 0
                return above["uid"], int(deployment["spec"].get("replicas", 1))
        return owner["uid"], int((found.get("spec") or {}).get("replicas", 1))

    async def _found(self, resource: ResourceType, owner: JsonObject, namespace: str) -> JsonObject | None:
        if resource == _REPLICATION_CONTROLLER:
            found: JsonObject | None = await self._client.get(resource, owner["name"], namespace)
        else:
            found = self._caches.of(resource).get(owner["name"], namespace)
        return found if found is not None and uid_of(found) == owner["uid"] else None

    async def _size_by_subresource(self, owner: JsonObject, namespace: str) -> tuple[str, int]:
        raise _NoScale(f"{_plural_guess(owner['kind'])} does not implement the scale subresource")


def _as_pod(pod: JsonObject) -> JsonObject:
    return {"kind": POD.kind, "apiVersion": POD.api_version, "metadata": pod["metadata"]}


def _is_of_group(owner: JsonObject, resource: ResourceType) -> bool:
    return bool(owner["apiVersion"].rpartition("/")[0] == resource.group)


def _plural_guess(kind: str) -> str:
    word = kind.lower()
    if word.endswith("s"):
        return word + "es"
    return word[:-1] + "ies" if word.endswith("y") else word + "s"


def _selector_text(budget: JsonObject) -> str:
    selector = (budget.get("spec") or {}).get("selector") or {}
    labels = "".join(f"{name}: {value}," for name, value in sorted((selector.get("matchLabels") or {}).items()))
    expressions = "".join(map(_expression_text, selector.get("matchExpressions") or ()))
    wanted = f"MatchLabels:map[string]string{{{labels}}},MatchExpressions:[]LabelSelectorRequirement{{{expressions}}},"
    return f"&LabelSelector{{{wanted}}}"


def _expression_text(entry: JsonObject) -> str:
    values = " ".join(entry.get("values") or ())
    what = f"Key:{entry.get('key', '')},Operator:{entry.get('operator', '')},Values:[{values}],"
    return f"LabelSelectorRequirement{{{what}}},"


def _believed_until(evicted: str | None) -> int:
    return parse_rfc3339(evicted) + _DISRUPTION_NS if evicted else 0


def _still_disrupted(budget: JsonObject, pods: list[JsonObject], now_ns: int) -> tuple[dict[str, str], int | None]:
    """Pods evicted a short while ago that are not on their way out yet, and when the first of them is believed to stay."""
    evicted = (budget.get("status") or {}).get("disruptedPods") or {}
    present = {name_of(pod): pod for pod in pods}
    kept: dict[str, str] = {}
    again: int | None = None
    for name, at in evicted.items():
        pod = present.get(name)
        until = _believed_until(at)
        if pod is None or is_being_deleted(pod) or until < now_ns:
            continue
        kept[name] = at
        again = until if again is None else min(again, until)
    return kept, again


def _put(status: JsonObject, value: str, reason: str, message: str, now_ns: int) -> None:
    conditions = list(status.get("conditions") or ())
    before = next((each for each in conditions if each.get("type") == _CONDITION), None)
    changed = before is None or before.get("status") != value
    since = rfc3339(now_ns) if changed or before is None else before.get("lastTransitionTime") or rfc3339(now_ns)
    now = {
        "type": _CONDITION,
        "status": value,
        "observedGeneration": status["observedGeneration"],
        "lastTransitionTime": since,
        "reason": reason,
        "message": message,
    }
    if before is None:
        conditions.append(now)
    else:
        conditions[conditions.index(before)] = now
    status["conditions"] = conditions
