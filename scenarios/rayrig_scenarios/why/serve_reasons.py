"""What is behind the probes of a Ray pod: raylet and GCS, the dashboard, Serve's proxy, the replica without which there is none.

KubeRay's readiness probe of a RayService's worker asks the raylet and then the Serve proxy of its node; the head's asks the raylet
and the GCS (kuberay-operator.md 3.17). Serve runs a proxy on the head and wherever a replica is (ray-serve.md 6.1). With a trace,
what Ray was up to is known; on a real cluster the RayService's status has to do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from rayrig_core.objects import JsonObject, condition_of, has_condition, labels_of, name_of, namespace_of
from rayrig_core.resources.labels import CLUSTER, HEAD, NODE_TYPE
from rayrig_core.trace import TraceEvent
from rayrig_scenarios.why.causes import causes_of, lasting_fault, with_causes
from rayrig_scenarios.why.chain import Link
from rayrig_scenarios.why.ending import why_retired
from rayrig_scenarios.why.evidence import Evidence, key_text
from rayrig_scenarios.why.ray_picture import RayPicture
from rayrig_scenarios.why.stages import Stage, spec_of_container, standing, status_of_container
from rayrig_scenarios.wording import one_line, subject_text, tell
from rayrig_sim.kubernetes.kubelet import health_commands
from rayrig_sim.kubernetes.kubelet.probe_history import ProbeRun

PROXY_PATH = "/-/healthz"
GCS_PATHS = ("/api/gcs_healthz",)
#: KubeRay's init container of workers.
GCS_WAIT = "wait-gcs-ready"
_MOST_LINES = 8
_WHOLE = 100

#: Explains another pod: the head, of which a worker says that it is not ready.
ExplainPod = Callable[[JsonObject], list[Link]]


@dataclass(frozen=True, slots=True)
class Check:
    """The part of a probe that failed: what it asked, and what it got as far as that is known."""

    port: int
    path: str
    got: str


def failed_check(probe: JsonObject, run: ProbeRun) -> Check | None:
    """Of a probe over HTTP or one of KubeRay's commands; None for others."""
    if "httpGet" in probe:
        http = probe["httpGet"]
        port = http.get("port")
        return Check(port if isinstance(port, int) else 0, http.get("path") or "/", one_line(run.text))
    try:
        checks = health_commands.parse(tuple((probe.get("exec") or {}).get("command") or ()))
    except (health_commands.NotUnderstood, ValueError):
        return None
    if run.detail:
        told = run.detail.rpartition("; ")[2].removeprefix("localhost:")
        for check in checks:
            where = f"{check.port}{check.path}: "
            if told.startswith(where):
                return Check(check.port, check.path, told.removeprefix(where))
    if "timed out" in run.text:
        return None
    # Each part that was fine has printed its line.
    passed = len(run.text.split("\n")) - 1 if run.text.strip() else 0
    failed = checks[min(passed, len(checks) - 1)]
    return Check(failed.port, failed.path, "")


def is_ray_pod(pod: JsonObject) -> bool:
    return CLUSTER in labels_of(pod)


def is_head(pod: JsonObject) -> bool:
    return labels_of(pod).get(NODE_TYPE) == HEAD


def why_ray_probe_fails(
    pod: JsonObject, container: str, run: ProbeRun, evidence: Evidence, explain_pod: ExplainPod
) -> list[Link]:
    """From a failing readiness probe down into Ray and Serve."""
    if not is_ray_pod(pod):
        return []
    probe = spec_of_container(pod, container).get("readinessProbe") or {}
    check = failed_check(probe, run)
    picture = evidence.ray(namespace_of(pod), labels_of(pod)[CLUSTER])
    if check is None:
        return _hanging(pod, evidence)
    if check.path == PROXY_PATH:
        if picture is None:
            return _proxy_from_statuses(pod, evidence, explain_pod)
        left_over = _why_raylet_is_left_over(pod, picture, evidence)
        return left_over or _why_proxy_does_not_answer(pod, run, check, picture, evidence, explain_pod)
    if picture is None:
        return [] if is_head(pod) else _why_head(pod, evidence, explain_pod)
    if is_head(pod):
        return _why_head_is_unhealthy(pod, check, picture, evidence)
    if not picture.has_joined(name_of(pod)):
        node = picture.nodes.get(name_of(pod))
        text = (
            "its raylet has not joined the Ray cluster" if node is None else "its raylet is not part of the Ray cluster"
        )
        link = Link(text, None if node is None else node.t_ns, (), None if node is None else node.seq)
        return [link, *why_gcs_is_missing(pod, evidence, explain_pod)]
    hanging = _hanging(pod, evidence)
    if hanging:
        return hanging
    joined = picture.nodes[name_of(pod)]
    return [Link("its raylet has joined, and its dashboard agent does not answer yet", joined.t_ns, (), joined.seq)]


def _hanging(pod: JsonObject, evidence: Evidence) -> list[Link]:
    subject = f"pods/{key_text(pod)}"
    return lasting_fault(evidence, "proxy-hang", "raylet-hang", "gcs-redis-loss", subjects=(subject,))


# The head and its GCS


def _why_head_is_unhealthy(pod: JsonObject, check: Check, picture: RayPicture, evidence: Evidence) -> list[Link]:
    faults = _hanging(pod, evidence)
    if faults:
        what = "its GCS cannot reach its Redis" if "gcs-redis-loss" in faults[0].text else "it does not answer"
        return [Link(what, faults[0].t_ns), *faults]
    gcs = picture.gcs
    if gcs is None or not picture.is_gcs_up:
        if gcs is None:
            return [Link("its GCS is still starting")]
        why = one_line(gcs["detail"]).partition(": ")[2]
        text = f"its GCS does not run ({why})" if why else "its GCS does not run"
        return [Link(text, gcs.t_ns, (), gcs.seq), *causes_of(evidence, gcs.seq)]
    if check.path in GCS_PATHS and (picture.dashboard is None or picture.dashboard["state"] != "running"):
        return [Link("its dashboard, which answers for the GCS, is still starting", gcs.t_ns, (), gcs.seq)]
    if not picture.has_joined(name_of(pod)):
        return [Link("its raylet is still starting", gcs.t_ns, (), gcs.seq)]
    if check.got.endswith("refused"):
        joined = picture.nodes[name_of(pod)]
        return [Link("its dashboard agent is still starting", joined.t_ns, (), joined.seq)]
    return []


def why_gcs_is_missing(pod: JsonObject, evidence: Evidence, explain_pod: ExplainPod) -> list[Link]:
    """A worker finds no GCS: what keeps it."""
    picture = evidence.ray(namespace_of(pod), labels_of(pod).get(CLUSTER, ""))
    if picture is None:
        waiting = Link("its head pod is ready; what the container gets stands in its log (kubectl logs)")
        return _why_head(pod, evidence, explain_pod) or [waiting]
    gcs = picture.gcs
    if picture.is_gcs_up:
        assert gcs is not None
        return [Link("the GCS runs, it has yet to be found (asked for each 5 s)", gcs.t_ns, (), gcs.seq)]
    head = evidence.head_of(pod)
    if gcs is not None:
        links = [
            Link("the GCS of the Ray cluster is gone with its head", gcs.t_ns, (), gcs.seq),
            *causes_of(evidence, gcs.seq),
        ]
        if head is None or len(links) > 1:
            return links
        return [*links, *_why_head(pod, evidence, explain_pod)]
    if head is not None and standing(head).stage in (Stage.READINESS_PROBE, Stage.STARTUP_PROBE, Stage.READY):
        container = head["spec"]["containers"][0]["name"]
        versions = evidence.versions(key_text(head))
        since_ns = evidence.since(
            versions, lambda obj: "running" in (status_of_container(obj, container).get("state") or {})
        )
        return [Link(f"the GCS is still starting in the head pod {name_of(head)}, whose container runs", since_ns)]
    return [Link("the GCS of the Ray cluster does not run yet"), *_why_head(pod, evidence, explain_pod)]


def _why_head(pod: JsonObject, evidence: Evidence, explain_pod: ExplainPod) -> list[Link]:
    head = evidence.head_of(pod)
    if head is None:
        return [Link("the Ray cluster has no head pod")]
    if has_condition(head, "Ready"):
        return []
    name = name_of(head)
    first, *more = explain_pod(head)
    return [Link(f"head pod {name}: {first.text}", first.t_ns, first.details, first.source), *more]


def why_gcs_was_lost(pod: JsonObject, ended_ns: int, evidence: Evidence) -> list[Link]:
    """A worker's raylet ended because its GCS did not come back."""
    picture = evidence.ray(namespace_of(pod), labels_of(pod).get(CLUSTER, ""))
    if picture is None:
        return []
    gone = [
        event
        for event in evidence.trace_events(f"rayclusters/{namespace_of(pod)}/{labels_of(pod)[CLUSTER]}")
        if event.kind.label == "ray"
        and event["component"] == "head"
        and event["state"] == "gone"
        and event.t_ns <= ended_ns
    ]
    return with_causes(evidence, gone[-1]) if gone else []


# The proxy and the replicas


def _why_proxy_does_not_answer(
    pod: JsonObject, run: ProbeRun, check: Check, picture: RayPicture, evidence: Evidence, explain_pod: ExplainPod
) -> list[Link]:
    proxy = picture.proxy(name_of(pod))
    if proxy is None:
        last = picture.proxies.get(name_of(pod))
        details = ("Serve runs a proxy on the head and wherever a replica is; the readiness probe asks the proxy",)
        link = Link(
            "no Serve proxy runs on it, for it has no replica",
            None if last is None else last.t_ns,
            details,
            None if last is None else last.seq,
        )
        return [link, *why_no_replica(pod, picture, evidence, explain_pod)]
    match proxy["state"]:
        case "STARTING":
            link = Link("its Serve proxy is still starting", proxy.t_ns, (), proxy.seq)
            return [link, *causes_of(evidence, proxy.seq)]
        case "DRAINING":
            link = Link("its Serve proxy drains, for no replica is left on it", proxy.t_ns, (), proxy.seq)
            return [link, *_where_replicas_went(pod, picture, evidence)]
        case "UNHEALTHY":
            link = Link(f"its Serve proxy is unhealthy: {proxy['detail']}", proxy.t_ns, (), proxy.seq)
            return [link, *causes_of(evidence, proxy.seq)]
        case _:
            return _why_healthy_proxy_fails(pod, proxy, run, check, picture, evidence)


def _why_healthy_proxy_fails(
    pod: JsonObject, proxy: TraceEvent, run: ProbeRun, check: Check, picture: RayPicture, evidence: Evidence
) -> list[Link]:
    """Serve's controller holds it healthy: it has become so since the last probe, or something befell it unnoticed."""
    subjects = (f"pods/{key_text(pod)}",)
    if proxy.t_ns > run.last_ns:
        return [Link("its Serve proxy has become healthy since; the next probe will tell", proxy.t_ns, (), proxy.seq)]
    unnoticed = ("Serve's controller checks its proxies each 10 s, and believes the third failure",)
    if check.got.endswith("refused"):
        killed = lasting_fault(evidence, "proxy-kill", subjects=subjects, after=proxy.seq)
        text = "nothing listens on its Serve proxy's port: the process has ended, which Serve's controller has not noticed yet"
        return [Link(text, killed[0].t_ns if killed else None, unnoticed), *killed]
    if check.got.startswith("answered"):
        text = f"its Serve proxy {check.got}: it has no replica to send requests to yet"
        return [Link(text, run.first_ns), *_why_no_replica_runs(picture, evidence)]
    hanging = lasting_fault(evidence, "proxy-hang", subjects=subjects, after=proxy.seq)
    return [Link("its Serve proxy does not answer", hanging[0].t_ns if hanging else None, unnoticed), *hanging]


def _why_raylet_is_left_over(pod: JsonObject, picture: RayPicture, evidence: Evidence) -> list[Link]:
    """Its cluster ended with the head: what was in the GCS is lost, and a raylet waits in vain before it gives up."""
    node, gcs, lost = picture.nodes.get(name_of(pod)), picture.gcs, picture.lost_head
    if node is None or gcs is None or lost is None or node.seq > lost.seq or gcs["state"] == "recovered":
        return []
    details = (
        "it gives up and is started anew 60 s after the loss, unless RAY_gcs_rpc_server_reconnect_timeout_s says otherwise",
    )
    head = str(lost["detail"])
    link = Link(
        f"its raylet belongs to the Ray cluster that ended with its head ({head})", lost.t_ns, details, lost.seq
    )
    return [link, *causes_of(evidence, lost.seq)]


def _where_replicas_went(pod: JsonObject, picture: RayPicture, evidence: Evidence) -> list[Link]:
    stopping = [
        event for event in picture.replicas.values() if event["node"] == name_of(pod) and event["state"] == "STOPPING"
    ]
    if not stopping:
        return [_where_replicas_are(picture), *_target_capacity(pod, evidence)]
    last = max(stopping, key=lambda event: event.seq)
    return [_link(last), *causes_of(evidence, last.seq)]


def why_no_replica(pod: JsonObject, picture: RayPicture, evidence: Evidence, explain_pod: ExplainPod) -> list[Link]:
    """Serve has placed no replica on a worker: there is no Serve yet, its deployments are in trouble, or it needs no more."""
    if not picture.has_controller:
        controller = picture.controller
        if controller is not None:
            link = Link("Serve's controller does not run", controller.t_ns, (), controller.seq)
            return [link, *causes_of(evidence, controller.seq), *_why_head(pod, evidence, explain_pod)]
        link = Link(
            "no applications have been sent to the Ray cluster yet: the operator does so when the head is ready"
        )
        return [link, *_why_head(pod, evidence, explain_pod)]
    if not picture.applications:
        controller = picture.controller
        assert controller is not None
        return [Link("Serve has no applications yet", controller.t_ns, (), controller.seq)]
    return _deployments_in_trouble(picture, evidence) or [
        _where_replicas_are(picture),
        *_target_capacity(pod, evidence),
    ]


def _target_capacity(pod: JsonObject, evidence: Evidence) -> list[Link]:
    """An incremental upgrade lets a Ray cluster have only a share of its replicas, and none when it is over."""
    for service in evidence.ray_services:
        for slot in ("activeServiceStatus", "pendingServiceStatus"):
            known = (service.get("status") or {}).get(slot) or {}
            share = known.get("targetCapacity")
            is_its = known.get("rayClusterName") == labels_of(pod)[CLUSTER] and namespace_of(service) == namespace_of(
                pod
            )
            if is_its and share is not None and int(share) < _WHOLE:
                text = (
                    f"RayService {name_of(service)} gives this Ray cluster {share} % of its capacity during the upgrade"
                )
                return [Link(text)]
    return why_retired(labels_of(pod)[CLUSTER], evidence)


def _why_no_replica_runs(picture: RayPicture, evidence: Evidence) -> list[Link]:
    """Replicas have their places, but none is up."""
    troubled = _deployments_in_trouble(picture, evidence)
    if troubled:
        return troubled
    starting = [event for event in picture.living_replicas().values() if event["state"] != "RUNNING"]
    if not starting:
        return []
    first = min(starting, key=lambda event: event.seq)
    text = "a replica is" if len(starting) == 1 else f"{len(starting)} replicas are"
    return [Link(f"{text} still starting", first.t_ns, (), first.seq)]


def _deployments_in_trouble(picture: RayPicture, evidence: Evidence) -> list[Link]:
    """Deployments, or applications, that say what is wrong."""
    troubled = [event for event in picture.deployments.values() if event["status"] in ("UNHEALTHY", "DEPLOY_FAILED")]
    troubled += [event for event in picture.deployments.values() if _has_trouble(event) and event not in troubled]
    if troubled:
        links = [_link(event) for event in troubled[:_MOST_LINES]]
        first, *others = links
        details = (*_words(troubled[0]), *(link.text for link in others))
        return [Link(first.text, first.t_ns, details, first.source), *causes_of(evidence, troubled[0].seq)]
    failed = [event for event in picture.applications.values() if event["status"] in ("UNHEALTHY", "DEPLOY_FAILED")]
    return [_link(failed[0])] if failed else []


def _has_trouble(deployment: TraceEvent) -> bool:
    """Whether its replicas do not come up; the message of one that is on its way says only where to."""
    return any(words in str(deployment["message"]) for words in ("failed to start", "taken more than"))


def _where_replicas_are(picture: RayPicture) -> Link:
    replicas = picture.living_replicas()
    unplaced = [key for key, event in replicas.items() if not event["node"]]
    lines = []
    for deployment, where in _by_deployment(replicas).items():
        placed = ", ".join(f"{node} ({count})" if count > 1 else node for node, count in where.items() if node)
        total, without = sum(where.values()), where.get("", 0)
        told = [f"on {placed}"] if placed else []
        told += [f"{without} without a place" if placed else "without a place"] if without else []
        lines.append(f"{deployment}: {total} replica{'' if total == 1 else 's'}, {', '.join(told)}")
    if unplaced:
        waiting = sorted({key.rpartition("/")[0] for key in unplaced})
        since_ns = min(replicas[key].t_ns for key in unplaced)
        count = len(unplaced)
        who = "a replica" if count == 1 else f"{count} replicas"
        text = f"{who} of {', '.join(waiting)} wait{'s' if count == 1 else ''} for resources in Ray"
        return Link(text, since_ns, tuple(lines[:_MOST_LINES]))
    starting = [event for event in replicas.values() if event["state"] == "STARTING"]
    if not replicas:
        newest = list(picture.applications.values())[-1]
        if newest["status"] == "RUNNING":
            return Link("Serve is to run no replica at all", newest.t_ns, (), newest.seq)
        text = f"no replica has been started yet: {subject_text((newest.subject,))} is {tell(newest)}"
        return Link(text, newest.t_ns, (), newest.seq)
    last = max(replicas.values(), key=lambda event: event.seq)
    text = "every replica has its place on another node, and no further one is asked for"
    if starting:
        text = "every replica has its place on another node, where some are starting; no further one is asked for"
    return Link(text, last.t_ns, tuple(lines[:_MOST_LINES]), last.seq)


def _by_deployment(replicas: Mapping[str, TraceEvent]) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for key, event in replicas.items():
        where = found.setdefault(key.rpartition("/")[0], {})
        node = str(event["node"] or "")
        where[node] = where.get(node, 0) + 1
    return found


def _link(event: TraceEvent) -> Link:
    if event.kind.label == "serve.replica":
        detail = one_line(event["detail"], most=120)
        text = f"{subject_text((event.subject,))} is {str(event['state']).lower()}" + (f": {detail}" if detail else "")
        return Link(text, event.t_ns, (), event.seq)
    return Link(f"{subject_text((event.subject,))} is {tell(event)}", event.t_ns, (), event.seq)


def _words(event: TraceEvent) -> tuple[str, ...]:
    """A message of several lines, such as a traceback, beneath the short form of it."""
    first, *lines = [line for line in str(event["message"] or "").splitlines() if line.strip()] or [""]
    rest = first.partition(". ")[2]
    return (*((rest,) if rest else ()), *(line.rstrip() for line in lines[-_MOST_LINES:]))


# A real cluster: what the RayService's status says


def _proxy_from_statuses(pod: JsonObject, evidence: Evidence, explain_pod: ExplainPod) -> list[Link]:
    details = ("Serve runs a proxy on the head and wherever a replica is; the readiness probe asks the proxy",)
    links = [Link("no Serve proxy answers on it: most often no replica is placed there", None, details)]
    cluster = labels_of(pod)[CLUSTER]
    for service in evidence.ray_services:
        status = service.get("status") or {}
        for slot in ("activeServiceStatus", "pendingServiceStatus"):
            known = status.get(slot) or {}
            if known.get("rayClusterName") == cluster and namespace_of(service) == namespace_of(pod):
                link = _applications_link(service, known)
                return [*links, link, *_why_head(pod, evidence, explain_pod)]
    return [*links, *_why_head(pod, evidence, explain_pod)]


def _applications_link(service: JsonObject, known: JsonObject) -> Link:
    lines = []
    bad = []
    for name, application in sorted((known.get("applicationStatuses") or {}).items()):
        lines.append(_status_line(f"application {name}", application))
        if application.get("status") != "RUNNING":
            bad.append(f"{name} is {application.get('status')}")
        for deployment, one in sorted((application.get("serveDeploymentStatuses") or {}).items()):
            lines.append(_status_line(f"deployment {name}/{deployment}", one))
    text = f"RayService {name_of(service)} reports that {', '.join(bad)}" if bad else ""
    if not lines:
        ready = condition_of(service, "Ready") or {}
        lines = [one_line(ready.get("message"))] if ready.get("message") else []
        text = f"RayService {name_of(service)} reports no applications in {known.get('rayClusterName')} yet"
    elif not bad:
        text = f"RayService {name_of(service)} reports its applications running: their replicas are on other nodes"
    return Link(text, None, tuple(lines[:_MOST_LINES]))


def _status_line(what: str, status: JsonObject) -> str:
    message = one_line(status.get("message"))
    return f"{what}: {status.get('status')}" + (f": {message}" if message else "")
