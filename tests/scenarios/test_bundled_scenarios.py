"""Every bundled scenario holds in the world in memory, is the same in two processes, and leaks are found there too."""

from __future__ import annotations

from pathlib import Path

import pytest

from rayrig_scenarios.determinism import verify, verify_each
from rayrig_scenarios.language.load import bundled_scenarios, load
from rayrig_scenarios.language.manifests import bundled_manifests
from rayrig_scenarios.results import Verdict
from rayrig_scenarios.runner import run

HERE = Path(__file__).parent
MANIFESTS = Path(str(__import__("rayrig_scenarios").__path__[0])) / "library" / "manifests"

LEAKY = """\
name: leaky
description: user code whose duration depends on what it must not
manifests: [{bundled: one-per-node}]
applications: {orchard.app: {handler: "leaks:HANDLER"}}
traffic: [{name: shoppers, service: orchard-serve-svc, rate: 2/s, requests: {path: /}}]
steps:
- apply: orchard
- wait: {for: {ready: orchard}, timeout: 10m}
- sleep: 2s
- start-traffic: shoppers
- sleep: 3s
"""


@pytest.mark.parametrize("name", bundled_scenarios())
def test_a_bundled_scenario_holds(name: str) -> None:
    result = run(load(name))
    assert [(record.title, record.detail) for record in result.steps if record.state.value != "done"] == []
    assert [(e.title, e.detail) for e in result.expectations if e.verdict is not Verdict.PASS] == []
    assert result.verdict is Verdict.PASS


@pytest.mark.parametrize("name", [name for name in bundled_manifests() if name != "slow-answers"])
def test_a_bundled_manifest_is_upgraded_without_a_lost_request(name: str) -> None:
    result = run(load(MANIFESTS / f"{name}.yaml"))
    assert [(e.title, e.detail) for e in result.expectations if e.verdict is not Verdict.PASS] == []
    assert result.verdict is Verdict.PASS


def test_bundled_scenarios_are_the_same_in_two_processes() -> None:
    outcomes = list(verify_each([(name, [1, 2]) for name in bundled_scenarios()]))
    assert [(outcome.scenario, outcome.seed) for outcome in outcomes if not outcome.equal or outcome.error] == []
    assert len(outcomes) == 2 * len(bundled_scenarios())


@pytest.mark.parametrize("leak", ["SlowBySetOrder", "SlowByWallClock", "SlowByGlobalRandom", "SlowByUuid4"])
def test_a_leak_in_user_code_is_located_at_the_first_request(tmp_path: Path, leak: str) -> None:
    (tmp_path / "leaks.py").write_text((HERE / "leaks.py").read_text())
    path = tmp_path / "leaky.yaml"
    path.write_text(LEAKY.replace("HANDLER", leak))
    (outcome,) = verify(str(path), [5])
    assert not outcome.error
    assert not outcome.equal
    assert outcome.divergence is not None
    # Whichever was answered first shows it: the other may have another event in between.
    found = (outcome.divergence.left or "", outcome.divergence.right or "")
    assert any("'request', 'traffic/shoppers/GET /', (0, 'ok'" in record for record in found)
