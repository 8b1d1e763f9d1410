"""Stories of lists and watches."""

from __future__ import annotations

from rayrig_backends.differential.grammar.draw import (
    MERGE_PATCH,
    Draw,
    create,
    delete,
    get,
    listed,
    patch,
    put,
    watch,
)
from rayrig_backends.differential.grammar.kinds import CONFIG_MAP, NAMESPACED, POD, SECRET, SERVICE, Kind
from rayrig_backends.differential.grammar.objects import NAMES, good, labels
from rayrig_backends.differential.steps import Step

LABEL_SELECTORS = (
    "app=x",
    "app==x",
    "app!=x",
    "app",
    "!app",
    "app in (x,y)",
    "app notin (x)",
    "app in ()",
    "app in (x",
    "tier=,app=x",
    "app=x,tier",
    "example.com/part=x",
    "app>1",
    "app<x",
    "=x",
    "app=x=y",
    ",",
    "app in (,x)",
    " app = x ",
    "app=x,,tier",
    "-a=x",
    "app=a b",
    "!app,!tier",
    "app notin (x,y),tier",
    "app in x",
    "!",
    "app!x",
    "app=-",
    "x/y/z=1",
    "app gt 1",
)
FIELD_SELECTORS = (
    "metadata.name=a",
    "metadata.name!=a",
    "metadata.name==b",
    "metadata.namespace=${ns}",
    "metadata.namespace!=x",
    "x=y",
    "metadata.name",
    "metadata.name=a,metadata.name=b",
    "metadata.labels.app=x",
    "spec.nodeName=",
    "status.phase=Pending",
    "status.phase!=Pending",
    "spec.schedulerName=nobody",
    "spec.restartPolicy=Always",
    "type=Opaque",
    "=x",
    ",",
    "metadata.name=a\\,b",
    "spec.type=ClusterIP",
    "spec.clusterIP=None",
    "metadata.name=a=b",
    "metadata.uid=x",
    "spec.hostNetwork=false",
    "data.a=x",
)
_TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
_PARTIAL = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"
_PARTIAL_LIST = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"


def _kind(draw: Draw) -> Kind:
    return draw.one((CONFIG_MAP, CONFIG_MAP, POD, SECRET, SERVICE, *NAMESPACED))


def lists(draw: Draw) -> list[Step]:
    """Selectors, pages, versions, over one and over all namespaces."""
    kind = _kind(draw)
    steps = [create(kind, good(draw, kind, name)) for name in NAMES[: draw.rng.randint(1, 3)]]
    for _ in range(draw.rng.randint(4, 9)):
        query = list_options(draw)
        headers = (("Accept", draw.one((_TABLE, _PARTIAL_LIST, _PARTIAL))),) if draw.chance(0.15) else ()
        if draw.chance(0.1):
            query.append(("fieldSelector", "metadata.namespace=${ns}"))
            steps.append(Step("GET", kind.everywhere, tuple(query), headers))
        else:
            steps.append(listed(kind, query, headers=headers))
        if draw.chance(0.1):
            steps.append(put(kind, "a", good(draw, kind, "a")))
    return steps


def list_options(draw: Draw) -> list[tuple[str, str]]:
    query = draw.maybe(0.4, ("labelSelector", draw.one(LABEL_SELECTORS)))
    query += draw.maybe(0.3, ("fieldSelector", draw.one(FIELD_SELECTORS)))
    query += draw.maybe(0.35, ("limit", draw.one(("1", "2", "1", "2", "500", "0", "-1", "x", "99999999999999999999"))))
    if draw.chance(0.3):
        query.append(("continue", draw.one(("${continue}", "${continue}", "${continue}", "x", "bm90IGpzb24="))))
    if draw.chance(0.25):
        query.append(("resourceVersion", draw.one(("0", "${list}", "${list}", "x", "-1", "99999999999999", ""))))
    if draw.chance(0.15):
        query.append(("resourceVersionMatch", draw.one(("Exact", "NotOlderThan", "Odd", ""))))
    query += draw.maybe(0.05, ("sendInitialEvents", draw.one(("true", "false", ""))))
    query += draw.maybe(0.05, ("pretty", draw.one(("true", "false"))))
    query += draw.maybe(0.05, ("timeoutSeconds", draw.one(("5", "x"))))
    query += draw.maybe(0.03, ("unheardOf", "x"))
    return query


def watches(draw: Draw) -> list[Step]:
    """Streams opened at several points, and writes that each must show once and in order."""
    kind = _kind(draw)
    steps = [create(kind, good(draw, kind, name)) for name in NAMES[: draw.rng.randint(0, 2)]]
    steps.append(listed(kind))
    steps.append(_watch(draw, kind))
    for _ in range(draw.rng.randint(2, 7)):
        steps.append(_write(draw, kind))
        if draw.chance(0.25):
            steps.append(_watch(draw, kind))
    return steps


def _write(draw: Draw, kind: Kind) -> Step:
    name = draw.one(NAMES)
    choice = draw.rng.randint(0, 6)
    if choice <= 1:
        return create(kind, good(draw, kind, name))
    if choice <= 3:
        return patch(kind, name, MERGE_PATCH, {"metadata": {"labels": {"app": draw.one(("x", "y", None))}}})
    if choice == 4:
        return put(kind, name, good(draw, kind, name))
    if choice == 5:
        return delete(kind, name)
    return Step("DELETE", kind.collection, tuple(draw.maybe(0.7, ("labelSelector", "app=x"))))


def _watch(draw: Draw, kind: Kind) -> Step:
    query = draw.maybe(0.4, ("labelSelector", draw.one(LABEL_SELECTORS[:13] if draw.chance(0.9) else LABEL_SELECTORS)))
    query += draw.maybe(0.2, ("fieldSelector", draw.one(FIELD_SELECTORS[:3] if draw.chance(0.8) else FIELD_SELECTORS)))
    choice = draw.rng.random()
    if choice < 0.5:
        key = draw.one(("${list}", "${list}", "${first:" + kind.key("a") + "}", "${rv:" + kind.key("a") + "}", "0", ""))
        # Before a first object was seen its version stands for the beginning of time, which may be forgotten.
        query.append(("resourceVersion", key if not key.startswith(("${first", "${rv")) else "${list}"))
    elif choice < 0.65:
        query += [
            ("sendInitialEvents", "true"),
            ("resourceVersionMatch", "NotOlderThan"),
            ("allowWatchBookmarks", "true"),
        ]
        query += draw.maybe(0.3, ("resourceVersion", draw.one(("0", "${list}"))))
    elif choice < 0.75:
        query += draw.maybe(0.5, ("sendInitialEvents", draw.one(("true", "false", "x"))))
        query += draw.maybe(0.5, ("resourceVersionMatch", draw.one(("NotOlderThan", "Exact"))))
    elif choice < 0.8:
        query.append(("resourceVersion", draw.one(("x", "-1"))))
    query += draw.maybe(0.2, ("allowWatchBookmarks", "true"))
    query += draw.maybe(0.05, ("timeoutSeconds", draw.one(("60", "x", "-1"))))
    query += draw.maybe(0.03, ("limit", "1"))
    accept = draw.rng.random()
    headers = (("Accept", _TABLE),) if accept < 0.08 else (("Accept", _PARTIAL),) if accept < 0.16 else ()
    if draw.chance(0.1):
        return Step("GET", f"{kind.root}/watch/namespaces/${{ns}}/{kind.plural}", tuple(query), headers, watch=True)
    if draw.chance(0.1):
        name = draw.one(NAMES)
        return Step("GET", kind.at(name), (("watch", "true"), *query), headers, watch=True)
    return watch(kind, query, headers=headers)


def shapes(draw: Draw) -> list[Step]:
    """Tables and partial metadata of every verb."""
    kind = _kind(draw)
    accepts = (
        _TABLE,
        _PARTIAL,
        _PARTIAL_LIST,
        f"{_TABLE},application/json",
        "application/json;as=Odd;v=v1;g=meta.k8s.io",
        "application/json;as=Table;v=v1beta1;g=meta.k8s.io",
        "application/json;as=Table;v=v2;g=meta.k8s.io",
        "application/json;as=Table",
    )
    steps: list[Step] = []
    for _ in range(draw.rng.randint(3, 6)):
        headers = (("Accept", draw.one(accepts)),)
        query = draw.maybe(0.3, ("includeObject", draw.one(("None", "Object", "Metadata", "Odd", ""))))
        choice = draw.rng.randint(0, 4)
        if choice == 0:
            steps.append(create(kind, good(draw, kind, "a"), query, headers=headers))
        elif choice == 1:
            steps.append(get(kind, "a", query, headers=headers))
        elif choice == 2:
            steps.append(listed(kind, query, headers=headers))
        elif choice == 3:
            body = {"metadata": {"labels": labels(draw)}}
            step = patch(kind, "a", MERGE_PATCH, body, query)
            steps.append(Step(step.method, step.path, step.query, (*step.headers, *headers), body))
        else:
            step = delete(kind, "a", query)
            steps.append(Step(step.method, step.path, step.query, headers))
    return [create(kind, good(draw, kind, "a")), *steps]
