"""What `kubectl drain`, `kubectl cordon` and `kubectl uncordon` do to a node, over the client port.

Which pods go is decided by `verdict_on`; the rest is doing it: cordon, evict all of them at once through the eviction subresource,
ask again each 5 s while a disruption budget forbids it, and look each second whether they are gone. Words and times are those of
kubectl 1.37, observed against a served API server. A time limit is looked at before each attempt to evict, so that an eviction that
is refused ends up to 5 s after it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import Enum

from rayrig_core.errors import ApiError, NotFound
from rayrig_core.objects import JsonObject, annotations_of, controller_of, name_of, namespace_of, uid_of
from rayrig_core.ports import KubernetesClient, Runtime
from rayrig_core.resource_types import DAEMON_SET, NODE, POD
from rayrig_core.resources.durations import format_go_duration
from rayrig_core.timestamps import NS, parse_rfc3339
from rayrig_core.trace import Kind

EVICTION_RETRY_S = 5.0
_LOOK_EACH_S = 1.0
_MIRROR = "kubernetes.io/config.mirror"
_OVER = ("Succeeded", "Failed")
_DEADLINE = "context deadline exceeded"


@dataclass(frozen=True, slots=True)
class DrainOptions:
    """The options of `kubectl drain`, by their names there. `grace_period_s` None: each pod's own; `timeout_s` 0: no limit."""

    ignore_daemonsets: bool = False
    delete_emptydir_data: bool = False
    force: bool = False
    disable_eviction: bool = False
    grace_period_s: int | None = None
    timeout_s: float = 0.0
    pod_selector: str = ""
    skip_wait_for_delete_timeout_s: int = 0


class Treatment(Enum):
    """What becomes of a pod of a node that is drained."""

    EVICT = "evict"
    LEAVE = "leave"
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True)
class Verdict:
    """`text` is what kubectl says about pods so treated: a warning, or why the drain is refused; empty for neither."""

    treatment: Treatment
    text: str = ""


def verdict_on(
    pod: JsonObject, options: DrainOptions, unix_ns: int, daemon_set_problem: Callable[[JsonObject], str]
) -> Verdict:
    """kubectl's rules, in its order: the first that says other than evict has the last word, and of warnings the last one stays.

    `daemon_set_problem` is what the API server answers when asked for the DaemonSet of a pod; empty when it is there.
    """
    metadata, is_over = pod["metadata"], (pod.get("status") or {}).get("phase") in _OVER
    deleted, limit_s = metadata.get("deletionTimestamp"), options.skip_wait_for_delete_timeout_s
    if limit_s > 0 and deleted and unix_ns - parse_rfc3339(deleted) > limit_s * NS:
        return Verdict(Treatment.LEAVE)
    owner, warning = controller_of(pod), ""
    if owner is not None and owner.get("kind") == DAEMON_SET.kind and not is_over:
        problem = daemon_set_problem(pod)
        if problem and options.force:
            warning = problem
        elif problem:
            return Verdict(Treatment.REFUSE, problem)
        elif not options.ignore_daemonsets:
            return Verdict(Treatment.REFUSE, "DaemonSet-managed Pods (use --ignore-daemonsets to ignore)")
        else:
            return Verdict(Treatment.LEAVE, "ignoring DaemonSet-managed Pods")
    if _MIRROR in annotations_of(pod):
        return Verdict(Treatment.LEAVE)
    if is_over:
        return Verdict(Treatment.EVICT)
    if any("emptyDir" in volume for volume in pod["spec"].get("volumes") or ()):
        if not options.delete_emptydir_data:
            return Verdict(Treatment.REFUSE, "Pods with local storage (use --delete-emptydir-data to override)")
        warning = "deleting Pods with local storage"
    if owner is None:
        if not options.force:
            text = "Pods that declare no controller (use --force to override)"
            return Verdict(Treatment.REFUSE, text)
        warning = "deleting Pods that declare no controller"
    return Verdict(Treatment.EVICT, warning)


@dataclass(slots=True)
class DrainOutcome:
    """What kubectl printed, line by line, and the errors it ended with; none when the node is drained."""

    lines: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    #: Pods (`namespace/name`) that were evicted and are gone, in the order in which they went.
    gone: list[str] = field(default_factory=list)
    #: How often an eviction was refused for a disruption budget.
    refusals: int = 0

    @property
    def is_drained(self) -> bool:
        return not self.errors

    @property
    def is_out_of_time(self) -> bool:
        """Whether nothing but the time limit was in the way."""
        return bool(self.errors) and all("deadline exceeded" in e or "timeout reached" in e for e in self.errors)

    @property
    def error(self) -> str:
        """The errors as kubectl joins them."""
        several = list(dict.fromkeys(self.errors))
        return several[0] if len(several) == 1 else "[" + ", ".join(several) + "]" if several else ""


async def set_unschedulable(client: KubernetesClient, runtime: Runtime, node: str, wanted: bool) -> str:
    """`kubectl cordon` and `kubectl uncordon`; what it prints. Raises `ApiError`, `NotFound` for no such node."""
    state = "cordoned" if wanted else "uncordoned"
    found = await client.get(NODE, node)
    if bool((found.get("spec") or {}).get("unschedulable")) == wanted:
        return f"node/{node} already {state}"
    await client.patch(NODE, node, {"spec": {"unschedulable": True if wanted else None}}, patch_type="strategic")
    runtime.trace.emit(Kind.NODE, f"nodes/{node}", state, "")
    return f"node/{node} {state}"


class Drain:
    """`kubectl drain` of one node."""

    def __init__(self, runtime: Runtime, client: KubernetesClient, node: str, options: DrainOptions) -> None:
        self.node = node
        self.options = options
        self.outcome = DrainOutcome()
        self._runtime = runtime
        self._client = client
        self._deadline_ns: int | None = None

    async def run(self) -> DrainOutcome:
        """To the end, whichever way it ends. Raises `ApiError` for what kubectl gives up at: no such node, no permission."""
        runtime, outcome = self._runtime, self.outcome
        await self._client.get(NODE, self.node)
        subject = f"nodes/{self.node}"
        runtime.cause = runtime.trace.emit(Kind.NODE, subject, "draining", "")
        outcome.lines.append(await set_unschedulable(self._client, runtime, self.node, True))
        pods = await self._pods_to_go()
        if not outcome.errors:
            if self.options.timeout_s:
                self._deadline_ns = runtime.monotonic_ns() + round(self.options.timeout_s * NS)
            await (self._delete(pods) if self.options.disable_eviction else self._evict_all(pods))
        if outcome.is_drained:
            outcome.lines.append(f"node/{self.node} drained")
            runtime.trace.emit(Kind.NODE, subject, "drained", "")
        else:
            outcome.lines.append(f'error: unable to drain node "{self.node}" due to error: {outcome.error}')
            state = "drain timed out" if outcome.is_out_of_time else "drain failed"
            runtime.trace.emit(Kind.NODE, subject, state, outcome.error)
        return outcome

    # Which

    async def _pods_to_go(self) -> list[JsonObject]:
        """The pods to evict. What forbids the drain is added to the errors."""
        answer = await self._client.list(
            POD, field_selector=f"spec.nodeName={self.node}", label_selector=self.options.pod_selector
        )
        problems: dict[str, str] = {}
        for pod in answer.items:
            owner = controller_of(pod)
            if owner is not None and owner.get("kind") == DAEMON_SET.kind:
                problems[uid_of(pod)] = await self._daemon_set_problem(pod, owner["name"])
        now_ns = self._runtime.unix_ns()
        verdicts = [
            (pod, verdict_on(pod, self.options, now_ns, lambda pod: problems[uid_of(pod)])) for pod in answer.items
        ]
        refused = _by_text((pod, verdict) for pod, verdict in verdicts if verdict.treatment is Treatment.REFUSE)
        if refused:
            self.outcome.errors += [f"cannot delete {text}: {names}" for text, names in refused]
            return []
        warned = _by_text((pod, verdict) for pod, verdict in verdicts if verdict.text)
        if warned:
            self.outcome.lines.append("Warning: " + "; ".join(f"{text}: {names}" for text, names in warned))
        return [pod for pod, verdict in verdicts if verdict.treatment is Treatment.EVICT]

    async def _daemon_set_problem(self, pod: JsonObject, name: str) -> str:
        try:
            await self._client.get(DAEMON_SET, name, namespace_of(pod))
        except ApiError as error:
            return error.message
        return ""

    # Evicting

    async def _evict_all(self, pods: list[JsonObject]) -> None:
        runtime = self._runtime
        tasks = [runtime.spawn(f"drain/{self.node}/{name_of(pod)}", self._evict(pod)) for pod in pods]
        for task in tasks:
            await task

    async def _evict(self, pod: JsonObject) -> None:
        outcome, runtime = self.outcome, self._runtime
        namespace, name = namespace_of(pod), name_of(pod)
        body: JsonObject = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": name, "namespace": namespace},
        }
        if self.options.grace_period_s is not None:
            body["deleteOptions"] = {"gracePeriodSeconds": self.options.grace_period_s}
        what = f'error when evicting pods/"{name}" -n "{namespace}"'
        while True:
            outcome.lines.append(f"evicting pod {namespace}/{name}")
            if self._is_late():
                limit = format_go_duration(round(self.options.timeout_s * NS))
                outcome.errors.append(f"{what}: global timeout reached: {limit}")
                return
            try:
                await self._client.create_subresource(POD, name, "eviction", body, namespace)
                break
            except NotFound:
                return
            except ApiError as refused:
                if _is_ending(refused, pod):
                    break
                if refused.code != 429 and not _is_of_ending_namespace(refused):
                    outcome.errors.append(f"{what}: {refused.message}")
                    return
                self._refused(pod, refused)
                outcome.lines.append(f"{what} (will retry after {EVICTION_RETRY_S:g}s): {refused.message}")
            await runtime.sleep(EVICTION_RETRY_S)
        problem = await self._until_gone([pod], "evicted")
        if problem:
            text = f'error when waiting for pod "{name}" in namespace "{namespace}" to terminate: {problem}'
            outcome.errors.append(text)

    def _refused(self, pod: JsonObject, refused: ApiError) -> None:
        self.outcome.refusals += 1
        detail = f"pod {name_of(pod)}: {refused.message}"
        self._runtime.trace.emit(Kind.NODE, f"nodes/{self.node}", "eviction refused", detail)

    async def _delete(self, pods: list[JsonObject]) -> None:
        """`--disable-eviction`: budgets are not asked."""
        for pod in pods:
            try:
                await self._client.delete(
                    POD, name_of(pod), namespace_of(pod), grace_period_seconds=self.options.grace_period_s
                )
            except NotFound:
                continue
            except ApiError as refused:
                self.outcome.errors.append(refused.message)
                return
        problem = await self._until_gone(pods, "deleted")
        if problem:
            self.outcome.errors.append(problem)

    # Waiting

    async def _until_gone(self, pods: list[JsonObject], verb: str) -> str:
        """Wait until all have gone; what came in between, if something did. kubectl looks at once and then each second."""
        left = list(pods)
        while True:
            still = []
            for pod in left:
                try:
                    is_gone = await self._is_gone(pod)
                except ApiError as refused:
                    return refused.message
                if is_gone:
                    self.outcome.lines.append(f"pod/{name_of(pod)} {verb}")
                    self.outcome.gone.append(f"{namespace_of(pod)}/{name_of(pod)}")
                else:
                    still.append(pod)
            left = still
            if not left:
                return ""
            if self._is_late():
                return _DEADLINE
            pause_s = _LOOK_EACH_S
            if self._deadline_ns is not None:
                pause_s = min(pause_s, (self._deadline_ns - self._runtime.monotonic_ns()) / NS)
            await self._runtime.sleep(pause_s)

    async def _is_gone(self, pod: JsonObject) -> bool:
        try:
            found = await self._client.get(POD, name_of(pod), namespace_of(pod))
        except NotFound:
            return True
        deleted, limit_s = found["metadata"].get("deletionTimestamp"), self.options.skip_wait_for_delete_timeout_s
        if limit_s > 0 and deleted and self._runtime.unix_ns() - parse_rfc3339(deleted) > limit_s * NS:
            return True
        return uid_of(found) != uid_of(pod)

    def _is_late(self) -> bool:
        return self._deadline_ns is not None and self._runtime.monotonic_ns() >= self._deadline_ns


def _by_text(verdicts: Iterable[tuple[JsonObject, Verdict]]) -> list[tuple[str, str]]:
    """(text, the pods it is said of), in the order of the first pod of each."""
    found: dict[str, list[str]] = {}
    for pod, verdict in verdicts:
        found.setdefault(verdict.text, []).append(f"{namespace_of(pod)}/{name_of(pod)}")
    return [(text, ", ".join(names)) for text, names in found.items()]


def _is_of_ending_namespace(refused: ApiError) -> bool:
    causes = (refused.status.get("details") or {}).get("causes") or ()
    return refused.code == 403 and any(cause.get("reason") == "NamespaceTerminating" for cause in causes)


def _is_ending(refused: ApiError, pod: JsonObject) -> bool:
    """Of a pod that goes with its namespace already, nothing more is asked."""
    return bool(pod["metadata"].get("deletionTimestamp")) and _is_of_ending_namespace(refused)
