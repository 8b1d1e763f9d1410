"""Pods whose specs are alike: what was settled for the first serves the others, and shows in nothing but the time it takes."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rayrig_core.errors import ApiError
from rayrig_core.resource_types import POD, PRIORITY_CLASS
from rayrig_fakes.kubernetes.calls import ApiCall
from tests.fakes.kubernetes.conftest import Api

_FIRST: dict[str, Any] = {
    "initContainers": [{"name": "i", "image": "i:1", "args": ["a"]}],
    "containers": [
        {
            "name": "c",
            "image": "i:1",
            "command": ["sh", "-c"],
            "args": ["one", "two"],
            "env": [
                {"name": "A", "value": "1"},
                {"name": "B"},
                {"name": "F", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            ],
        },
        {"name": "d", "image": "i:2", "ports": [{"containerPort": 80}]},
    ],
}
_texts = st.text("a$()", max_size=3)
_anything = st.sampled_from([None, 1, True, "", "x", [], ["x"], [None], {}, [{"name": "A"}], [["A"]], ["A"], [{}]])
_variables = st.lists(
    st.fixed_dictionaries({"name": st.sampled_from("ABF")}, optional={"value": _texts | _anything})
    | st.fixed_dictionaries({"value": _texts, "name": st.sampled_from("ABF")})
    | _anything,
    max_size=4,
)


@st.composite
def specs(draw: st.DrawFn) -> dict[str, Any]:
    """The first one with other words in it, or something else in a place of theirs."""
    spec = copy.deepcopy(_FIRST)
    container = spec["containers"][draw(st.integers(0, 1))]
    where = draw(st.sampled_from(["env", "args", "command", "value", "image"]))
    if where == "image":
        images = [
            "i",
            "i:1",
            "i:2",
            "i:latest",
            " i:1",
            "i@sha256:1",
            "r:5/i",
            "",
            None,
            1,
            ["IfNotPresent"],
            ["Always"],
        ]
        container["image"] = draw(st.sampled_from(images))
        if draw(st.booleans()):
            container["imagePullPolicy"] = draw(st.sampled_from(["Never", "Sometimes", None, ""]))
    elif where == "value":
        spec["containers"][0]["env"][0]["value"] = draw(_texts | _anything)
    else:
        container[where] = draw(_variables if where == "env" else st.lists(_texts, max_size=3) | _anything)
    return spec


def outcome(api: Api, name: str, spec: Any) -> Any:
    body = {"metadata": {"name": name}, "spec": spec}
    try:
        answer = api.server.call(
            ApiCall("create", POD, "default", body=body, field_manager="m", field_validation="Warn")
        )
    except ApiError as refused:
        return refused.status
    pod = answer.own()
    for field in ("uid", "resourceVersion"):
        del pod["metadata"][field]
    return pod, answer.warnings


@given(specs())
def test_a_pod_is_the_same_whatever_came_before_it(spec: dict[str, Any]) -> None:
    fresh, used = Api(), Api()
    outcome(used, "first", copy.deepcopy(_FIRST))
    assert outcome(used, "p", spec) == outcome(fresh, "p", spec)
    assert outcome(used, "q", spec) == outcome(fresh, "q", spec)
    assert used.get(POD, "first")["spec"]["containers"][0]["args"] == ["one", "two"]


def test_words_are_each_pods_own(api: Api) -> None:
    for word in ("one", "two"):
        spec = copy.deepcopy(_FIRST)
        container = spec["containers"][0]
        container["env"][0]["value"] = container["args"][1] = container["image"] = word
        api.create(POD, {"metadata": {"name": word}, "spec": spec})
    for word in ("one", "two"):
        container = api.get(POD, word)["spec"]["containers"][0]
        assert (container["env"][0], container["args"]) == ({"name": "A", "value": word}, ["one", word])
        assert (container["image"], container["imagePullPolicy"]) == (word, "Always")


@pytest.mark.accepts("K8-018")
def test_a_variable_that_hides_another_is_remarked_on_each_time(api: Api) -> None:
    container = {"name": "c", "image": "i:1", "env": [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]}
    for name in ("a", "b"):
        body = {"metadata": {"name": name}, "spec": {"containers": [container]}}
        call = ApiCall("create", POD, "default", body=body, field_validation="Warn")
        assert "hides previous definition" in api.server.call(call).warnings[0]


def test_a_default_priority_class_counts_from_when_it_is_there(api: Api) -> None:
    spec = {"containers": [{"name": "c", "image": "i:1"}]}
    assert api.create(POD, {"metadata": {"name": "a"}, "spec": spec})["spec"]["priority"] == 0
    api.create(PRIORITY_CLASS, {"metadata": {"name": "usual"}, "value": 7, "globalDefault": True})
    assert api.create(POD, {"metadata": {"name": "b"}, "spec": spec})["spec"]["priority"] == 7
