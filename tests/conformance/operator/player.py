"""Runs the steps of one recorded case in a world of its own and tells what came of it in the recording's form."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from rayrig_core.objects import JsonObject, copy_json, is_being_deleted, labels_of, name_of
from rayrig_core.resource_types import POD, ResourceType
from rayrig_core.resources import labels
from rayrig_core.timestamps import NS
from tests.conformance.operator.pod_states import PodState
from tests.conformance.operator.world import NAMESPACE, SNAPSHOT_TYPES, TYPES, World

_CONTROLLERS = ("rayservice-controller", "raycluster-controller", "networkpolicy-controller")
_POLL_S = 0.05
_NAME_PATIENCE_S = 20.0
_STIMULI = ("create", "patch", "delete", "pod", "deletepod", "patchpod", "kubelet")
_PATH_PART = re.compile(r'[^.\[\]"]+|"[^"]*"')
_EMPTY: tuple[object, ...] = (None, {}, [], "")


class StepFailed(Exception):
    """What a step waits for didn't come in time."""


def play(case: JsonObject) -> JsonObject:
    """`responses`, `snapshots`, `events`, `dashboard`, and `problems` if a step got stuck."""
    return Player(World(case.get("requires") or ()), case).play()


def slim_pod(pod: JsonObject) -> JsonObject:
    """What the recordings keep of a pod where it isn't the subject."""
    status, spec = pod.get("status") or {}, pod["spec"]
    ready = [c["status"] for c in status.get("conditions") or () if c["type"] == "Ready"]
    kept = ("name", "labels", "annotations", "ownerReferences", "deletionTimestamp")
    return {
        "kind": "Pod",
        "metadata": {key: value for key, value in pod["metadata"].items() if key in kept},
        "spec": {
            "restartPolicy": spec.get("restartPolicy"),
            "serviceAccountName": spec.get("serviceAccountName"),
            "containers": [{"name": c["name"], "image": c.get("image")} for c in spec["containers"]],
        },
        "status": {"phase": status.get("phase"), "ready": ready[0] if ready else None},
    }


def slim_endpoint_slice(endpoint_slice: JsonObject) -> JsonObject:
    """Which pods it shows, and whether they are ready."""
    service = labels_of(endpoint_slice).get(labels.SERVICE_NAME)
    endpoints = [
        {"pod": (each.get("targetRef") or {}).get("name"), "ready": (each.get("conditions") or {}).get("ready")}
        for each in endpoint_slice.get("endpoints") or ()
    ]
    return {
        "kind": "EndpointSlice",
        "metadata": {"labels": {labels.SERVICE_NAME: service}},
        "endpoints": sorted(endpoints, key=lambda endpoint: str(endpoint["pod"])),
    }


def dig(value: Any, path: str) -> Any:
    """The value at a path such as `status.conditions[type=Ready].status`; None when there is nothing."""
    for raw in _PATH_PART.findall(path):
        part = raw.strip('"')
        if value is None:
            return None
        if isinstance(value, list):
            key, is_search, wanted = part.partition("=")
            if is_search:
                value = next((item for item in value if str(item.get(key)) == wanted), None)
            else:
                value = value[int(part)] if int(part) < len(value) else None
        else:
            value = value.get(part)
    return value


class Player:
    """One case in one world. The steps are those of the recordings' README."""

    def __init__(self, world: World, case: JsonObject) -> None:
        self._world = world
        self._case = case
        self._shows_whole_pods = case["area"] == "pods"
        self._responses: list[JsonObject] = []
        self._snapshots: dict[str, JsonObject] = {}
        self._problems: list[str] = []
        self._zero_ns = world.kernel.unix_ns()
        self._seen_before_step = 0
        self._steps: dict[str, Callable[[JsonObject], None]] = {
            "create": self._create,
            "patch": self._patch,
            "delete": self._delete,
            "deletepod": self._delete_pods,
            "pod": self._pod,
            "patchpod": self._patch_pods,
            "kubelet": self._kubelet,
            "dashboard": self._dashboard,
            "operator": lambda step: self._world.operator(step["action"]),
            "wait": self._wait,
            "settle": self._settle,
            "sleep": lambda step: self._world.run(step["seconds"]),
            "snapshot": self._snapshot,
        }

    def play(self) -> JsonObject:
        world = self._world
        world.pods.policy.update(self._case.get("kubelet") or {})
        world.dashboards.configure("*", self._case.get("dashboard") or {})
        for obj in self._case.get("prerequisites") or ():
            self._post(obj)
        self._zero_ns = world.placeholders.zero_ns = world.kernel.unix_ns()
        for number, step in enumerate(self._case["steps"]):
            if step["op"] in _STIMULI:
                self._seen_before_step = world.observer.seen
            try:
                self._steps[step["op"]](step)
            except StepFailed as failed:
                self._problems.append(f"step {number} {step['op']}: {failed}")
                if self._case.get("stop_on_timeout", True):
                    break
        world.run(0.3)
        world.placeholders.refresh()
        shown = world.placeholders.value
        produced: JsonObject = {
            "dashboard": [shown(exchange.fields()) for exchange in world.dashboards.log],
            "events": self._events(),
            "responses": shown(self._responses),
            "snapshots": self._snapshots,
        }
        if self._problems:
            produced["problems"] = self._problems
        return produced

    # Names and pods

    def _await(self, holds: Callable[[], bool], timeout_s: float) -> bool:
        """Whether it came to hold within the time."""
        end_ns = self._world.kernel.unix_ns() + round(timeout_s * NS)
        while not holds():
            if self._world.kernel.unix_ns() > end_ns:
                return False
            self._world.run(_POLL_S)
        return True

    def _name(self, shown: str) -> str:
        """The name behind a placeholder, waited for."""
        found: list[str] = []

        def is_known() -> bool:
            self._world.placeholders.refresh()
            name = self._world.placeholders.real_name(shown)
            if name is None or "<" in name:
                return False
            found.append(name)
            return True

        if "<" not in shown:
            return shown
        if not self._await(is_known, _NAME_PATIENCE_S):
            raise StepFailed(f"unknown name {shown}")
        return found[0]

    def _real(self, value: Any) -> Any:
        self._world.placeholders.refresh()
        return self._world.placeholders.real(value)

    def _pods(self, select: JsonObject) -> list[JsonObject]:
        cluster = self._name(select["cluster"]) if select.get("cluster") else None
        wanted = {labels.CLUSTER: cluster, labels.NODE_TYPE: select.get("type"), labels.GROUP: select.get("group")}
        found = [
            pod
            for pod in self._world.observer.list("Pod")
            if all(value is None or labels_of(pod).get(key) == value for key, value in wanted.items())
            and (select.get("terminating") or not is_being_deleted(pod))
        ]
        index = select.get("index")
        return found if index is None else found[index : index + 1]

    def _some_pods(self, step: JsonObject) -> list[JsonObject]:
        select = step["select"]
        if not self._await(lambda: bool(self._pods(select)), _NAME_PATIENCE_S):
            raise StepFailed(f"no pod {select}")
        return self._pods(select)

    # Requests

    def _note(self, step: JsonObject, answer: tuple[int, Any]) -> None:
        code, body = answer
        self._responses.append({"op": step["op"], "code": code, **({"body": body} if code >= 400 else {})})

    def _post(self, obj: JsonObject) -> tuple[int, Any]:
        obj = self._real(copy_json(obj))
        obj["metadata"]["namespace"] = NAMESPACE
        known = TYPES[obj["kind"]]
        group, _, version = obj["apiVersion"].rpartition("/")
        return self._world.api.create(ResourceType(group, version, known.plural, known.kind), obj, NAMESPACE)

    def _create(self, step: JsonObject) -> None:
        self._note(step, self._post(step["object"]))

    def _patch(self, step: JsonObject) -> None:
        name, patch = self._name(step["name"]), self._real(step["patch"])
        subresource = step.get("subresource") or ""
        self._note(step, self._world.api.patch(TYPES[step["kind"]], name, patch, NAMESPACE, subresource=subresource))

    def _delete(self, step: JsonObject) -> None:
        policy = step.get("propagationPolicy")
        name = self._name(step["name"])
        self._note(step, self._world.api.delete(TYPES[step["kind"]], name, NAMESPACE, propagation_policy=policy))

    def _delete_pods(self, step: JsonObject) -> None:
        for pod in self._some_pods(step):
            self._note(step, self._world.api.delete(POD, name_of(pod), NAMESPACE))

    def _patch_pods(self, step: JsonObject) -> None:
        for pod in self._some_pods(step):
            self._note(step, self._world.api.patch(POD, name_of(pod), self._real(step["patch"]), NAMESPACE))

    # Surroundings

    def _pod(self, step: JsonObject) -> None:
        for pod in self._some_pods(step):
            if step.get("labels"):
                self._world.api.patch(POD, name_of(pod), {"metadata": {"labels": step["labels"]}}, NAMESPACE)
            if step.get("state"):
                details = {key: step[key] for key in ("restarts", "reason", "message", "exit_code") if key in step}
                self._world.pods.bring(pod, PodState(step["state"], **details))

    def _kubelet(self, step: JsonObject) -> None:
        pods = self._world.pods
        if "grace" in step:
            pods.grace_s = step["grace"]
        for key, state in (step.get("policy") or {}).items():
            owner, slash, rest = key.partition("/")
            pods.policy[self._name(owner) + slash + rest] = state
        if step.get("apply"):
            pods.apply_policy()
        if step.get("finish"):
            for pod in filter(is_being_deleted, self._world.observer.list("Pod")):
                pods.finish(pod)

    def _dashboard(self, step: JsonObject) -> None:
        cluster = step.get("cluster", "*")
        settings: JsonObject = {key: step[key] for key in ("mode", "deploy_gets", "apps", "proxy") if key in step}
        self._world.dashboards.configure(self._name(cluster), settings)

    # Waiting

    def _wait(self, step: JsonObject) -> None:
        last = (-1, -1)
        observer, log = self._world.observer, self._world.dashboards.log

        def holds() -> bool:
            nonlocal last
            now = (observer.seen, len(log))
            if now == last:
                return False
            last = now
            self._world.placeholders.refresh()
            return self._holds(step)

        if not self._await(holds, step.get("timeout", 30)) and not step.get("optional"):
            told = ", ".join(f"{key} {value}" for key, value in step.items() if key != "op")
            raise StepFailed(f"not within the time: {told}")

    def _holds(self, step: JsonObject) -> bool:
        if "pods" in step:
            return len(self._pods(step.get("select") or {})) == int(step["pods"])
        if "calls" in step:
            wanted = {key: value for key, value in step["calls"].items() if key != "min"}
            exchanges = [each.fields() for each in self._world.dashboards.log]
            found = [each for each in exchanges if all(each.get(key) == value for key, value in wanted.items())]
            return len(found) >= int(step["calls"].get("min", 1))
        name = self._world.placeholders.real_name(step["name"])
        obj = self._world.observer.get(step["kind"], name) if name else None
        if step.get("gone"):
            return obj is None
        if obj is None:
            return False
        if "path" not in step:
            return True
        value = self._world.placeholders.value(dig(obj, step["path"]))
        if "equals" in step:
            return bool(value == step["equals"])
        if "not" in step:
            return bool(value != step["not"])
        return (value in _EMPTY) == bool(step.get("absent"))

    def _settle(self, step: JsonObject) -> None:
        """Until nothing has changed for `quiet` seconds; a stimulus nobody answers is given `patience` seconds."""
        observer, kernel = self._world.observer, self._world.kernel
        quiet_ns, patience_ns = round(step.get("quiet", 2.6) * NS), round(step.get("patience", 7.0) * NS)
        begun_ns = kernel.unix_ns()

        def is_quiet() -> bool:
            now_ns = kernel.unix_ns()
            last_ns = max(observer.changed_ns or 0, self._zero_ns)
            was_answered = observer.seen - self._seen_before_step > 1
            return now_ns - last_ns >= quiet_ns and (was_answered or now_ns - begun_ns >= patience_ns)

        if not self._await(is_quiet, step.get("timeout", 40)):
            raise StepFailed("not settled")

    # What is told

    def _snapshot(self, step: JsonObject) -> None:
        world = self._world
        world.run(0.15)
        world.placeholders.refresh()
        shown: list[JsonObject] = []
        for resource in SNAPSHOT_TYPES:
            for obj in world.observer.list(resource.kind):
                value: JsonObject = {"kind": resource.kind, **world.placeholders.value(obj)}
                if resource is POD and not (self._shows_whole_pods or step.get("full")):
                    value = slim_pod(value)
                elif resource.kind == "EndpointSlice":
                    value = slim_endpoint_slice(value)
                value["metadata"].pop("creationTimestamp", None)
                shown.append(value)
        self._snapshots[step["name"]] = {"objects": shown}

    def _events(self) -> list[JsonObject]:
        kept = ("type", "reason", "action", "note", "reportingController")
        shown: list[JsonObject] = []
        events = self._world.observer.list("Event")
        for event in sorted(events, key=lambda event: str(event.get("eventTime") or "")):
            if event.get("reportingController") not in _CONTROLLERS:
                continue
            about = event.get("regarding") or {}
            told = {**{key: event.get(key) for key in kept}, "regarding": f"{about.get('kind')}/{about.get('name')}"}
            if (event.get("series") or {}).get("count"):
                told["count"] = event["series"]["count"]
            shown.append(self._world.placeholders.value(told))
        return shown
