"""Which pods a drain evicts, leaves or refuses to touch, by kubectl's rules and in its words."""

from __future__ import annotations

from typing import Any

import pytest

from rayrig_core.objects import JsonObject
from rayrig_core.timestamps import parse_rfc3339
from rayrig_sim.kubernetes.nodes.drain import DrainOptions, DrainOutcome, Treatment, Verdict, verdict_on

NOW = parse_rfc3339("2026-01-01T00:01:00Z")
ALL = DrainOptions(ignore_daemonsets=True, delete_emptydir_data=True, force=True)
OWNED = [{"kind": "ReplicaSet", "name": "r", "uid": "r", "controller": True}]
DAEMON = [{"kind": "DaemonSet", "name": "d", "uid": "d", "controller": True}]
EMPTY_DIR = [{"name": "v", "emptyDir": {}}]
NO_DAEMON_SET = 'daemonsets.apps "d" not found'


def pod(*, phase: str = "Running", volumes: Any = (), owners: Any = (), **metadata: Any) -> JsonObject:
    return {
        "metadata": {"name": "p", "namespace": "default", "ownerReferences": list(owners), **metadata},
        "spec": {"volumes": list(volumes)},
        "status": {"phase": phase},
    }


EVICT, LEAVE, REFUSE = Treatment.EVICT, Treatment.LEAVE, Treatment.REFUSE
LOCAL = "Pods with local storage (use --delete-emptydir-data to override)"
UNMANAGED = "Pods that declare no controller (use --force to override)"


@pytest.mark.parametrize(
    ("given", "options", "problem", "verdict"),
    [
        (pod(owners=OWNED), DrainOptions(), "", Verdict(EVICT)),
        (pod(), DrainOptions(), "", Verdict(REFUSE, UNMANAGED)),
        (pod(), DrainOptions(force=True), "", Verdict(EVICT, "deleting Pods that declare no controller")),
        (pod(phase="Succeeded"), DrainOptions(), "", Verdict(EVICT)),
        (pod(phase="Failed", volumes=EMPTY_DIR), DrainOptions(), "", Verdict(EVICT)),
        (pod(owners=OWNED, volumes=EMPTY_DIR), DrainOptions(), "", Verdict(REFUSE, LOCAL)),
        (
            pod(owners=OWNED, volumes=EMPTY_DIR),
            DrainOptions(delete_emptydir_data=True),
            "",
            Verdict(EVICT, "deleting Pods with local storage"),
        ),
        # Of two warnings the later rule's stays
        (pod(volumes=EMPTY_DIR), ALL, "", Verdict(EVICT, "deleting Pods that declare no controller")),
        (pod(volumes=EMPTY_DIR), DrainOptions(force=True), "", Verdict(REFUSE, LOCAL)),
        (
            pod(owners=DAEMON),
            DrainOptions(force=True),
            "",
            Verdict(REFUSE, "DaemonSet-managed Pods (use --ignore-daemonsets to ignore)"),
        ),
        (pod(owners=DAEMON, volumes=EMPTY_DIR), ALL, "", Verdict(LEAVE, "ignoring DaemonSet-managed Pods")),
        (pod(owners=DAEMON, phase="Failed"), DrainOptions(), "", Verdict(EVICT)),
        (pod(owners=DAEMON), DrainOptions(ignore_daemonsets=True), NO_DAEMON_SET, Verdict(REFUSE, NO_DAEMON_SET)),
        (pod(owners=DAEMON), ALL, NO_DAEMON_SET, Verdict(EVICT, NO_DAEMON_SET)),
        (pod(annotations={"kubernetes.io/config.mirror": "x"}), DrainOptions(), "", Verdict(LEAVE)),
        (
            pod(owners=OWNED, deletionTimestamp="2026-01-01T00:00:49Z"),
            DrainOptions(skip_wait_for_delete_timeout_s=10),
            "",
            Verdict(LEAVE),
        ),
        (
            pod(owners=OWNED, deletionTimestamp="2026-01-01T00:00:50Z"),
            DrainOptions(skip_wait_for_delete_timeout_s=10),
            "",
            Verdict(EVICT),
        ),
    ],
)
def test_verdicts(given: JsonObject, options: DrainOptions, problem: str, verdict: Verdict) -> None:
    assert verdict_on(given, options, NOW, lambda pod: problem) == verdict


def test_errors_are_joined_as_kubectl_joins_them() -> None:
    assert DrainOutcome().error == ""
    assert DrainOutcome(errors=["a", "a"]).error == "a"
    assert DrainOutcome(errors=["a", "b"]).error == "[a, b]"
    assert DrainOutcome(errors=["x: global timeout reached: 3s", "context deadline exceeded"]).is_out_of_time
    assert not DrainOutcome(errors=["context deadline exceeded", "forbidden"]).is_out_of_time
    assert not DrainOutcome().is_out_of_time
