"""The result of a run as JSON."""

from __future__ import annotations

from typing import Any

from rayrig.report.timeline import timeline
from rayrig_core.timestamps import seconds
from rayrig_scenarios.results import RunResult
from rayrig_sim.traffic.accounting import Accounting


def as_json_value(result: RunResult) -> dict[str, Any]:
    """Times in seconds, latencies in milliseconds, CPUs in cores, memory in bytes."""
    usage = result.usage
    return {
        "scenario": result.scenario.name,
        "seed": result.seed,
        "verdict": result.verdict.value,
        "exitCode": result.exit_code,
        "cutShort": result.cut_short or None,
        "digest": result.digest,
        "replay": result.replay,
        "simulatedSeconds": seconds(result.simulated_ns),
        "wallSeconds": round(result.wall_s, 6),
        "steps": [
            {
                "title": step.title,
                "action": step.action,
                "state": step.state.value,
                "startedAt": None if step.started_ns is None else seconds(step.started_ns),
                "endedAt": None if step.ended_ns is None else seconds(step.ended_ns),
                "detail": step.detail,
            }
            for step in result.steps
        ],
        "expectations": [
            {"title": one.title, "verdict": one.verdict.value, "detail": one.detail, "where": one.where}
            for one in result.expectations
        ],
        "requests": {name: _requests(accounting) for name, accounting in result.requests.items()},
        "peak": {
            "nodes": usage.peak("nodes"),
            "pods": usage.peak("pods"),
            "cpus": usage.peak("cpu_millis") / 1000,
            "memoryBytes": usage.peak("memory_bytes"),
            "gpus": usage.peak("gpus"),
        },
        "capacity": {
            "nodes": usage.capacity_nodes,
            "cpus": usage.capacity_cpu_millis / 1000,
            "memoryBytes": usage.capacity_memory_bytes,
            "gpus": usage.capacity_gpus,
        },
        "unreadyPods": [
            {"namespace": pod.namespace, "name": pod.name, "reason": pod.reason, "why": chain.as_json_value()}
            for pod, chain in zip(result.unready, result.why_unready(), strict=True)
        ],
        "timeline": [
            {
                "at": seconds(row.t_ns),
                "subjects": list(row.subjects),
                "text": row.text,
                "why": row.why,
                "event": row.seq,
            }
            for row in timeline(result.trace)
        ],
        "objects": result.objects,
    }


def _requests(accounting: Accounting) -> dict[str, Any]:
    def milliseconds(q: float) -> float | None:
        found = accounting.quantile_ns(q)
        return None if found is None else found / 1_000_000

    return {
        "sent": accounting.sent,
        "inFlight": accounting.in_flight,
        "failed": accounting.failed,
        "fates": dict(accounting.fates),
        "causes": [
            {"fate": fate, "cause": cause, "count": count} for (fate, cause), count in accounting.causes.items()
        ],
        "latencyMs": {"p50": milliseconds(0.5), "p90": milliseconds(0.9), "p99": milliseconds(0.99)},
    }
