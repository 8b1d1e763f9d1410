"""Which recorded exchanges there are, which definitions they need, and whether they hold here."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from tests.conformance.kubernetes.player import Player, Verdict

RECORDINGS = Path(__file__).parent.parent / "recordings" / "kubernetes"
#: KubeRay's own definitions are not part of this repository.
_KUBERAY_DEFINITIONS = Path(__file__).parents[4] / "shared" / "golden" / "kubernetes" / "fixtures" / "ray-crds.json"
_ABSENT = "KubeRay's definitions (ray-crds.json) are not part of this repository and not in ../shared either"
_EXPECTED_FAILURES = Path(__file__).with_name("expected_failures.txt")


def expected_failures() -> dict[str, str]:
    """Name of a case to the reason why it does not hold yet."""
    lines = [line for line in _EXPECTED_FAILURES.read_text().splitlines() if line and not line.startswith("#")]
    pairs = [line.split(maxsplit=1) for line in lines]
    return {pair[0]: pair[1] for pair in pairs}


def load(folder: Path) -> list[dict[str, Any]]:
    """All cases of a folder of recordings: `cases/AREA.json` or `AREA.json` in it, or one such file."""
    if folder.is_file():
        files = [folder]
    else:
        files = sorted((folder / "cases" if (folder / "cases").is_dir() else folder).glob("*.json"))
    return [case for file in files for case in json.loads(file.read_text())]


@cache
def definitions(folder: Path = RECORDINGS) -> list[dict[str, Any]]:
    """The CRDs that must be there first: the folder's own fixtures, and those of this repository and KubeRay's that it lacks."""
    files = sorted((RECORDINGS / "fixtures").glob("*.json"))
    if _KUBERAY_DEFINITIONS.exists():
        files.append(_KUBERAY_DEFINITIONS)
    if folder != RECORDINGS and folder.is_dir():
        files += sorted((folder / "fixtures").glob("*.json"))
    found = {each["metadata"]["name"]: each for file in files for each in json.loads(file.read_text())}
    return list(found.values())


def judge(cases: list[dict[str, Any]], folder: Path = RECORDINGS) -> Iterator[Verdict]:
    """Plays the cases one after the other on one server."""
    given = definitions(folder)
    has_kuberay = any(each["spec"]["group"] == "ray.io" for each in given)
    player = Player(given)
    for case in cases:
        if not has_kuberay and "ray.io" in json.dumps(case):
            yield Verdict(case["name"], case["area"], "absent", [_ABSENT])
        else:
            yield player.play(case)
