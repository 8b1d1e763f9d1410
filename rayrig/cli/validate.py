"""`rayrig validate`: what is wrong with manifests, before anybody runs them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path


def validate_command(files: Sequence[Path], *, node_texts: Sequence[str], feature_gates: str, as_json: bool) -> int:
    """The exit code: 0 nothing wrong, 1 errors found. Raises `InputError` for what cannot be read."""
    from rayrig.cli import BROKEN, HELD
    from rayrig_core.resources.feature_gates import FeatureGates
    from rayrig_scenarios.manifest_checks.capacity import nodes_from, room_findings
    from rayrig_scenarios.manifest_checks.checks import check_file
    from rayrig_scenarios.manifest_checks.finding import Finding, Level

    nodes = [nodes_from(text) for text in node_texts]
    gates = FeatureGates.parse(feature_gates)
    findings: list[Finding] = []
    checked = 0
    for file in files:
        objects, found = check_file(file, gates)
        checked += len(objects)
        has_errors = any(finding.level is Level.ERROR for finding in found)
        if nodes and not has_errors:
            found += [finding for written in objects for finding in room_findings(written, nodes)]
        findings += found
    errors = sum(finding.level is Level.ERROR for finding in findings)
    if as_json:
        print(json.dumps({"checked": checked, "findings": [asdict(finding) for finding in findings]}, indent=2))
        return BROKEN if errors else HELD
    for finding in findings:
        print(finding)
    warnings = len(findings) - errors
    print(f"{checked} checked: {_count(errors, 'error')}, {_count(warnings, 'warning')}")
    return BROKEN if errors else HELD


def _count(number: int, what: str) -> str:
    return f"{number or 'no'} {what}{'' if number == 1 else 's'}"
