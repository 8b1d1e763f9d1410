"""What a pod's probes got is kept as runs: equal answers at equal distances."""

from __future__ import annotations

from rayrig_core.timestamps import NS
from rayrig_sim.kubernetes.kubelet.probe_history import ProbeHistory, ProbeLog
from rayrig_sim.kubernetes.kubelet.probes import ProbeAnswer, ProbeKind, Verdict

READINESS = ProbeKind.READINESS
GOOD, BAD = ProbeAnswer(Verdict.SUCCESS), ProbeAnswer(Verdict.FAILURE, "503", "/healthz answered 503")


def seconds(history: ProbeHistory) -> list[tuple[str, float, float, int]]:
    return [(run.verdict.value, run.first_ns / NS, run.last_ns / NS, run.count) for run in history.runs()]


def test_equal_answers_at_equal_distances_are_one_run() -> None:
    history = ProbeHistory()
    for t in (10, 15, 20, 25):
        history.add(t * NS, "main", READINESS, BAD)
    history.add(30 * NS, "main", READINESS, GOOD)
    assert seconds(history) == [("failure", 10, 25, 4), ("success", 30, 30, 1)]
    assert history.runs()[0].step_ns == 5 * NS


def test_a_probe_out_of_turn_begins_a_run_of_its_own() -> None:
    history = ProbeHistory()
    for t in (10, 15, 15, 20, 25):
        history.add(t * NS, "main", READINESS, BAD)
    assert seconds(history) == [("failure", 10, 15, 2), ("failure", 15, 25, 3)]


def test_the_rhythm_begins_with_the_first_probe_in_it() -> None:
    """The first probe of a container comes by hand, the second with the ticker."""
    history = ProbeHistory()
    for t in (10, 13, 18, 23):
        history.add(t * NS, "main", READINESS, BAD)
    assert seconds(history) == [("failure", 10, 10, 1), ("failure", 13, 23, 3)]


def test_probes_that_were_not_made_are_told_as_if_they_were() -> None:
    made, computed = ProbeHistory(), ProbeHistory()
    for t in range(10, 1010, 5):
        made.add(t * NS, "main", READINESS, GOOD)
    computed.add(10 * NS, "main", READINESS, GOOD)
    computed.add_run(15 * NS, 1000 * NS, 198, "main", READINESS, GOOD)
    computed.add(1005 * NS, "main", READINESS, GOOD)
    assert computed.runs() == made.runs()
    assert computed.observations(40) == made.observations(40)


def test_kinds_and_containers_do_not_break_each_others_runs() -> None:
    history = ProbeHistory()
    for t in (1, 2, 3):
        history.add(t * NS, "main", READINESS, GOOD)
        history.add(t * NS, "main", ProbeKind.LIVENESS, GOOD)
        history.add(t * NS, "side", READINESS, GOOD)
    assert [run.count for run in history.runs()] == [3, 3, 3]
    assert [round(one.t_ns / NS) for one in history.observations(4)] == [2, 3, 3, 3]


def test_the_part_of_a_run_up_to_a_moment() -> None:
    history = ProbeHistory()
    for t in (10, 15, 20, 25):
        history.add(t * NS, "main", READINESS, BAD)
    (run,) = history.runs()
    early = run.until(21 * NS)
    assert early is not None
    assert (early.first_ns, early.last_ns, early.count) == (10 * NS, 20 * NS, 3)
    assert run.until(9 * NS) is None
    assert run.until(25 * NS) is run


def test_a_year_of_flapping_takes_little_room() -> None:
    history = ProbeHistory()
    for t in range(10_000):
        history.add(t * NS, "main", READINESS, GOOD if t % 2 else BAD)
    assert len(history.runs()) == 64
    assert history.observations(1)[0].t_ns == 9_999 * NS


def test_the_probes_of_a_pod_outlive_it_and_the_oldest_pod_goes_first() -> None:
    log = ProbeLog()
    for number in range(1_025):
        log.begin(str(number)).add(number, "main", READINESS, GOOD)
    assert log.of("0") is None
    kept = log.of("1")
    assert kept is not None
    assert log.begin("1") is kept
