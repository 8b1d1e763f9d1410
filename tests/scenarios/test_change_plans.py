"""`rayrig diff`: what the operator does with a change, by its own decisions, and what Serve does then."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rayrig_controllers.options import OperatorOptions
from rayrig_core.errors import InputError
from rayrig_scenarios.change_plan.fields import ABSENT, changes
from rayrig_scenarios.change_plan.operator_plan import Outcome, Plan
from rayrig_scenarios.change_plan.serve_plan import serve_effects
from rayrig_scenarios.change_plan.two_files import compare_files

GROUP = """\
      - groupName: {name}
        replicas: 4
        minReplicas: 0
        maxReplicas: 5
        template:
          spec:
            containers: [{{name: c, image: worker:1}}]
"""
SERVICE = """\
apiVersion: ray.io/v1
kind: RayService
metadata: {name: stand}
spec:
  serveConfigV2: |
    applications:
      - name: a
        import_path: fruit:app
        deployments: [{name: D, num_replicas: 1, user_config: {x: 1}}]
  rayClusterConfig:
    rayVersion: 2.52.0
    headGroupSpec:
      rayStartParams: {}
      template:
        spec:
          containers: [{name: h, image: head:1}]
    workerGroupSpecs:
""" + GROUP.format(name="w")
CLUSTER = """\
apiVersion: ray.io/v1
kind: RayCluster
metadata: {name: c}
spec:
  headGroupSpec:
    rayStartParams: {}
    template:
      spec:
        containers: [{name: h, image: head:1}]
  workerGroupSpecs:
    - groupName: w
      replicas: 1
      template:
        spec:
          containers: [{name: c, image: worker:1}]
"""
Plans = Callable[..., Plan]
_CONFIG, _TOP, _DELAY = "spec.rayClusterConfig", "spec:\n  ", "rayClusterDeletionDelaySeconds"
_W, _V = GROUP.format(name="w"), GROUP.format(name="v")


@pytest.fixture
def plan(tmp_path: Path) -> Plans:
    def of(old: str, new: str, **options: Any) -> Plan:
        files = tmp_path / "old.yaml", tmp_path / "new.yaml"
        for file, text in zip(files, (old, new), strict=True):
            file.write_text(text)
        (entry,) = compare_files(*files, OperatorOptions(**options))
        assert entry.plan is not None
        return entry.plan

    return of


def told(plan: Plan) -> dict[str, str]:
    return {reason.change.path: reason.what for reason in plan.reasons}


_GROUPS = "workerGroupSpecs"
_NEW = "needs a new Ray cluster"


@pytest.mark.parametrize(
    ("old", "new", "outcome", "path", "words"),
    [
        ("rayVersion: 2.52.0", "rayVersion: 2.53.0", Outcome.UPGRADE, f"{_CONFIG}.rayVersion", _NEW),
        ("worker:1", "worker:2", Outcome.UPGRADE, f"{_CONFIG}.{_GROUPS}[0].template.spec.containers[0].image", _NEW),
        ("replicas: 4", "replicas: 2", Outcome.NOTHING, f"{_CONFIG}.{_GROUPS}[0].replicas", "does not count"),
        (_W, _W + _V, Outcome.IN_PLACE, f"{_CONFIG}.{_GROUPS}[1]", "updated in place"),
        (_W, _V + _W, Outcome.UPGRADE, f"{_CONFIG}.{_GROUPS}", _NEW),
        ("x: 1}", "x: 2}", Outcome.IN_PLACE, "spec.serveConfigV2", "sent to the running cluster"),
        (_TOP, f"{_TOP}suspend: true\n  ", Outcome.SUSPEND, "spec.suspend", "deleted while it is true"),
        (
            "{name: stand}",
            "{name: stand, labels: {a: b}}",
            Outcome.NOTHING,
            "metadata.labels",
            "copied to the Ray cluster",
        ),
        (_TOP, f"{_TOP}{_DELAY}: 5\n  ", Outcome.NOTHING, f"spec.{_DELAY}", "the wait"),
    ],
)
def test_a_change_of_a_ray_service(plan: Plans, old: str, new: str, outcome: Outcome, path: str, words: str) -> None:
    assert old in SERVICE
    made = plan(SERVICE, SERVICE.replace(old, new, 1))
    assert made.outcome is outcome
    assert words in told(made)[path]
    assert len(made.reasons) == 1


def test_with_upgrades_off_nothing_happens_and_it_is_said_why(plan: Plans) -> None:
    newer = SERVICE.replace("2.52.0", "2.53.0")
    by_type = plan(SERVICE, newer.replace(_TOP, f'{_TOP}upgradeStrategy: {{type: "None"}}\n  ', 1))
    assert by_type.outcome is Outcome.NOTHING
    assert "upgradeStrategy.type is None" in told(by_type)[f"{_CONFIG}.rayVersion"]
    by_environment = plan(SERVICE, newer, zero_downtime=False)
    assert by_environment.outcome is Outcome.NOTHING
    assert "ENABLE_ZERO_DOWNTIME is false" in told(by_environment)[f"{_CONFIG}.rayVersion"]


def test_in_an_upgrade_the_old_cluster_keeps_its_serve_config(plan: Plans) -> None:
    made = plan(
        SERVICE, SERVICE.replace("2.52.0", "2.53.0").replace("x: 1}", "x: 2}").replace("replicas: 4\n", "replicas: 2\n")
    )
    assert made.outcome is Outcome.UPGRADE
    assert "new cluster only" in told(made)["spec.serveConfigV2"]
    assert "the new cluster begins with it" in told(made)["spec.rayClusterConfig.workerGroupSpecs[0].replicas"]
    assert made.serve == []


@pytest.mark.parametrize(
    ("old", "new", "outcome"),
    [
        ("replicas: 1", "replicas: 3", Outcome.IN_PLACE),
        ("worker:1", "worker:2", Outcome.NOTHING),
        ("spec:\n  head", "spec:\n  suspend: true\n  head", Outcome.SUSPEND),
    ],
)
def test_a_change_of_a_ray_cluster(plan: Plans, old: str, new: str, outcome: Outcome) -> None:
    assert plan(CLUSTER, CLUSTER.replace(old, new, 1)).outcome is outcome


def test_a_ray_cluster_that_recreates_loses_all_pods(plan: Plans) -> None:
    recreating = CLUSTER.replace("spec:\n  head", "spec:\n  upgradeStrategy: {type: Recreate}\n  head", 1)
    assert plan(recreating, recreating.replace("worker:1", "worker:2")).outcome is Outcome.RECREATE
    assert plan(recreating, recreating.replace("replicas: 1", "replicas: 2")).outcome is Outcome.IN_PLACE


def test_the_same_file_twice_is_nothing(plan: Plans) -> None:
    assert plan(SERVICE, SERVICE) == Plan(Outcome.NOTHING, [])


def test_what_only_one_file_has_is_told(tmp_path: Path) -> None:
    old, new = tmp_path / "old.yaml", tmp_path / "new.yaml"
    old.write_text(SERVICE)
    new.write_text(CLUSTER)
    entries = compare_files(old, new, OperatorOptions())
    assert [(each.kind, each.plan, each.note.split(":")[0]) for each in entries] == [
        ("RayCluster", None, "only in the new file"),
        ("RayService", None, "only in the old file"),
    ]


def test_what_would_be_refused_is_an_error_with_its_place(tmp_path: Path) -> None:
    old, new = tmp_path / "old.yaml", tmp_path / "new.yaml"
    old.write_text(SERVICE)
    new.write_text(SERVICE.replace("replicas: 4", "replicas: x", 1))
    with pytest.raises(InputError, match=r"new\.yaml:19 spec\.rayClusterConfig\.workerGroupSpecs\[0\]\.replicas"):
        compare_files(old, new, OperatorOptions())


SERVE_CONFIG = "applications: [{name: a, import_path: 'm:x', deployments: [{name: D, %s}]}]"


@pytest.mark.parametrize(
    ("old", "new", "effects"),
    [
        ("user_config: {x: 1}", "user_config: {x: 2}", ["replicas stay and are reconfigured"]),
        ("num_replicas: 1", "num_replicas: 3", ["from 1 to 3 replicas"]),
        ("health_check_period_s: 5", "health_check_period_s: 6", ["replicas stay; only Serve's controller takes note"]),
        (
            "ray_actor_options: {num_cpus: 1}",
            "ray_actor_options: {num_cpus: 2}",
            ["all replicas are replaced, in a rolling update"],
        ),
        ("num_replicas: 1", "num_replicas: 1", []),
    ],
)
def test_what_serve_does_to_replicas(old: str, new: str, effects: list[str]) -> None:
    found = serve_effects(SERVE_CONFIG % old, SERVE_CONFIG % new)
    assert [(each.subject, each.what) for each in found] == [("a/D", effect) for effect in effects]


def test_what_serve_does_to_applications() -> None:
    old = "applications: [{name: a, import_path: 'm:x', route_prefix: /a}, {name: b, import_path: 'm:y', route_prefix: /b}]"
    new = "applications: [{name: a, import_path: 'm:z', route_prefix: /a}, {name: c, import_path: 'm:y', route_prefix: /c}]"
    assert {each.subject: each.what.split(";")[0] for each in serve_effects(old, new)} == {
        "c": "deployed anew",
        "b": "deleted",
        "a": "built again",
    }


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
    max_leaves=8,
)


@given(_json, _json)
def test_applying_all_changes_leads_from_old_to_new(old: Any, new: Any) -> None:
    value = {"it": old}
    for change in changes({"it": old}, {"it": new}):
        value = change.applied_to(value)
    assert value == {"it": new}
    assert list(changes(new, new)) == []
    assert repr(ABSENT) == "nothing"
