"""What all parts of one kubelet share: its ports, settings, clocks and records."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from rayrig_core.core_event_recorder import CoreEventRecorder, EventType
from rayrig_core.objects import JsonObject
from rayrig_core.ports import HttpClient, KubernetesClient, Runtime, Signal
from rayrig_sim.kubernetes.backoff import Backoff
from rayrig_sim.kubernetes.kubelet.container_records import PodRecord
from rayrig_sim.kubernetes.kubelet.containers import ContainerRuntime
from rayrig_sim.kubernetes.kubelet.images import ImageManager
from rayrig_sim.kubernetes.kubelet.node_ticks import NodeTicks
from rayrig_sim.kubernetes.kubelet.options import KubeletOptions
from rayrig_sim.kubernetes.kubelet.probes import Prober
from rayrig_sim.kubernetes.nodes.nodes import PRESSURE_EVENTS, node_reference


class NodeAgent:
    """The parts of one life of a kubelet. `records` are the node's and are handed from one life to the next."""

    def __init__(
        self,
        runtime: Runtime,
        client: KubernetesClient,
        node_name: str,
        containers: ContainerRuntime,
        rng: Random,
        options: KubeletOptions,
        recorder: CoreEventRecorder,
        records: dict[str, PodRecord],
        *,
        network: HttpClient | None,
        has_node: Callable[[], bool] | None,
        started_ns: int,
    ) -> None:
        self.runtime = runtime
        self.client = client
        self.node_name = node_name
        self.containers = containers
        self.rng = rng
        self.options = options
        self.recorder = recorder
        self.records = records
        self.host_ip = options.host_ip
        self.name = f"kubelet/{node_name}"
        self.ticks = NodeTicks(rng)
        self.images = ImageManager(runtime, containers, serial=options.serialize_image_pulls)
        self.restarts = Backoff(longest_s=options.max_container_restart_period_s)
        self.prober = Prober(runtime, version=options.version, network=network)
        self._has_node = has_node
        self._started_ns = started_ns
        #: Set while the process is stopped without being dead; whoever takes up work waits for it.
        self.frozen: Signal[None] | None = None

    @property
    def age_ns(self) -> int:
        """How long this kubelet has been running."""
        return self.runtime.monotonic_ns() - self._started_ns

    def pod_event(self, pod: JsonObject, type_: EventType, reason: str, note: str, field_path: str = "") -> None:
        regarding = {"kind": "Pod", "apiVersion": "v1", "metadata": pod["metadata"]}
        self.recorder.event(regarding, type_, reason, note, field_path=field_path)

    def tell_node_is_well(self) -> None:
        """What is said each time the Node is put together anew."""
        for reason in PRESSURE_EVENTS.values():
            text = f"Node {self.node_name} status is now: {reason}"
            self.recorder.event(node_reference(self.node_name), "Normal", reason, text)

    def look_up_node(self) -> None:
        """A pod's status takes addresses from the Node. One that was deleted is put together anew for that, and not registered."""
        if self._has_node is not None and not self._has_node():
            self.tell_node_is_well()

    def jittered_ns(self, duration_ns: int) -> int:
        """Lengthened by up to half, as every wait of a pod worker is."""
        return duration_ns + round(duration_ns * 0.5 * self.rng.random())
