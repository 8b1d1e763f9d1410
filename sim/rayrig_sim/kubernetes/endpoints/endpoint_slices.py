"""The EndpointSlice controller: for each Service with a selector, slices that name its pods and their state.

A change of a pod or service is followed by a write after a short delay that gathers a burst. Changes of a pod that an endpoint
doesn't show wake nobody: so a pod that finishes by itself stays listed, unready, until another pod of the service changes, as in
the recordings. Source: kubelet.md 12.
"""

from __future__ import annotations

from random import Random

from rayrig_core.errors import ApiError
from rayrig_core.objects import (
    JsonObject,
    Vouched,
    is_being_deleted,
    key_of,
    labels_of,
    name_of,
    namespace_of,
    uid_of,
)
from rayrig_core.ports import EventRecorder, KubernetesClient, Runtime, WatchType
from rayrig_core.resource_types import ENDPOINT_SLICE, NODE, POD, SERVICE
from rayrig_core.timestamps import NS
from rayrig_core.trace import Kind
from rayrig_sim.calibration import Distribution
from rayrig_sim.kubernetes.endpoints.endpoints import (
    SERVICE_NAME_LABEL,
    SLICE_CAPACITY,
    PortResolver,
    Ports,
    SlicePlan,
    endpoint_of,
    is_listed,
    plan_slices,
    ports_json,
    ports_of_slice,
)
from rayrig_sim.kubernetes.endpoints.services_by_label import ServicesByLabel
from rayrig_sim.kubernetes.object_cache import Key, ObjectCaches, Part
from rayrig_sim.kubernetes.pod_states import PodState, PodStates
from rayrig_sim.kubernetes.selectors import LabelSelector, equality_selector

MANAGED_BY_LABEL = "endpointslice.kubernetes.io/managed-by"
HEADLESS_LABEL = "service.kubernetes.io/headless"
MANAGER = "endpointslice-controller.k8s.io"
#: First pause after a refused write; doubles up to 60 s.
_FIRST_RETRY_NS = 1 * NS
#: So often it is looked for a node that is not known, after 1 s, 2 s and so on.
_MOST_RETRIES, _LONGEST_RETRY_S = 15, 1000


class _Followed:
    """One service: its selector, its pods, its slices as last written or seen, and whether a write is on its way."""

    __slots__ = (
        "astray",
        "cause",
        "changed",
        "count",
        "failures",
        "is_busy",
        "is_dirty",
        "is_whole",
        "listed",
        "members",
        "places",
        "ports",
        "ready",
        "resolver",
        "selector",
        "service",
        "slices",
        "states",
        "writing",
    )

    def __init__(self, service: JsonObject) -> None:
        self.service = service
        self.selector: LabelSelector = equality_selector((service.get("spec") or {}).get("selector"))
        #: Pods that are selected, each with its number in the order in which they came.
        self.members: dict[Key, int] = {}
        self.count = 0
        self.slices: dict[str, JsonObject] = {}
        self.states: dict[str, str] = {}
        self.is_dirty = False
        self.is_busy = False
        self.failures = 0
        #: How often it was looked for nodes that pods have and nobody knows.
        self.astray = 0
        self.cause: int | None = None
        #: All members are to be looked at, not only those that changed.
        self.is_whole = True
        self.changed: dict[Key, None] = {}
        #: What is written of the members, and in which slice, when all of them have the same ports.
        self.listed: dict[Key, JsonObject] = {}
        self.places: dict[Key, str] = {}
        self.ports: Ports | None = None
        self.resolver = PortResolver()
        self.ready = 0
        #: Endpoints that are being written: whoever sees them sees nothing new.
        self.writing: list[JsonObject] | None = None

    def select(self, key: Key) -> None:
        """One more member."""
        self.count += 1
        self.members[key] = self.count


class EndpointSliceController:
    """Works in the handlers of its caches and starts an actor for each gathered change."""

    def __init__(
        self,
        runtime: Runtime,
        client: KubernetesClient,
        caches: ObjectCaches,
        recorder: EventRecorder,
        *,
        delay: Distribution,
        rng: Random,
    ) -> None:
        self._runtime = runtime
        self._client = client
        self._caches = caches
        self._recorder = recorder
        self._delay = delay
        self._rng = rng
        self._services: dict[str, dict[str, _Followed]] = {}
        self._selected = ServicesByLabel()
        self._early_slices: dict[Key, dict[str, JsonObject]] = {}
        #: Services with pods on a node that is not known: they are looked at again when it comes.
        self._waiting_for_node: dict[str, dict[Key, None]] = {}
        self._pods = caches.of(POD)
        self._states = caches.shared(PodStates)
        self._nodes = caches.of(NODE)
        caches.of(SERVICE).on_change(self._on_service)
        caches.of(ENDPOINT_SLICE).on_change(self._on_slice)
        self._pods.on_change(self._on_pod, Part.LABELS | Part.SPEC | Part.STATUS | Part.DELETION)
        self._nodes.on_change(self._on_node)

    # Watching

    def _on_service(self, type_: WatchType, old: JsonObject | None, new: JsonObject, cause: int | None) -> None:
        namespace, name = key_of(new)
        services = self._services.setdefault(namespace, {})
        followed = services.get(name)
        if type_ is WatchType.DELETED:
            services.pop(name, None)
            self._selected.drop(namespace, name)
            if followed is not None:
                followed.is_dirty = False
            return
        if not (new.get("spec") or {}).get("selector"):
            services.pop(name, None)
            self._selected.drop(namespace, name)
            return
        if followed is None or uid_of(followed.service) != uid_of(new):
            followed = services[name] = _Followed(new)
            followed.slices = self._early_slices.pop((namespace, name), {})
        elif old is not None and old.get("spec") == new.get("spec") and labels_of(old) == labels_of(new):
            followed.service = new
            return
        followed.service = new
        followed.selector = equality_selector(new["spec"]["selector"])
        self._selected.put(namespace, name, new["spec"]["selector"])
        followed.members = {}
        for pod in self._pods.selected(namespace, new["spec"]["selector"]):
            followed.select(key_of(pod))
        self._touch(followed, cause)

    def _on_pod(self, type_: WatchType, old: JsonObject | None, new: JsonObject, cause: int | None) -> None:
        had, has = self._states.before_and_after(old, new)
        key = has.key
        services = self._services.get(key[0])
        if not services:
            return
        if type_ is WatchType.DELETED:
            for name in self._selected.of(key[0], (had or has).labels):
                followed = services[name]
                if key in followed.members:
                    del followed.members[key]
                    self._touch(followed, cause, key)
            return
        relabelled = had is None or (had.labels is not has.labels and had.labels != has.labels)
        visible = had is None or (had != has and _shown(had) != _shown(has))
        if not relabelled and not visible:
            if has.is_over:
                # Nobody is woken by that, but who looks next sees it.
                for name in self._selected.of(key[0], has.labels):
                    services[name].changed[key] = None
            return
        names = self._selected.of(key[0], has.labels)
        for name in names:
            followed = services[name]
            was = key in followed.members
            if not was:
                followed.select(key)
            if visible or not was:
                self._touch(followed, cause, key)
        if relabelled and had is not None:
            for name in self._selected.of(key[0], had.labels):
                if name not in names and key in services[name].members:
                    del services[name].members[key]
                    self._touch(services[name], cause, key)

    def _on_slice(self, type_: WatchType, old: JsonObject | None, new: JsonObject, cause: int | None) -> None:
        labels = labels_of(new)
        service, namespace = labels.get(SERVICE_NAME_LABEL), namespace_of(new)
        if not service or labels.get(MANAGED_BY_LABEL) != MANAGER:
            return
        followed = self._services.get(namespace, {}).get(service)
        if followed is None:
            # Slices may be listed before their service.
            early = self._early_slices.setdefault((namespace, service), {})
            if type_ is WatchType.DELETED:
                early.pop(name_of(new), None)
            else:
                early[name_of(new)] = new
            return
        known = followed.slices.get(name_of(new))
        if type_ is WatchType.DELETED:
            if known is not None:
                del followed.slices[name_of(new)]
                followed.is_whole = True
                if not is_being_deleted(followed.service):
                    self._touch(followed, cause)
        elif known is not None and _version(known) >= _version(new):
            return  # our own write, come back
        else:
            followed.slices[name_of(new)] = new
            endpoints = new.get("endpoints")
            if known is not None and known.get("endpoints") != endpoints:
                is_own = endpoints is not None and endpoints is followed.writing
                self._touch(followed, cause, whole=not is_own)

    def _on_node(self, type_: WatchType, old: JsonObject | None, new: JsonObject, cause: int | None) -> None:
        if type_ is WatchType.DELETED or (old is not None and labels_of(old) != labels_of(new)):
            # Nobody is woken by that; who looks next looks at all.
            for services in self._services.values():
                for each in services.values():
                    each.is_whole = True
        if type_ is WatchType.ADDED:
            for namespace, name in self._waiting_for_node.pop(name_of(new), {}):
                followed = self._services.get(namespace, {}).get(name)
                if followed is not None:
                    self._touch(followed, cause)

    def _touch(self, followed: _Followed, cause: int | None, member: Key | None = None, *, whole: bool = True) -> None:
        """Something about a member is new, or about all there is."""
        if member is not None:
            followed.changed[member] = None
        elif whole:
            followed.is_whole = True
        followed.cause = cause
        followed.is_dirty = True
        if not followed.is_busy:
            followed.is_busy = True
            self._runtime.spawn("endpointslice-controller", self._sync(followed))

    # Writing

    async def _sync(self, followed: _Followed) -> None:
        runtime = self._runtime
        try:
            while followed.is_dirty:
                await runtime.sleep(self._delay.draw_ns(self._rng) / NS)
                if not self._nodes.synced.is_set or not self._pods.synced.is_set:
                    await self._caches.wait_synced()
                if not followed.is_dirty:
                    return
                followed.is_dirty = False
                runtime.cause = followed.cause
                try:
                    await self._write(followed)
                    followed.failures = 0
                except ApiError as error:
                    followed.is_whole = True
                    if error.code == 404 or is_being_deleted(followed.service):
                        return
                    followed.failures += 1
                    followed.is_dirty = True
                    await runtime.sleep(min(_FIRST_RETRY_NS << followed.failures - 1, 60 * NS) / NS)
        finally:
            followed.is_busy = False

    async def _write(self, followed: _Followed) -> None:
        plan = None if followed.is_whole else self._plan_changes(followed)
        if plan is not None:
            await self._carry_out(followed, plan)
            return
        service = followed.service
        followed.is_whole, followed.ports = True, None
        followed.changed.clear()
        wanted, skipped = self._wanted(followed)
        plan = plan_slices(list(followed.slices.values()), wanted)
        labels = _labels_of_slices(service)
        touched = [name_of(slice_) for slice_, _ in plan.update] + plan.delete
        for name, slice_ in followed.slices.items():
            if labels_of(slice_) != labels and name not in touched:
                plan.update.append((slice_, slice_.get("endpoints") or []))
        if not plan.is_empty:
            self._tell_all(followed, wanted)
            await self._carry_out(followed, plan)
        if skipped:
            self._tell_of_skipped(followed, skipped)
        else:
            followed.astray = 0
            self._settle(followed, wanted)

    def _tell_of_skipped(self, followed: _Followed, skipped: list[tuple[str, str]]) -> None:
        """Pods whose node is not known were left out; they are looked at again, less and less often."""
        service = followed.service
        namespace, name = key_of(service)
        why = [f"skipping Pod {pod} for Service {namespace}/{name}: Node {node} Not Found" for pod, node in skipped]
        text = why[0] if len(why) == 1 else f"[{', '.join(why)}]"
        note = f"Error updating Endpoint Slices for Service {namespace}/{name}: {text}"
        self._recorder.event(service, "Warning", "FailedToUpdateEndpointSlices", note)
        if followed.astray < _MOST_RETRIES:
            delay_s = min(1 << followed.astray, _LONGEST_RETRY_S)
            followed.astray += 1
            self._runtime.spawn("endpointslice-controller/later", self._look_again(followed, delay_s))

    async def _look_again(self, followed: _Followed, delay_s: float) -> None:
        await self._runtime.sleep(delay_s)
        namespace, name = key_of(followed.service)
        if followed.astray and self._services.get(namespace, {}).get(name) is followed:
            self._touch(followed, None)

    async def _carry_out(self, followed: _Followed, plan: SlicePlan) -> None:
        service = followed.service
        namespace, labels = namespace_of(service), _labels_of_slices(service)
        for slice_, endpoints in plan.update:
            body = Vouched(slice_, endpoints=endpoints) if endpoints else {**slice_, "endpoints": None}
            body["metadata"] = {**slice_["metadata"], "labels": labels}
            followed.writing = endpoints
            written = await self._client.update(ENDPOINT_SLICE, body)
            followed.slices[name_of(written)] = written
        for ports, endpoints in plan.create:
            written = await self._client.create(ENDPOINT_SLICE, _new_slice(service, ports, endpoints), namespace)
            followed.slices[name_of(written)] = written
            for each in endpoints:
                followed.places[namespace, each["targetRef"]["name"]] = name_of(written)
        for name in plan.delete:
            followed.slices.pop(name, None)
            try:
                await self._client.delete(ENDPOINT_SLICE, name, namespace)
            except ApiError as error:
                if error.code != 404:
                    raise

    def _wanted(self, followed: _Followed) -> tuple[dict[Ports, list[JsonObject]], list[tuple[str, str]]]:
        """Endpoints by ports, and the pods that are left out because nobody knows their node, each with its name."""
        service = followed.service
        namespace, service_name = key_of(service)
        groups: dict[Ports, list[JsonObject]] = {}
        skipped: list[tuple[str, str]] = []
        for _, pod_name in followed.members:
            pod = self._pods.get(pod_name, namespace)
            if pod is None or not is_listed(pod):
                continue
            node_name = (pod.get("spec") or {}).get("nodeName") or ""
            node = self._nodes.get(node_name)
            if node is None:
                self._waiting_for_node.setdefault(node_name, {})[(namespace, service_name)] = None
                skipped.append((pod_name, node_name))
                continue
            groups.setdefault(followed.resolver.ports(service, pod), []).append(endpoint_of(service, pod, node))
        return groups, skipped

    # Members that changed, when nothing else did

    def _settle(self, followed: _Followed, wanted: dict[Ports, list[JsonObject]]) -> None:
        """All that is wanted is written. From now on only members that change are looked at, if all have the same ports."""
        if len(wanted) != 1:
            return
        (ports, endpoints), *_ = wanted.items()
        if any(ports_of_slice(slice_) != ports for slice_ in followed.slices.values()):
            return
        namespace = namespace_of(followed.service)
        followed.listed = {(namespace, each["targetRef"]["name"]): each for each in endpoints}
        followed.places = {
            (namespace, each["targetRef"]["name"]): name
            for name, slice_ in followed.slices.items()
            for each in slice_.get("endpoints") or ()
        }
        if followed.places.keys() != followed.listed.keys():
            return
        followed.ready = sum(each["conditions"]["ready"] for each in endpoints)
        followed.states = {each["targetRef"]["name"]: _word(each["conditions"]) for each in endpoints}
        followed.ports, followed.is_whole = ports, False

    def _plan_changes(self, followed: _Followed) -> SlicePlan | None:
        """As `plan_slices`, for the members that changed; None when a slice is to go. Tells of it, too."""
        service, slices, places = followed.service, followed.slices, followed.places
        ports = followed.ports
        assert ports is not None
        now: dict[Key, JsonObject | None] = {}
        drafts: dict[str, list[JsonObject]] = {}
        fresh: list[tuple[int, Key, JsonObject]] = []
        for key in followed.changed:
            endpoint: JsonObject | None = None
            pod = self._pods.get(key[1], key[0]) if key in followed.members else None
            if pod is not None and is_listed(pod):
                node = self._nodes.get((pod.get("spec") or {}).get("nodeName") or "")
                if node is None or followed.resolver.ports(service, pod) != ports:
                    return None
                endpoint = endpoint_of(service, pod, node)
            before = followed.listed.get(key)
            if before == endpoint:
                continue
            now[key] = endpoint
            if before is None:
                assert endpoint is not None
                fresh.append((followed.members[key], key, endpoint))
                continue
            place = places[key]
            draft = drafts.get(place)
            if draft is None:
                draft = drafts[place] = list(slices[place].get("endpoints") or ())
            index = _index(draft, before)
            if index is None or (endpoint is not None and _identity(draft[index]) != _identity(endpoint)):
                return None
            if endpoint is None:
                del draft[index]
            else:
                draft[index] = endpoint
        fresh.sort(key=_number)
        filled: dict[Key, str] = {}
        left = 0
        for place, slice_ in slices.items():
            if left == len(fresh):
                break
            room = SLICE_CAPACITY - len(drafts.get(place) or slice_.get("endpoints") or ())
            if room > 0:
                draft = drafts.setdefault(place, list(slice_.get("endpoints") or ()))
                for _, key, endpoint in fresh[left : left + room]:
                    draft.append(endpoint)
                    filled[key] = place
                left += room
        if not all(drafts.values()):
            return None
        beyond = [endpoint for _, _, endpoint in fresh[left:]]
        followed.changed.clear()
        create = [(ports, beyond[n : n + SLICE_CAPACITY]) for n in range(0, len(beyond), SLICE_CAPACITY)]
        plan = SlicePlan(create, update=[(slice_, drafts[name]) for name, slice_ in slices.items() if name in drafts])
        if now:
            self._tell_changes(followed, now)
        for key, found in now.items():
            if found is None:
                del followed.listed[key], places[key]
            else:
                followed.listed[key] = found
        places.update(filled)
        return plan

    def _tell_changes(self, followed: _Followed, now: dict[Key, JsonObject | None]) -> None:
        told: list[tuple[int, str]] = []
        gone: list[str] = []
        for key, endpoint in now.items():
            before = followed.listed.get(key)
            followed.ready -= before is not None and before["conditions"]["ready"]
            if endpoint is None:
                gone.append(f"{key[1]} removed")
                followed.states.pop(key[1], None)
                continue
            followed.ready += endpoint["conditions"]["ready"]
            word = _word(endpoint["conditions"])
            if followed.states.get(key[1]) != word:
                followed.states[key[1]] = word
                told.append((followed.members[key], f"{key[1]} {word}"))
        self._tell(followed, followed.ready, [text for _, text in sorted(told)] + gone)

    def _tell_all(self, followed: _Followed, wanted: dict[Ports, list[JsonObject]]) -> None:
        """One trace event: how many are ready, and which endpoints changed to what."""
        states: dict[str, str] = {}
        ready = 0
        for endpoints in wanted.values():
            for endpoint in endpoints:
                conditions = endpoint["conditions"]
                ready += conditions["ready"]
                states[endpoint["targetRef"]["name"]] = _word(conditions)
        before = followed.states
        changes = [f"{name} {state}" for name, state in states.items() if before.get(name) != state]
        changes += [f"{name} removed" for name in before if name not in states]
        followed.states = states
        self._tell(followed, ready, changes)

    def _tell(self, followed: _Followed, ready: int, changes: list[str]) -> None:
        namespace, name = key_of(followed.service)
        self._runtime.cause = self._runtime.trace.emit(
            Kind.ENDPOINTS, f"services/{namespace}/{name}", ready, ", ".join(changes)
        )


def _index(endpoints: list[JsonObject], wanted: JsonObject) -> int | None:
    """Where the endpoint of that pod is: as it was written itself, or as a server has read it."""
    for index, each in enumerate(endpoints):
        if each is wanted:
            return index
    name = wanted["targetRef"]["name"]
    return next((n for n, each in enumerate(endpoints) if each["targetRef"]["name"] == name), None)


def _number(entry: tuple[int, Key, JsonObject]) -> int:
    return entry[0]


def _identity(endpoint: JsonObject) -> tuple[str, str]:
    return endpoint["targetRef"].get("uid", ""), endpoint["addresses"][0]


def _word(conditions: JsonObject) -> str:
    if conditions["terminating"]:
        return "terminating" if conditions["serving"] else "terminating, unready"
    if not conditions["ready"]:
        return "unready"
    return "ready" if conditions["serving"] else "published while unready"


def _shown(state: PodState) -> tuple[str, str, bool, bool, bool]:
    """What an endpoint shows of a pod. That it is over counts only with a deletion: see the module's text."""
    _, _, ip, node, is_ready, is_deleting, is_over = state
    return ip, node, is_ready, is_deleting, is_deleting and is_over


def _version(obj: JsonObject) -> int:
    return int(obj["metadata"].get("resourceVersion") or 0)


def _labels_of_slices(service: JsonObject) -> dict[str, str]:
    labels = {**labels_of(service), SERVICE_NAME_LABEL: name_of(service), MANAGED_BY_LABEL: MANAGER}
    if (service.get("spec") or {}).get("clusterIP") == "None":
        labels[HEADLESS_LABEL] = ""
    return labels


def _new_slice(service: JsonObject, ports: Ports, endpoints: list[JsonObject]) -> JsonObject:
    name = name_of(service)
    owner = {
        "apiVersion": "v1",
        "kind": "Service",
        "name": name,
        "uid": uid_of(service),
        "controller": True,
        "blockOwnerDeletion": True,
    }
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "generateName": f"{name}-",
            "namespace": namespace_of(service),
            "labels": _labels_of_slices(service),
            "ownerReferences": [owner],
        },
        "addressType": "IPv4",
        "endpoints": endpoints or None,
        "ports": ports_json(ports),
    }
