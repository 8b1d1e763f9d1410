"""The pytest plugin: fixtures `rayrig` and `rayrig_kubernetes`, option `--rayrig-seed`, and on a failure what happened in a world.

Imported at the start of every pytest run of everyone who has rayrig installed, so it imports nothing of the world here; the
fixture does, when it is first used.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from rayrig_backends.served_kubernetes import KubernetesOptions, KubernetesThread
    from rayrig_backends.world import WorldFactory
    from rayrig_scenarios.api import Rig

_RIG: pytest.StashKey[Rig] = pytest.StashKey()
_LAST_ROWS = 60
#: Pods of which the whole chain is told.
_MOST_UNREADY = 8


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("rayrig", "Ray Serve on a simulated Kubernetes")
    group.addoption("--rayrig-seed", type=int, default=None, metavar="N", help="seed of every rayrig world in this run")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "rayrig_seed(n): seed of the rayrig world of this test; --rayrig-seed wins")


@pytest.fixture
def rayrig_world() -> WorldFactory | None:
    """Override it to run `rayrig` on another world than the one in memory."""
    return None


@pytest.fixture
def rayrig(request: pytest.FixtureRequest, rayrig_world: WorldFactory | None) -> Rig:
    """A cluster with the KubeRay operator on a virtual clock (`rayrig_scenarios.api.Rig`); each test has its own."""
    from rayrig_scenarios.api import Rig

    rig = Rig(seed=_seed(request), world_factory=rayrig_world, folder=request.path.parent)
    request.node.stash[_RIG] = rig
    return rig


@pytest.fixture
def rayrig_kubernetes_options() -> KubernetesOptions:
    """Override it to serve https, tokens, RBAC or definitions of custom resources."""
    from rayrig_backends.served_kubernetes import KubernetesOptions

    return KubernetesOptions()


@pytest.fixture
def rayrig_kubernetes(
    tmp_path: Path, rayrig_kubernetes_options: KubernetesOptions
) -> Generator[KubernetesThread, None, None]:
    """A fake Kubernetes that kubectl and client libraries can connect to: `url`, and the file `kubeconfig`; each test has its own.

    Needs the extra `rayrig[kube]`.
    """
    from rayrig_backends.served_kubernetes import KubernetesThread

    with KubernetesThread(rayrig_kubernetes_options, kubeconfig=tmp_path / "rayrig-kubeconfig") as thread:
        yield thread


def _seed(request: pytest.FixtureRequest) -> int:
    given = request.config.getoption("--rayrig-seed")
    if given is not None:
        return int(given)
    marker = request.node.get_closest_marker("rayrig_seed")
    return int(marker.args[0]) if marker is not None and marker.args else 0


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[Any]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    rig = item.stash.get(_RIG, None)
    if report.when == "call" and report.failed and rig is not None and rig.is_started:
        report.sections.append(("rayrig", _story(rig, item.nodeid)))
    return report


def _story(rig: Rig, nodeid: str) -> str:
    """What happened, which pods are not ready, which requests were lost, and the line that repeats it."""
    from rayrig.report.timeline import timeline
    from rayrig.report.why import plain_lines

    rows = timeline(rig.trace)
    lines = [f"virtual time {rig.now_s:.3f} s, digest {rig.digest}"]
    if len(rows) > _LAST_ROWS:
        lines.append(f"({len(rows) - _LAST_ROWS} earlier changes not shown)")
    for row in rows[-_LAST_ROWS:]:
        why = f"  (because {row.why})" if row.why else ""
        lines.append(f"{row.t_ns / 1e9:10.3f} s  {row.text}{why}")
    unready = [chain for chain in rig.why_each() if chain.wants_ready]
    for chain in unready[:_MOST_UNREADY]:
        lines.append(f"pod {chain.pod} is not ready:")
        lines += [f"    {line}" for line in plain_lines(chain)]
    for chain in unready[_MOST_UNREADY:]:
        lines.append(f"pod {chain.pod} is not ready: {chain.short()}")
    for name, accounting in rig.traffics.items():
        fates = ", ".join(f"{count} {fate}" for fate, count in accounting.fates.items())
        lines.append(f"traffic {name}: {accounting.sent} sent, {fates}")
        lines += [f"    {count} x {fate}: {cause}" for (fate, cause), count in accounting.causes.items()]
    lines.append(f"replay: pytest '{nodeid}' --rayrig-seed={rig.seed}")
    return "\n".join(lines)
