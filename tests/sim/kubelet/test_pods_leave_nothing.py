"""What a kubelet holds of a pod goes with the pod, without the collector of cycles: worlds of many pods run without it."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from rayrig_sim.kubernetes.kubelet.container_records import PodRecord
from rayrig_sim.kubernetes.kubelet.pod_worker import PodWorker
from rayrig_sim.kubernetes.kubelet.probe_workers import PodProbes

_PROBE = {"httpGet": {"path": "/ready", "port": 8080}, "periodSeconds": 1}
_NAMES = ("a", "b", "c")


@pytest.fixture
def no_collector() -> Iterator[None]:
    """What tests before this one left is collected; from then on nothing is."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def test_pods_that_are_gone_are_held_by_nobody(node, no_collector):
    before = _held()
    script = {"main": {"http": {"8080": {"/ready": [[0, "200:ok"]]}}}}

    async def come_and_go() -> None:
        for name in _NAMES:
            await node.add_pod(script, name=name, container={"readinessProbe": _PROBE})
        await node.sleep(5)
        assert _held() - before == len(_NAMES) * 3
        for name in _NAMES:
            await node.delete(name)

    node.play(come_and_go, until_s=60)
    assert all(node.gone_s(name) is not None for name in _NAMES)
    # The kubelet's loop may still name the one that it looked at last.
    assert _held() - before <= 3


def _held() -> int:
    kinds = (PodWorker, PodRecord, PodProbes)
    return sum(isinstance(obj, kinds) for obj in gc.get_objects())
