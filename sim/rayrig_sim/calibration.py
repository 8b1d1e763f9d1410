"""Every duration that no manifest states, as a distribution with its source, in one place.

A `Calibration` is a value: a scenario overrides entries by name (`Calibration().with_overrides({"image_pull": "8s"})`), and every
actor draws from it with its own random stream. Durations are drawn in whole nanoseconds. A default whose comment says "guess" was
neither recorded nor documented.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from functools import cache
from math import exp, log
from random import Random
from typing import Any, Protocol

from rayrig_core.errors import InputError
from rayrig_core.remedies import closest
from rayrig_core.resources.durations import parse_go_duration
from rayrig_core.timestamps import NS


def _require(condition: bool, text: str) -> None:
    if not condition:
        raise ValueError(text)


class Distribution(Protocol):
    """A duration that is drawn anew each time."""

    def draw_ns(self, rng: Random) -> int:
        """One duration in nanoseconds, never negative."""
        ...

    @property
    def mean_s(self) -> float:
        """Mean in seconds, for reports and rough bounds."""
        ...


@dataclass(frozen=True, slots=True)
class Constant:
    """Always `value_s`. Draws nothing from the stream."""

    value_s: float

    def __post_init__(self) -> None:
        _require(self.value_s >= 0, "a duration cannot be negative")

    def draw_ns(self, rng: Random) -> int:
        return round(self.value_s * NS)

    @property
    def mean_s(self) -> float:
        return self.value_s


@dataclass(frozen=True, slots=True)
class Uniform:
    """Evenly spread over [low_s, high_s]."""

    low_s: float
    high_s: float

    def __post_init__(self) -> None:
        _require(0 <= self.low_s <= self.high_s, "uniform needs 0 <= low <= high")

    def draw_ns(self, rng: Random) -> int:
        low = self.low_s
        return round((low + (self.high_s - low) * rng.random()) * NS)

    @property
    def mean_s(self) -> float:
        return (self.low_s + self.high_s) / 2


@dataclass(frozen=True, slots=True)
class LogNormal:
    """Median `median_s`; `sigma` is the standard deviation of the logarithm (0.25 keeps 95 % within a factor of 1.63)."""

    median_s: float
    sigma: float

    def __post_init__(self) -> None:
        _require(self.median_s > 0 and self.sigma >= 0, "lognormal needs median > 0 and sigma >= 0")

    def draw_ns(self, rng: Random) -> int:
        return round(rng.lognormvariate(log(self.median_s), self.sigma) * NS)

    @property
    def mean_s(self) -> float:
        return self.median_s * exp(self.sigma * self.sigma / 2)


@dataclass(frozen=True, slots=True)
class Exponential:
    """Memoryless with mean `mean_s`, on top of `least_s`."""

    mean_s_above: float
    least_s: float = 0.0

    def __post_init__(self) -> None:
        _require(self.mean_s_above > 0 and self.least_s >= 0, "exponential needs mean > 0 and least >= 0")

    def draw_ns(self, rng: Random) -> int:
        return round((self.least_s + rng.expovariate(1.0) * self.mean_s_above) * NS)

    @property
    def mean_s(self) -> float:
        return self.least_s + self.mean_s_above


def drawing(distribution: Distribution, rng: Random) -> tuple[Callable[[], int], int] | None:
    """`distribution.draw_ns(rng)` for who makes it very often, and the longest it gives; None when there is no longest."""
    if isinstance(distribution, Constant):
        value_ns = distribution.draw_ns(rng)
        return (lambda: value_ns), value_ns
    if not isinstance(distribution, Uniform):
        return None
    low, span, random = distribution.low_s, distribution.high_s - distribution.low_s, rng.random
    # The same numbers in the same order as `Uniform.draw_ns`, or the same draw would give another time.
    return (lambda: round((low + span * random()) * NS)), round(distribution.high_s * NS) + 1


@dataclass(frozen=True, slots=True)
class Calibration:
    """One entry per duration. Names are what scenarios override; "recorded" means in the project's reference recordings."""

    # Kubernetes: API server and controllers
    #: Time of one API call as its caller sees it. Recorded: a write is followed by the next actor's write after 0.01–0.05 s.
    api_latency: Distribution = Uniform(0.002, 0.008)
    #: From a write to its watch event at a client. kubelet.md 1: write plus watch, median 0.02 s.
    watch_latency: Distribution = Uniform(0.002, 0.012)
    #: From a pod's write to the EndpointSlice's. kubelet.md 1 and 12: 0.01–0.05 s.
    endpoints_latency: Distribution = Uniform(0.01, 0.05)
    #: From an EndpointSlice's write until a node's packet rules follow. kubernetes-api.md 11: within about a second, less on
    #: small clusters; the split is a guess.
    service_proxy_latency: Distribution = Uniform(0.1, 0.5)
    #: From a write to a Gateway, its routes or their Services until the gateway does so and the status says it. Guess.
    gateway_latency: Distribution = Uniform(0.1, 0.5)
    #: What a provisioner takes to make a volume for a claim. Guess.
    volume_provisioning: Distribution = Uniform(1.0, 4.0)
    #: From the queue's head to the binding request. kubelet.md 1: 0.01–0.05 s from creation to binding.
    scheduling_latency: Distribution = Uniform(0.002, 0.01)
    #: Reaction of garbage collector and namespace controller to a deletion. Guess.
    garbage_collection_latency: Distribution = Uniform(0.01, 0.05)

    # Kubelet and container runtime
    #: Registry pull of an image that is absent. Guess for a 1–2 GB Ray image in the same region.
    image_pull: Distribution = LogNormal(12.0, 0.25)
    #: Check that an image is present. Guess.
    image_present: Distribution = Constant(0.005)
    #: Sandbox and network set-up. kubelet.md 3.1 recorded 0.01 s with make-believe networks; 0.2–0.5 s with real ones is a guess.
    sandbox_start: Distribution = Uniform(0.2, 0.5)
    #: Tear-down of a sandbox. Guess.
    sandbox_stop: Distribution = Uniform(0.05, 0.2)
    #: Create and start of a container up to its process's first instruction. Guess.
    container_start: Distribution = Uniform(0.1, 0.3)
    #: Taking a Ray pod's processes down after SIGTERM. Guess; kubelet.md 6 recorded 2 s for a head killed by liveness.
    container_stop: Distribution = Uniform(0.5, 2.0)

    # Ray
    #: `ray start --head` until the GCS answers. Guess.
    gcs_start: Distribution = LogNormal(2.0, 0.15)
    #: `ray start` until the raylet is registered with the GCS. Guess.
    raylet_start: Distribution = LogNormal(1.5, 0.15)
    #: From the GCS's answer until the dashboard answers on its port. Guess.
    dashboard_start: Distribution = LogNormal(2.0, 0.2)
    #: Dashboard agent (52365) after its raylet. Guess.
    dashboard_agent_start: Distribution = LogNormal(1.5, 0.2)
    #: A worker pod's wait for the GCS looks each 5 s (KubeRay's init container); this is one look. Guess.
    gcs_lookup: Distribution = Uniform(0.5, 1.5)
    #: A new GCS process until it serves again from its store (with fault tolerance). Guess.
    gcs_recovery: Distribution = LogNormal(3.0, 0.2)
    #: Raylets' reconnection to a restarted GCS. Guess.
    raylet_reconnect: Distribution = Uniform(0.5, 2.0)
    #: Start of a worker process with Python and Ray imported. Part of ray-serve.md 1 "replica 1.5–4 s".
    worker_process_start: Distribution = LogNormal(1.0, 0.2)

    # Serve
    #: Start of the controller actor on the first PUT, which also waits for the head's proxy. Recorded on a busy machine: 2.0 s
    #: without proxies, 3.2–12.1 s with one (ten times); the share of the controller is a guess at the quick end.
    serve_controller_start: Distribution = LogNormal(1.5, 0.15)
    #: First proxy after the start of Serve. ray-serve.md 1: 0.9–3 s; later ones 2.5–4 s after their node's first replica.
    proxy_start: Distribution = Uniform(0.9, 3.0)
    #: A proxy on a further node. ray-serve.md 1: 2.5–4 s.
    proxy_start_worker: Distribution = Uniform(2.5, 4.0)
    #: PUT of a new application until its deployments appear (build task). ray-serve.md 1: 1.8–5 s.
    app_build: Distribution = Uniform(1.8, 5.0)
    #: Replica STARTING → RUNNING: process start, without the user's constructor. ray-serve.md 1: 1.5–4 s.
    replica_start: Distribution = Uniform(1.5, 4.0)
    #: The user's constructor (model load). Guess: none; a scenario sets it.
    replica_init: Distribution = Constant(0.0)
    #: In-place reconfiguration of a replica. ray-serve.md 1: 0.15–0.3 s until RUNNING.
    replica_reconfigure: Distribution = Uniform(0.05, 0.2)
    #: Beyond the graceful shutdown wait until an idle replica is gone. ray-serve.md 1: 0.1–0.2 s.
    replica_stop: Distribution = Uniform(0.1, 0.2)
    #: Long-poll broadcast from the Serve controller to proxies and routers. Guess.
    serve_broadcast: Distribution = Uniform(0.005, 0.05)
    #: Answer of the dashboard to GET /api/serve/applications/. Guess.
    dashboard_latency: Distribution = Uniform(0.01, 0.04)

    # Network and clients
    #: One way and back on a kept connection inside the cluster, without the server's own time. Guess.
    http_latency: Distribution = Uniform(0.0005, 0.0015)
    #: TCP handshake of a new connection. Guess.
    connect_latency: Distribution = Uniform(0.0002, 0.0008)
    #: DNS answer of the cluster's resolver. Guess.
    dns_latency: Distribution = Uniform(0.0003, 0.001)
    #: Proxy's own work for one request. Guess.
    proxy_latency: Distribution = Uniform(0.001, 0.003)
    #: Router to replica and back, without the replica's own work. Guess.
    replica_latency: Distribution = Uniform(0.001, 0.002)

    # Nodes
    #: A new node until it is Ready (node autoscaler, spot replacement). Guess.
    node_provision: Distribution = LogNormal(60.0, 0.3)
    #: Kubelet back on a node until its first status. kubelet.md 13: 1–2.5 s.
    kubelet_start: Distribution = Uniform(1.0, 2.5)

    def with_overrides(self, overrides: Mapping[str, Any], *, where: str = "calibration") -> Calibration:
        """Copy with entries replaced by name.

        A value is a distribution, seconds as a number, a duration (`250ms`, `8s`, `1.5m`), or a mapping with one of
        `constant: d`, `uniform: [low, high]`, `lognormal: {median: d, sigma: x}`, `exponential: {mean: d, least: d}`.
        Raises `InputError` for an unknown name or a value that is none of these.
        """
        known = calibration_names()
        changes: dict[str, Any] = {}
        for name, value in overrides.items():
            if name not in known:
                raise InputError(
                    f'no calibration entry is called "{name}"',
                    where=f"{where}.{name}",
                    remedy=closest(str(name), known),
                )
            changes[name] = distribution(value, where=f"{where}.{name}")
        return replace(self, **changes) if changes else self


@cache
def calibration_names() -> frozenset[str]:
    """Names that `with_overrides` takes."""
    return frozenset(field.name for field in fields(Calibration))


def instant() -> Calibration:
    """A calibration in which every entry is zero."""
    return Calibration(**{field.name: Constant(0.0) for field in fields(Calibration)})


def distribution(value: Any, *, where: str = "") -> Distribution:
    """The distribution that a scenario's value describes (see `Calibration.with_overrides`). Raises `InputError`."""
    if isinstance(value, (Constant, Uniform, LogNormal, Exponential)) or callable(getattr(value, "draw_ns", None)):
        found: Distribution = value
        return found
    try:
        if isinstance(value, Mapping):
            return _from_mapping(value)
        return Constant(duration_s(value))
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(
            f"{value!r} is no duration or distribution: {error}",
            where=where,
            remedy="write 8s, or one of {constant: 8s}, {uniform: [1s, 3s]}, {lognormal: {median: 2s, sigma: 0.2}}, "
            "{exponential: {mean: 2s}}",
        ) from None


def _from_mapping(value: Mapping[str, Any]) -> Distribution:
    if len(value) != 1:
        raise ValueError("one key names the distribution")
    ((kind, arguments),) = value.items()
    if kind == "constant":
        return Constant(duration_s(arguments))
    if kind == "uniform":
        low, high = (arguments["low"], arguments["high"]) if isinstance(arguments, Mapping) else arguments
        return Uniform(duration_s(low), duration_s(high))
    if kind == "lognormal":
        return LogNormal(duration_s(arguments["median"]), float(arguments["sigma"]))
    if kind == "exponential":
        if not isinstance(arguments, Mapping):
            return Exponential(duration_s(arguments))
        return Exponential(duration_s(arguments["mean"]), duration_s(arguments.get("least", 0)))
    raise ValueError(f"unknown distribution {kind!r}")


#: Spaces, save between two digits: `1 0s` is not ten seconds.
_SPACES = re.compile(r"(?<![\d.])\s+|\s+(?![\d.])")


def duration_s(value: Any) -> float:
    """Seconds from a number of seconds or a text such as `1m30s`, `1m 30s`, `250ms`. Raises `ValueError`."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, str) and value.lstrip()[:1] not in ("+", "-"):
        try:
            return parse_go_duration(_SPACES.sub("", value)) / NS
        except ValueError:
            pass
    raise ValueError(f"{value!r} is no duration")
