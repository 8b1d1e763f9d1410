"""The vocabulary of container scripts: each way to write a thing has one meaning, and mistakes are named with their place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rayrig_sim.kubernetes.kubelet.container_scripts import ScriptProblem, read_container, read_pod, read_pulls
from rayrig_sim.kubernetes.kubelet.script_rules import ScriptRule, ScriptRules, names_of_image

RECORDINGS = Path(__file__).parents[4] / "shared" / "golden" / "kubelet" / "cases"


@pytest.mark.parametrize(
    ("written", "played"),
    [
        # Schedules: by age, in pairs, or one answer for ever
        ({"http": {"80": {"/": {"0s": 503, "1m": 200}}}}, {"http": {"80": {"/": [[0, "503:"], [60, "200:"]]}}}),
        ({"http": {"80": {"/": [[0, 503], [2.5, 200]]}}}, {"http": {"80": {"/": [[0, "503:"], [2.5, "200:"]]}}}),
        ({"http": {80: {"/": 200}}}, {"http": {"80": {"/": [[0, "200:"]]}}}),
        # A port without paths answers on all of them
        ({"http": {"80": 200}}, {"http": {"80": {"*": [[0, "200:"]]}}}),
        ({"http": {"80": {"0s": 503, "5s": 200}}}, {"http": {"80": {"*": [[0, "503:"], [5, "200:"]]}}}),
        (
            {"http": {"80": {"listen": {"0s": False, "5s": True}}}},
            {"http": {"80": {"listen": [[0, False], [5, True]]}}},
        ),
        # Answers
        ({"http": {"80": "200:a@250ms"}}, {"http": {"80": {"*": [[0, "200:a@0.25"]]}}}),
        ({"http": {"80": "200:a@1.5"}}, {"http": {"80": {"*": [[0, "200:a@1.5"]]}}}),
        ({"http": {"80": {"status": 200, "body": "me@home"}}}, {"http": {"80": {"*": [[0, "200:me@home@0"]]}}}),
        ({"http": {"80": {"status": 500, "delay": "2s"}}}, {"http": {"80": {"*": [[0, "500:@2"]]}}}),
        ({"http": {"80": "hang"}}, {"http": {"80": {"*": [[0, "hang"]]}}}),
        (
            {"grpc": {"9": {"0s": "NOT_SERVING", "3s": "SERVING"}}},
            {"grpc": {"9": [[0, "NOT_SERVING"], [3, "SERVING"]]}},
        ),
        # Commands
        ({"exec": 1}, {"exec": [{"schedule": [[0, {"exit": 1}]]}]}),
        ({"exec": {"match": "x", "delay": "4s"}}, {"exec": [{"match": "x", "schedule": [[0, {"delay": 4}]]}]}),
        ({"exec": [{"schedule": {"0s": 1, "9s": 0}}]}, {"exec": [{"schedule": [[0, {"exit": 1}], [9, {"exit": 0}]]}]}),
        # Ends
        ({"runs": {"for": "30s", "reason": "OOMKilled"}}, {"runs": [{"for": 30, "reason": "OOMKilled", "exit": 137}]}),
        ({"runs": [{"start-error": "no"}, {}]}, {"runs": [{"start_error": "no"}, {}]}),
        ({"term": "ignore"}, {"term": {"ignore": True}}),
        ({"term": "5s"}, {"term": {"after": 5}}),
        ({"term": {"http": 503}}, {"term": {"http": {"*": "503:"}}}),
        ({"log": ["one", "two"]}, {"log": "one\ntwo\n"}),
    ],
)
def test_what_is_written_becomes_what_is_played(written: Any, played: Any) -> None:
    assert read_container(written) == played


def test_a_pull_may_be_a_duration_or_several_attempts() -> None:
    assert read_pulls("20s") == [{"delay": 20}]
    assert read_pulls([{"error": "no", "code": "NOT_FOUND"}, {"delay": 1}]) == [
        {"error": "no", "code": "NOT_FOUND"},
        {"delay": 1},
    ]


@pytest.mark.skipif(not RECORDINGS.is_dir(), reason="no recordings here")
def test_scripts_of_the_recordings_are_played_as_they_are() -> None:
    count = 0
    for path in sorted(RECORDINGS.glob("*.json")):
        for obj in json.loads(path.read_text())["objects"]:
            text = ((obj.get("metadata") or {}).get("annotations") or {}).get("script")
            if text:
                count += 1
                assert json.dumps(read_pod(json.loads(text))) == json.dumps(json.loads(text)), path.name
    assert count > 100


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ({"main": {"htp": 1}}, 'main.htp: no field is called "htp" (did you mean "http"?)'),
        (
            {"main": {"http": {"web": 200}}},
            'main.http.web: "web" is no port (give a number from 1 to 65535, in quotes: "8080")',
        ),
        (
            {"main": {"http": {"80": {"ready": 200}}}},
            'main.http.80.ready: "ready" is no path (write /path, "*" for any, listen, tls or host)',
        ),
        ({"main": {"http": {"80": {"/": 99}}}}, "main.http.80./: this is 99 (give a whole number from 100 to 599)"),
        (
            {"main": {"http": {"80": {"/": "ok"}}}},
            'main.http.80./: "ok" is no answer (write a status, 200:body, 200:body@1.5s, hang or reset)',
        ),
        (
            {"main": {"http": {"80": {"/": {"5s": 200, "2s": 503}}}}},
            'main.http.80./.2s: "2s" comes after 5 s (let ages grow from entry to entry)',
        ),
        ({"main": {"http": {"80": {"/": [200]}}}}, "main.http.80./.0: this is 200 (give pairs such as [40s, 200])"),
        (
            {"main": {"grpc": {"9": "OK"}}},
            'main.grpc.9: this is "OK" (known: NOT_FOUND, NOT_SERVING, SERVICE_UNKNOWN, SERVING, UNKNOWN, hang)',
        ),
        (
            {"main": {"runs": []}},
            "main.runs: the list is empty (give at least one run, {} for one that lasts for ever)",
        ),
        ({"main": {"runs": [{"exit": 256}]}}, "main.runs.0.exit: this is 256 (give a whole number from 0 to 255)"),
        (
            {"main": {"term": {"after": "soon"}}},
            'main.term.after: "soon" is no duration (write one such as 40s or 250ms)',
        ),
        ({"images": {"web": {"delay": -1}}}, "images.web.delay: -1 is negative (give 0 or more)"),
        ([], "this is [] (give a mapping)"),
    ],
)
def test_a_mistake_is_told_with_place_and_remedy(written: Any, told: str) -> None:
    with pytest.raises(ScriptProblem) as caught:
        read_pod(written)
    assert str(caught.value) == told


# Rules


def test_an_image_has_many_names() -> None:
    assert names_of_image("r.io:5000/shop/web:2@sha256:0") == (
        "r.io:5000/shop/web:2@sha256:0",
        "r.io:5000/shop/web:2",
        "r.io:5000/shop/web",
        "web:2",
        "web",
    )


def pod(name: str = "p", image: str = "r.io/web:2", **metadata: Any) -> dict[str, Any]:
    spec = {"containers": [{"name": "main", "image": image}, {"name": "other", "image": "other"}]}
    return {"metadata": {"name": name, "namespace": "default", "uid": name, **metadata}, "spec": spec}


@pytest.mark.parametrize(
    ("selector", "found"),
    [
        ({"image": "web"}, ["main"]),
        ({"image": "web:2"}, ["main"]),
        ({"image": "r.io/*"}, ["main"]),
        ({"image": "web:1"}, []),
        ({"container": "o*"}, ["other"]),
        ({"pod": "p"}, ["main", "other"]),
        ({"pod": "q*"}, []),
        ({"labels": {"a": "b"}}, ["main", "other"]),
        ({"labels": {"a": "c"}}, []),
        ({"namespace": "kube-*"}, []),
        ({"namespace": "default", "image": "other"}, ["other"]),
    ],
)
def test_containers_are_chosen_by_all_that_a_rule_says(selector: Any, found: list[str]) -> None:
    rules = ScriptRules([ScriptRule(**selector, script={"log": "x"})])
    assert list(rules.script_of(pod(labels={"a": "b"}))) == found


def test_the_first_rule_counts_a_later_word_counts_more_and_a_pods_own_script_most() -> None:
    rules = ScriptRules(
        [ScriptRule(image="web", script={"log": "first"}), ScriptRule(pod="*", script={"log": "second"})]
    )
    assert rules.script_of(pod()) == {"main": {"log": "first"}, "other": {"log": "second"}}
    rules.add(ScriptRule(container="main", script={"log": "later"}))
    assert rules.script_of(pod()) == {"main": {"log": "later"}, "other": {"log": "second"}}
    own = pod(annotations={"script": '{"main": {"log": "own"}}'})
    assert rules.script_of(own) == {"main": {"log": "own"}, "other": {"log": "second"}}


def test_pulls_and_sandbox_go_with_the_container() -> None:
    rule = ScriptRule(image="web", pulls=({"delay": 5},), sandbox={"delay": 1})
    script = ScriptRules([rule]).script_of(pod())
    assert script == {"main": {}, "images": {"r.io/web:2": [{"delay": 5}]}, "sandbox": {"delay": 1}}
