"""What a trace says of one Ray cluster at a moment: its GCS, its nodes, and where Serve's proxies and replicas are."""

from __future__ import annotations

from rayrig_core.trace import Kind, TraceEvent

#: States of a replica that takes room on a node and keeps a proxy there.
LIVING = ("STARTING", "UPDATING", "RECOVERING", "RUNNING", "PENDING_MIGRATION")
_GONE_PROXY = ("GONE", "DRAINED")


class RayPicture:
    """A fold over events of the kinds RAY, PROXY, REPLICA, DEPLOYMENT and APPLICATION: the last of each thing."""

    def __init__(self, namespace: str, cluster: str) -> None:
        self.namespace = namespace
        self.cluster = cluster
        self._subject = f"rayclusters/{namespace}/{cluster}"
        self._serve = f"serve/{namespace}/{cluster}/"
        #: What became of the GCS and its head: "running", "recovered", "gone".
        self.gcs: TraceEvent | None = None
        #: The last loss of a head.
        self.lost_head: TraceEvent | None = None
        self.dashboard: TraceEvent | None = None
        self.controller: TraceEvent | None = None
        #: By the name of the pod.
        self.nodes: dict[str, TraceEvent] = {}
        self.proxies: dict[str, TraceEvent] = {}
        #: By application, `application/deployment` and `application/deployment/replica`.
        self.applications: dict[str, TraceEvent] = {}
        self.deployments: dict[str, TraceEvent] = {}
        self.replicas: dict[str, TraceEvent] = {}

    def see(self, event: TraceEvent) -> None:
        if event.kind is Kind.RAY:
            if event.subject == self._subject:
                self._see_ray(event)
            return
        if not event.subject.startswith(self._serve):
            return
        what = event.subject.removeprefix(self._serve)
        match event.kind:
            case Kind.PROXY:
                self.proxies[what.partition("/")[2]] = event
            case Kind.REPLICA:
                if event["state"] == "STOPPED":
                    self.replicas.pop(what, None)
                else:
                    self.replicas[what] = event
            case Kind.DEPLOYMENT:
                self.deployments[what] = event
            case _:
                self._see_application(what, event)

    def _see_application(self, name: str, event: TraceEvent) -> None:
        if event["status"] != "GONE":
            self.applications[name] = event
            return
        self.applications.pop(name, None)
        for key in [key for key in self.deployments if key.startswith(f"{name}/")]:
            del self.deployments[key]

    def _see_ray(self, event: TraceEvent) -> None:
        component, state = str(event["component"]), str(event["state"])
        if component == "gcs":
            self.gcs = event
        elif component == "head":
            # GCS, dashboard and Serve's controller die with it.
            self.gcs = self.dashboard = self.controller = self.lost_head = event
        elif component == "dashboard":
            self.dashboard = event
        elif component == "serve controller":
            self.controller = event
        elif component == "node":
            pod = str(event["detail"]).partition(" ")[0].rstrip(":")
            self.nodes[pod] = event
            if state == "gone":
                self.proxies.pop(pod, None)

    # Reading

    @property
    def is_gcs_up(self) -> bool:
        return self.gcs is not None and self.gcs["state"] in ("running", "recovered")

    @property
    def has_controller(self) -> bool:
        return self.controller is not None and self.controller["state"] in ("running", "restarted")

    def has_joined(self, pod: str) -> bool:
        node = self.nodes.get(pod)
        return node is not None and node["state"] != "gone"

    def proxy(self, pod: str) -> TraceEvent | None:
        """The proxy on a pod, if there is one."""
        found = self.proxies.get(pod)
        return None if found is None or found["state"] in _GONE_PROXY else found

    def living_replicas(self) -> dict[str, TraceEvent]:
        """Replicas that are not being stopped."""
        return {key: event for key, event in self.replicas.items() if event["state"] in LIVING}
