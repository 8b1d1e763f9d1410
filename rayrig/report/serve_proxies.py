"""Why a worker pod is not ready: what a trace says of the Serve proxy on it.

KubeRay's readiness probe of a worker asks the Serve proxy on its node (kuberay-operator.md), and Serve runs a proxy only where a
replica is. The probe's own text does not say so; the trace does.
"""

from __future__ import annotations

from rayrig_core.trace import Kind, Trace, TraceEvent

FOLDED = (Kind.RAY, Kind.PROXY)


class ServeProxies:
    """A fold over `FOLDED` events: where Ray nodes and Serve proxies are, by `namespace/pod`."""

    def __init__(self) -> None:
        self._workers: dict[str, bool] = {}
        self._proxies: dict[str, str] = {}

    @classmethod
    def of(cls, trace: Trace) -> ServeProxies:
        """Of a whole trace."""
        proxies = cls()
        for event in trace.select(*FOLDED):
            proxies.see(event)
        return proxies

    def see(self, event: TraceEvent) -> None:
        parts = event.subject.split("/")
        if event.kind is Kind.PROXY:
            self._proxies[f"{parts[1]}/{parts[4]}"] = str(event["state"])
            return
        pod = f"{parts[1]}/{str(event['detail']).partition(' ')[0].rstrip(':')}"
        if event["component"] in ("gcs", "head"):
            self._workers[pod] = False
            if event["state"] == "gone":
                self._proxies.pop(pod, None)
        elif event["component"] == "node":
            if event["state"] == "joined":
                self._workers.setdefault(pod, True)
            else:
                self._workers.pop(pod, None)
                self._proxies.pop(pod, None)

    def why_unready(self, namespace: str, pod: str) -> str:
        """In a few words; empty when the proxy is not what it fails for, or nothing is known."""
        key = f"{namespace}/{pod}"
        if not self._workers.get(key):
            return ""
        match self._proxies.get(key, "GONE"):
            case "GONE" | "DRAINED":
                return "no Serve proxy on it, for it has no replica"
            case "STARTING":
                return "its Serve proxy is still starting"
            case "DRAINING":
                return "its Serve proxy drains, for no replica is left on it"
            case _:
                return ""

    def is_healthy(self, namespace: str, pod: str) -> bool:
        return self._proxies.get(f"{namespace}/{pod}") == "HEALTHY"
