"""Rules of built-in kinds are loaded when they are needed."""

from __future__ import annotations

import subprocess
import sys
from random import Random

from rayrig_fakes.kubernetes.kind_rules import KindRules
from rayrig_fakes.kubernetes.kinds.later import later
from rayrig_fakes.kubernetes.server import ApiServer


def test_what_is_said_of_rules_before_they_are_loaded_is_what_they_say_themselves() -> None:
    server = ApiServer(lambda: 0, Random(1))
    deferred = 0
    for served in server.state.registry:
        rules = served.rules
        deferred += not isinstance(rules, KindRules)
        said = (rules.has_status, rules.is_custom)
        rules.serves_stored_form  # noqa: B018 -- reading loads
        assert isinstance(rules, KindRules)
        assert (rules.has_status, rules.is_custom) == said, served.type.kind
        assert ("status" in served.subresources) == rules.has_status
    assert deferred > 20


def test_a_server_that_is_ready_to_serve_knows_nothing_of_pod_specs_and_schemas() -> None:
    program = (
        "import sys, rayrig_backends.served_kubernetes as made;"
        "made.ServedKubernetes(made.KubernetesOptions(controllers=False));"
        "heavy = ('.kinds.pods', '.kinds.crds', '.kinds.workloads', '.kubernetes.schema');"
        "print([name for name in sys.modules if name.endswith(heavy)])"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert said.stdout == "[]\n"


def test_what_was_settled_before_rules_are_loaded_stays() -> None:
    rules = later("services", "ServiceRules", has_status=True)
    rules.create_on_update = True
    assert not isinstance(rules, KindRules)
    assert rules.serves_stored_form
    assert isinstance(rules, KindRules)
    assert rules.create_on_update
