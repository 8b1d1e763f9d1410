"""Leader election by a Lease: of several operator processes one works, the others wait (kuberay-operator section 5).

The holder renews the Lease every `retry_s`. Another takes it when the Lease has not changed for `lease_s` by that process' own
clock; times written by others are never compared with it. A leader that could not renew within `renew_s` stops working, before
anybody else can have begun.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from random import Random

from rayrig_core.errors import ApiError, NotFound
from rayrig_core.http import HttpFailure
from rayrig_core.objects import JsonObject
from rayrig_core.ports import KubernetesClient, Runtime
from rayrig_core.resource_types import LEASE
from rayrig_core.timestamps import NS, rfc3339_micro, to_ns
from rayrig_core.trace import Kind

#: Name of KubeRay's Lease.
LEASE_NAME = "ray-operator-leader"
#: A candidate waits up to so many times the pause longer, so that candidates don't meet.
_JITTER = 1.2


@dataclass(frozen=True, slots=True)
class Timing:
    """In seconds; controller-runtime's values. `lease_s` must exceed `renew_s`, and that `retry_s`."""

    lease_s: float = 15.0
    renew_s: float = 10.0
    retry_s: float = 2.0

    def __post_init__(self) -> None:
        if not self.lease_s > self.renew_s > self.retry_s > 0:
            raise ValueError("a lease must outlast its renewal, and that a retry")


class Move(Enum):
    """What to do about a Lease."""

    WAIT = auto()
    TAKE = auto()
    RENEW = auto()


def decide(spec: JsonObject, identity: str, unchanged_ns: int, timing: Timing) -> Move:
    """From the Lease's spec and for how long it has been seen unchanged."""
    holder = spec.get("holderIdentity") or ""
    if holder == identity:
        return Move.RENEW
    if holder and unchanged_ns < to_ns(timing.lease_s):
        return Move.WAIT
    return Move.TAKE


def held(spec: JsonObject, identity: str, now_unix_ns: int, timing: Timing) -> JsonObject:
    """The spec once `identity` has taken or renewed the Lease."""
    now = rfc3339_micro(now_unix_ns)
    is_ours = spec.get("holderIdentity") == identity
    return {
        **spec,
        "holderIdentity": identity,
        "leaseDurationSeconds": int(timing.lease_s),
        "acquireTime": spec.get("acquireTime", now) if is_ours else now,
        "renewTime": now,
        "leaseTransitions": int(spec.get("leaseTransitions") or 0) + (0 if is_ours or not spec else 1),
    }


class LeaderElector:
    """One candidate. `acquire` returns when it leads, `hold` when it doesn't any more."""

    def __init__(
        self,
        runtime: Runtime,
        client: KubernetesClient,
        *,
        identity: str,
        namespace: str,
        rng: Random,
        name: str = LEASE_NAME,
        timing: Timing | None = None,
    ) -> None:
        self.identity = identity
        self.is_leader = False
        self._runtime = runtime
        self._client = client
        self._namespace = namespace
        self._name = name
        self._rng = rng
        self._timing = timing or Timing()
        self._seen: JsonObject | None = None
        self._seen_at_ns = 0

    async def acquire(self) -> None:
        """Wait until this process holds the Lease."""
        while not await self._try():
            await self._runtime.sleep(self._timing.retry_s * (1 + _JITTER * self._rng.random()))
        self.is_leader = True
        self._note(f"{self.identity} became leader")

    async def hold(self) -> None:
        """Renew for as long as that is possible."""
        while await self._renew():
            await self._runtime.sleep(self._timing.retry_s)
        self.is_leader = False
        self._note(f"{self.identity} lost the lease")

    async def _renew(self) -> bool:
        """False when it didn't succeed within the time."""
        clock = self._runtime
        end_ns = clock.monotonic_ns() + to_ns(self._timing.renew_s)
        while not await self._try():
            left_ns = end_ns - clock.monotonic_ns()
            if left_ns <= 0:
                return False
            await clock.sleep(min(self._timing.retry_s, left_ns / NS))
        return True

    async def _try(self) -> bool:
        """One look at the Lease, and one write at most. Whatever goes wrong counts as not having it."""
        now_ns = self._runtime.unix_ns()
        try:
            try:
                lease = await self._client.get(LEASE, self._name, self._namespace)
            except NotFound:
                await self._client.create(LEASE, self._new(now_ns), self._namespace)
                return True
            spec: JsonObject = lease.get("spec") or {}
            if spec != self._seen:
                self._seen, self._seen_at_ns = spec, self._runtime.monotonic_ns()
            unchanged_ns = self._runtime.monotonic_ns() - self._seen_at_ns
            if decide(spec, self.identity, unchanged_ns, self._timing) is Move.WAIT:
                return False
            # The resource version goes with it: of two who take it at once one gets a conflict.
            await self._client.update(LEASE, {**lease, "spec": held(spec, self.identity, now_ns, self._timing)})
        except (ApiError, HttpFailure):
            return False
        return True

    def _new(self, now_ns: int) -> JsonObject:
        return {
            "apiVersion": LEASE.api_version,
            "kind": LEASE.kind,
            "metadata": {"name": self._name, "namespace": self._namespace},
            "spec": held({}, self.identity, now_ns, self._timing),
        }

    def _note(self, text: str) -> None:
        self._runtime.trace.emit(Kind.NOTE, f"leases/{self._namespace}/{self._name}", text)
