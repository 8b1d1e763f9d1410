"""The recorded pod timelines, played and judged."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from tests.conformance.kubelet.judge import MORE_RECORDINGS, RECORDINGS, judge

_NOT_REACHED: dict[str, str] = tomllib.loads((Path(__file__).parent / "not_reached_yet.toml").read_text())
_CASES = sorted(RECORDINGS.glob("*.json"))
_MORE_CASES = sorted(MORE_RECORDINGS.glob("*.json"))


def _is_of_the_control_plane(path: Path) -> bool:
    return path.stem.startswith(("sched-", "node-")) and path.stem not in _NOT_REACHED


@pytest.mark.accepts("KL-078", "KL-079", "KL-082", "KL-083", "K8-067", "K8-068", "K8-075")
@pytest.mark.parametrize("path", list(filter(_is_of_the_control_plane, _CASES)), ids=lambda path: path.stem)
def test_scheduling_and_node_loss_go_as_recorded(path: Path) -> None:
    assert judge(json.loads(path.read_text())) == []


@pytest.mark.parametrize(
    "path", [path for path in _CASES if not _is_of_the_control_plane(path)], ids=lambda path: path.stem
)
def test_the_model_gives_what_was_recorded(path: Path) -> None:
    differences = judge(json.loads(path.read_text()))
    reason = _NOT_REACHED.get(path.stem)
    if reason is not None and differences:
        pytest.xfail(reason)
    assert reason is None, f"{path.stem} holds now: take it off not_reached_yet.toml"
    assert differences == []


@pytest.mark.parametrize("path", _MORE_CASES, ids=lambda path: path.stem)
def test_the_model_gives_what_was_recorded_of_combinations(path: Path) -> None:
    assert judge(json.loads(path.read_text())) == []


def test_every_excused_case_exists() -> None:
    assert set(_NOT_REACHED) <= {path.stem for path in _CASES}
