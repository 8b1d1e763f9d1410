"""Two processes agree on a sound scenario, and name the event where a planted leak sets them apart."""

from __future__ import annotations

from pathlib import Path

import pytest

from rayrig_scenarios.determinism import Divergence, WorkerDied, first_divergence, verify, verify_each
from rayrig_scenarios.digest import main

WORLD = "scripted_world:ScriptedWorld"
SCENARIO = """\
name: leaky
description: an application whose answers are noted in the trace
manifests: [{bundled: one-per-node}]
applications: {orchard.app: {handler: "leaks:HANDLER"}}
steps:
- apply: orchard
- wait: {for: {ready: orchard}, timeout: 1m}
- request: {service: orchard-serve-svc}
"""


def planted(folder: Path, helpers: Path, handler: str) -> str:
    (folder / "leaks.py").write_text((helpers / "leaks.py").read_text())
    path = folder / "scenario.yaml"
    path.write_text(SCENARIO.replace("HANDLER", handler))
    return str(path)


def test_a_sound_scenario_has_equal_digests(tmp_path: Path, helper_path: Path) -> None:
    outcomes = verify(planted(tmp_path, helper_path, "sound"), range(6), world=WORLD)
    assert [outcome.seed for outcome in outcomes] == [0, 1, 2, 3, 4, 5]
    assert all(outcome.equal and not outcome.error for outcome in outcomes)
    assert len({outcome.digests[0] for outcome in outcomes}) == 6
    assert {outcome.verdict for outcome in outcomes} == {"pass"}


@pytest.mark.parametrize(
    "leak", ["set_order", "wall_clock", "time_zone", "global_random", "uuid4", "state_between_runs"]
)
def test_a_planted_leak_is_located(tmp_path: Path, helper_path: Path, leak: str) -> None:
    outcomes = verify(planted(tmp_path, helper_path, leak), [7, 8], world=WORLD)
    found = outcomes[0]
    assert not found.equal
    assert found.divergence is not None
    # The first event that differs is the note of the leaking answer, not one of its consequences.
    left, right = found.divergence.left, found.divergence.right
    assert left is not None
    assert right is not None
    assert "'note', 'answers'" in left
    assert "'note', 'answers'" in right
    assert left != right
    assert len(found.divergence.before) == 3
    assert "note answers" in str(found.divergence)


def test_a_run_that_fails_is_told_as_an_error(tmp_path: Path, helper_path: Path) -> None:
    outcomes = verify(str(tmp_path / "nothing.yaml"), [1], world=WORLD)
    assert outcomes[0].equal
    assert "no such file" in outcomes[0].error


def test_a_batch_that_was_broken_off_goes_on_where_it_was(tmp_path: Path, helper_path: Path) -> None:
    scenario = planted(tmp_path, helper_path, "sound")
    log = tmp_path / "resume.jsonl"
    first = verify_each([(scenario, range(100))], resume=log, world=WORLD)
    seen = [next(first) for _ in range(6)]
    first.close()
    assert len(log.read_text().splitlines()) == 6
    with log.open("a") as file:
        file.write('{"scenario": "cut of')
    again = list(verify_each([(scenario, range(10))], resume=log, world=WORLD))
    assert sorted(outcome.seed for outcome in again) == list(range(10))
    assert [outcome.seed for outcome in again if outcome.resumed] == [outcome.seed for outcome in seen]


def test_a_changed_scenario_is_checked_anew(tmp_path: Path, helper_path: Path) -> None:
    scenario = planted(tmp_path, helper_path, "sound")
    log = tmp_path / "resume.jsonl"
    assert len(list(verify_each([(scenario, [1])], resume=log, world=WORLD))) == 1
    Path(scenario).write_text(Path(scenario).read_text() + "- sleep: 1s\n")
    assert [outcome.resumed for outcome in verify_each([(scenario, [1])], resume=log, world=WORLD)] == [False]


def test_a_leak_is_not_remembered_as_held(tmp_path: Path, helper_path: Path) -> None:
    scenario = planted(tmp_path, helper_path, "uuid4")
    log = tmp_path / "resume.jsonl"
    list(verify_each([(scenario, [1])], resume=log, world=WORLD))
    assert not log.exists()


def test_a_process_that_dies_is_told(tmp_path: Path, helper_path: Path) -> None:
    with pytest.raises(WorkerDied, match="ended with code 1"):
        verify(planted(tmp_path, helper_path, "sound"), [1], world="scripted_world:NoSuchWorld")


def test_the_first_difference_is_found_with_what_came_before() -> None:
    assert first_divergence("abc", "abc") is None
    assert first_divergence("abcd", "abcx") == Divergence(3, "d", "x", ("a", "b", "c"))
    assert first_divergence("ab", "a") == Divergence(1, "b", None, ("a",))


def test_the_digest_of_one_run_can_be_printed(
    tmp_path: Path, helper_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scenario = planted(tmp_path, helper_path, "sound")
    records = tmp_path / "records.txt"
    assert main([scenario, "--world", WORLD, "--seed", "3", "--records", str(records)]) == 0
    assert capsys.readouterr().out.strip() == verify(scenario, [3], world=WORLD)[0].digests[0]
    assert "'note', 'answers'" in records.read_text()
    assert main([str(tmp_path / "nothing.yaml")]) == 2
    assert "no such file" in capsys.readouterr().err
