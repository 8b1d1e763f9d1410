"""Settings of one kubelet, with the defaults of Kubernetes 1.36 (`reference/kubelet.md` section 2)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class KubeletOptions:
    """Durations in seconds.

    `uptime_s` is how long the kubelet has been up when the run begins: a young one spreads its first probes (5.1), which a node
    that joined long ago does not. `start_seen_s` is the time from a start to the look that notices it (measured 0.02);
    `startup_s` what a restarted kubelet needs before it works (1 to 2.5). `host_ip` empty: the node's InternalIP.
    """

    host_ip: str = ""
    serialize_image_pulls: bool = True
    max_container_restart_period_s: float = 300.0
    version: str = "1.36"
    uptime_s: float = 3600.0
    start_seen_s: float = 0.02
    startup_s: float = 1.0
