"""Evidence of a run: what the world recorded up to a moment, and its trace."""

from __future__ import annotations

from collections.abc import Collection

from rayrig_backends.record import Record
from rayrig_core.errors import InputError
from rayrig_core.timestamps import NS, to_ns
from rayrig_core.trace import Trace
from rayrig_scenarios.why.chain import Chain, Clock
from rayrig_scenarios.why.evidence import Evidence, Version, key_text
from rayrig_scenarios.why.explain import explain
from rayrig_scenarios.why.names import born_later, chosen_pod


def evidence_of(record: Record, trace: Trace, at_s: float | None = None) -> Evidence:
    """At `at_s` seconds of virtual time, or at the end. Raises `InputError` for a time that the run has not seen."""
    at_ns = record.end_ns if at_s is None else to_ns(at_s)
    if at_ns > record.end_ns or at_ns < 0:
        end_s = record.end_ns / NS
        raise InputError(
            f"the run has no {at_s:g} s: it ends at {end_s:.2f} s", where="at", remedy="give a time within the run"
        )
    histories: dict[str, dict[str, list[Version]]] = {}
    for plural, changes in record.changes.items():
        versions = histories[plural] = {}
        for change in changes:
            if change.t_ns > at_ns:
                break
            versions.setdefault(change.key, []).append(Version(change.t_ns, change.object, change.is_deletion))
    clock = Clock(origin_unix_ns=record.origin_unix_ns)
    return Evidence(at_ns, histories, clock, record.probes, trace, record.scripts)


def why_each(
    record: Record, trace: Trace, at_s: float | None = None, keys: Collection[str] | None = None
) -> list[Chain]:
    """Why each pod that is there is as it is, by namespace and name, or those of `keys` only (`namespace/name`).

    Raises `InputError` for a time the run has not seen.
    """
    evidence = evidence_of(record, trace, at_s)
    chains = [explain(key_text(pod), evidence) for pod in evidence.pods if keys is None or key_text(pod) in keys]
    return [chain for chain in chains if chain is not None]


def why(record: Record, trace: Trace, pod: str, at_s: float | None = None) -> Chain:
    """Why a pod is, or at `at_s` was, as it is. `pod` is a name, the beginning of one, or any part of one pod's only; with
    `namespace/` in front if need be. Raises `InputError`: no such pod, several, no such time."""
    evidence = evidence_of(record, trace, at_s)
    names = {change.key: change.t_ns for change in reversed(record.changes["pods"])}
    key = chosen_pod(pod, names)
    chain = explain(key, evidence)
    if chain is None:
        return born_later(key, names[key], evidence)
    return chain
