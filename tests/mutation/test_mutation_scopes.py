"""How mutants are named and chosen."""

from __future__ import annotations

import pytest

from tests.mutation.__main__ import _wanted, readable

FUNCTION = "rayrig_controllers.raycluster.scaling.x_hosts__mutmut_3"
METHOD = "rayrig_controllers.raycluster.cluster.xǁClusterǁof__mutmut_12"


def test_mutants_have_readable_names() -> None:
    assert readable(FUNCTION) == "raycluster.scaling.hosts 3"
    assert readable(METHOD) == "raycluster.cluster.Cluster.of 12"


@pytest.mark.parametrize(
    ("scope", "mutant", "is_wanted"),
    [
        ("raycluster", FUNCTION, True),
        ("rayrig_controllers.raycluster", FUNCTION, True),
        ("raycluster.scaling", FUNCTION, True),
        ("raycluster.scaling.hosts", FUNCTION, True),
        ("raycluster.cluster.Cluster", METHOD, True),
        ("raycluster.*.of *", METHOD, True),
        ("raycluster.scal", FUNCTION, False),
        ("rayservice", FUNCTION, False),
    ],
)
def test_a_scope_is_a_package_a_module_a_function_or_a_pattern(scope: str, mutant: str, is_wanted: bool) -> None:
    assert _wanted(mutant, [scope]) is is_wanted
    assert _wanted(mutant, [])
