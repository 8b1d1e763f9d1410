"""Stories of subresources: status, scale, binding, eviction, and those a kind does not have."""

from __future__ import annotations

from rayrig_backends.differential.grammar.draw import (
    APPLY_PATCH,
    JSON_PATCH,
    MERGE_PATCH,
    STRATEGIC_PATCH,
    Draw,
    create,
    delete,
    get,
    patch,
    put,
)
from rayrig_backends.differential.grammar.kinds import NAMESPACED, POD, SERVICE
from rayrig_backends.differential.grammar.objects import good, odd_value
from rayrig_backends.differential.steps import Step
from rayrig_core.objects import Json, JsonObject

_CONDITION = {"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-02T03:04:05Z"}


def subresources(draw: Draw) -> list[Step]:
    return draw.one((_status, _status, _pod_parts, _pod_parts, _odd))(draw)


def _status(draw: Draw) -> list[Step]:
    kind = draw.one((POD, POD, SERVICE, *NAMESPACED))
    steps = [create(kind, good(draw, kind, "a"))]
    status: Json = draw.one(
        (
            {"phase": "Running", "conditions": [_CONDITION]},
            {"conditions": [_CONDITION, {**_CONDITION, "type": "Odd"}]},
            {"loadBalancer": {}},
            {"phase": "Odd"},
            {},
            None,
            "x",
            {"unheardOf": 1},
            {"phase": "Succeeded"},
            {"podIP": "10.1.2.3", "podIPs": [{"ip": "10.1.2.3"}]},
        )
    )
    for _ in range(draw.rng.randint(2, 5)):
        choice = draw.rng.randint(0, 5)
        body: JsonObject = {**good(draw, kind, "a"), "status": status}
        if choice == 0:
            steps.append(put(kind, "a", body, sub="status"))
        elif choice == 1:
            steps.append(
                patch(
                    kind,
                    "a",
                    draw.one((MERGE_PATCH, STRATEGIC_PATCH)),
                    {"status": status, "metadata": {"labels": {"s": "t"}}},
                    sub="status",
                )
            )
        elif choice == 2:
            applied = {**kind.named("a"), "status": status}
            steps.append(
                patch(kind, "a", APPLY_PATCH, applied, [("fieldManager", draw.one(("m1", "m2")))], sub="status")
            )
        elif choice == 3:
            steps.append(
                patch(
                    kind,
                    "a",
                    JSON_PATCH,
                    [{"op": draw.one(("add", "replace")), "path": "/status", "value": status}],
                    sub="status",
                )
            )
        elif choice == 4:
            steps.append(put(kind, "a", body))
        else:
            steps.append(get(kind, "a", sub=draw.one(("status", ""))))
    return steps


def _pod_parts(draw: Draw) -> list[Step]:
    steps = [create(POD, good(draw, POD, "a"))]
    for _ in range(draw.rng.randint(2, 6)):
        choice = draw.rng.randint(0, 6)
        dry = draw.maybe(0.15, ("dryRun", "All"))
        if choice <= 1:
            binding: JsonObject = {
                "apiVersion": "v1",
                "kind": "Binding",
                "metadata": {"name": draw.one(("a", "a", "b"))},
            }
            binding["target"] = draw.one(
                (
                    {"kind": "Node", "name": "${u}-node"},
                    {"name": "${u}-node"},
                    {"kind": "Pod", "name": "x"},
                    {},
                    {"kind": "Node"},
                )
            )
            if draw.chance(0.2):
                binding["metadata"]["annotations"] = {"note": "bound"}
            if draw.chance(0.1):
                binding = odd_value(draw, binding)
            sub = draw.one(("binding", "binding", "binding", ""))
            steps.append(
                Step("POST", POD.at("a", sub) if sub else "/api/v1/namespaces/${ns}/bindings", tuple(dry), body=binding)
            )
        elif choice <= 3:
            eviction: JsonObject = {
                "apiVersion": draw.one(("policy/v1", "policy/v1", "policy/v1beta1", "v1")),
                "kind": "Eviction",
                "metadata": {"name": draw.one(("a", "a", "b", ""))},
            }
            if draw.chance(0.4):
                eviction["deleteOptions"] = draw.one(
                    (
                        {"gracePeriodSeconds": 0},
                        {"dryRun": ["All"]},
                        {"preconditions": {"uid": "x"}},
                        {"gracePeriodSeconds": 5},
                        {},
                    )
                )
            steps.append(Step("POST", POD.at("a", "eviction"), tuple(dry), body=eviction))
        elif choice == 4:
            steps.append(delete(POD, "a", draw.maybe(0.5, ("gracePeriodSeconds", draw.one(("0", "1", "7"))))))
        else:
            steps.append(get(POD, "a"))
    return steps


def _odd(draw: Draw) -> list[Step]:
    kind = draw.one(NAMESPACED)
    steps = [create(kind, good(draw, kind, "a"))]
    for _ in range(draw.rng.randint(2, 4)):
        sub = draw.one(
            (
                "status",
                "scale",
                "binding",
                "eviction",
                "log",
                "exec",
                "token",
                "ephemeralcontainers",
                "resize",
                "odd",
                "finalize",
                "approval",
            )
        )
        method = draw.one(("GET", "PUT", "POST", "PATCH", "DELETE"))
        if sub in ("exec", "log", "token") and method in ("GET", "POST"):
            method = "PUT"
        body = None if method in ("GET", "DELETE") else good(draw, kind, "a")
        headers = (("Content-Type", MERGE_PATCH),) if method == "PATCH" else ()
        steps.append(Step(method, kind.at("a", sub), (), headers, body))
    return steps
