"""Stories of objects: made, read, changed, taken away."""

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
)
from rayrig_backends.differential.grammar.kinds import CLUSTER_WIDE, CONFIG_MAP, NAMESPACED, Kind
from rayrig_backends.differential.grammar.objects import (
    BAD_NAMES,
    FINALIZERS,
    NAMES,
    good,
    labels,
    odd_metadata,
    odd_value,
    owner,
)
from rayrig_backends.differential.steps import Step
from rayrig_core.objects import JsonObject

_DRY = ("dryRun", "All")


def crud(draw: Draw) -> list[Step]:
    """Every verb on one or two kinds, names few enough to meet."""
    kind = draw.one(NAMESPACED)
    steps = [create(kind, good(draw, kind, "a"))]
    for _ in range(draw.rng.randint(3, 9)):
        steps.append(_verb(draw, kind, draw.one(NAMES)))
    return steps


def _verb(draw: Draw, kind: Kind, name: str) -> Step:
    key = kind.key(name)
    choice = draw.rng.randint(0, 15)
    dry = draw.maybe(0.12, _DRY)
    manager = draw.maybe(0.2, ("fieldManager", draw.one(("m1", "m2"))))
    if choice <= 2:
        return create(kind, good(draw, kind, name), [*dry, *manager])
    if choice == 3:
        prefix = f"{draw.one(('gen-', 'g.', 'x' * 60))}{draw.number()}"
        body = good(draw, kind, "")
        del body["metadata"]["name"]
        body["metadata"]["generateName"] = prefix
        return create(kind, body, dry)
    if choice <= 6:
        body = good(draw, kind, name)
        version = draw.rng.random()
        if version < 0.3:
            body["metadata"]["resourceVersion"] = f"${{rv:{key}}}"
        elif version < 0.45:
            body["metadata"]["resourceVersion"] = f"${{first:{key}}}"
        elif version < 0.5:
            body["metadata"]["resourceVersion"] = draw.one(("1", "0", "x", "99999999999"))
        if draw.chance(0.15):
            body["metadata"]["uid"] = draw.one((f"${{uid:{key}}}", "33333333-3333-4333-8333-333333333333"))
        return put(kind, name, body, [*dry, *manager])
    if choice <= 8:
        return patch(kind, name, MERGE_PATCH, {"metadata": {"labels": labels(draw)}}, [*dry, *manager])
    if choice <= 10:
        return get(kind, name)
    if choice == 11:
        return listed(kind)
    if choice <= 13:
        return delete(kind, name, *delete_options(draw, key))
    if choice == 14:
        return put(kind, name, odd_metadata(draw, kind, good(draw, kind, name)))
    return create(kind, odd_metadata(draw, kind, good(draw, kind, name)))


def delete_options(draw: Draw, key: str) -> tuple[list[tuple[str, str]], JsonObject | None]:
    """Query and body of a delete."""
    query: list[tuple[str, str]] = []
    options: JsonObject = {}
    choice = draw.rng.randint(0, 11)
    if choice == 0:
        query.append(("propagationPolicy", draw.one(("Background", "Foreground", "Orphan", "Odd", ""))))
    elif choice == 1:
        query.append(("gracePeriodSeconds", draw.one(("0", "1", "30", "-1", "x"))))
    elif choice == 2:
        query.append(("dryRun", draw.one(("All", "None", ""))))
    elif choice == 3:
        options["preconditions"] = {"uid": draw.one((f"${{uid:{key}}}", "44444444-4444-4444-8444-444444444444"))}
    elif choice == 4:
        options["preconditions"] = {"resourceVersion": draw.one((f"${{rv:{key}}}", f"${{first:{key}}}", "1"))}
    elif choice == 5:
        options["propagationPolicy"] = draw.one(("Background", "Foreground", "Orphan", "Odd"))
    elif choice == 6:
        options["gracePeriodSeconds"] = draw.one((0, 1, -1, "x"))
    elif choice == 7:
        options["orphanDependents"] = draw.one((True, False))
        if draw.chance(0.3):
            options["propagationPolicy"] = "Orphan"
    elif choice == 8:
        options["unheardOf"] = 1
    policy = options.get("propagationPolicy") or dict(query).get("propagationPolicy") or options.get("orphanDependents")
    if policy not in (None, False, "Background"):
        # What the garbage collector does with them, and when, is not to be seen here.
        if options:
            options["dryRun"] = ["All"]
        else:
            query.append(("dryRun", "All"))
    if options and draw.chance(0.7):
        options = {
            "apiVersion": draw.one(("v1", "meta.k8s.io/v1", "apps/v1")),
            "kind": draw.one(("DeleteOptions",) * 4 + ("Pod",)),
            **options,
        }
    return query, options or None


def names(draw: Draw) -> list[Step]:
    """Names and other metadata that are refused, or just not."""
    steps: list[Step] = []
    for _ in range(draw.rng.randint(3, 6)):
        kind = draw.one(NAMESPACED)
        body = good(draw, kind, draw.one(BAD_NAMES) if draw.chance(0.4) else "a")
        if draw.chance(0.7):
            body = odd_metadata(draw, kind, body)
        if draw.chance(0.1):
            body = odd_metadata(draw, kind, body)
        steps.append(create(kind, body, draw.maybe(0.3, _DRY)))
        if draw.chance(0.3):
            steps.append(put(kind, "a", odd_metadata(draw, kind, good(draw, kind, "a"))))
        if draw.chance(0.3):
            steps.append(
                patch(kind, "a", MERGE_PATCH, {"metadata": odd_metadata(draw, kind, {"metadata": {}})["metadata"]})
            )
    return steps


def values(draw: Draw) -> list[Step]:
    """Bodies of wrong types, with unknown and missing fields, under each kind of fieldValidation."""
    steps: list[Step] = []
    kind = draw.one(NAMESPACED)
    for _ in range(draw.rng.randint(3, 7)):
        body = odd_value(draw, good(draw, kind, "a"))
        if draw.chance(0.2):
            body = odd_value(draw, body)
        query = draw.maybe(0.6, ("fieldValidation", draw.one(("Strict", "Warn", "Ignore", "Odd", "strict"))))
        choice = draw.rng.random()
        if choice < 0.5:
            steps.append(create(kind, body, query))
        elif choice < 0.75:
            steps.append(put(kind, "a", body, query))
        else:
            body.pop("apiVersion", None)
            body.pop("kind", None)
            steps.append(patch(kind, "a", MERGE_PATCH, body, query))
    steps.insert(0, create(kind, good(draw, kind, "a")))
    return steps


def deletion(draw: Draw) -> list[Step]:
    """Finalizers, owners, policies, preconditions, collections."""
    kind = draw.one(NAMESPACED)
    holders = draw.some(FINALIZERS, 2) if draw.chance(0.7) else []
    first = good(draw, kind, "a")
    if holders:
        first["metadata"]["finalizers"] = holders
    steps = [create(kind, first)]
    child = good(draw, kind, "b")
    if draw.chance(0.4):
        child["metadata"]["ownerReferences"] = [
            owner(kind, "a", **({"blockOwnerDeletion": True} if draw.chance(0.5) else {}))
        ]
        # The collector would come in between.
        child["metadata"]["ownerReferences"][0]["uid"] = f"${{uid:{kind.key('a')}}}"
        steps.append(create(kind, child))
        return [
            *steps,
            get(kind, "b"),
            put(kind, "b", child),
            patch(kind, "b", MERGE_PATCH, {"metadata": {"ownerReferences": None}}),
        ]
    steps.append(create(kind, child))
    for _ in range(draw.rng.randint(2, 6)):
        name = draw.one(("a", "a", "b"))
        choice = draw.rng.randint(0, 9)
        if choice <= 3:
            steps.append(delete(kind, name, *delete_options(draw, kind.key(name))))
        elif choice == 4:
            steps.append(patch(kind, name, MERGE_PATCH, {"metadata": {"finalizers": draw.some(FINALIZERS, 2) or None}}))
        elif choice == 5:
            steps.append(put(kind, name, good(draw, kind, name)))
        elif choice == 6:
            steps.append(create(kind, good(draw, kind, name)))
        elif choice == 7:
            query, options = delete_options(draw, kind.key("a"))
            query += draw.maybe(0.5, ("labelSelector", draw.one(("app=x", "app", "!app", "app in (x,y)", "=,"))))
            query += draw.maybe(0.2, ("fieldSelector", draw.one(("metadata.name=a", "metadata.name!=a", "x=y"))))
            query += draw.maybe(0.1, ("limit", "1"))
            steps.append(Step("DELETE", kind.collection, tuple(query), body=options))
        else:
            steps.append(draw.one((get(kind, name), listed(kind))))
    return steps


def cluster(draw: Draw) -> list[Step]:
    """Objects without a namespace, and namespaces themselves."""
    kind = draw.one(CLUSTER_WIDE)
    names_here = ("${u}-a", "${u}-b")
    steps = [create(kind, good(draw, kind, names_here[0]))]
    for _ in range(draw.rng.randint(2, 6)):
        name = draw.one(names_here)
        step = _verb(draw, kind, name)
        body = step.body
        if step.path == kind.collection and (step.method != "POST" or not isinstance(body, dict)):
            step = listed(kind, [("fieldSelector", f"metadata.name={name}")])
        elif step.method == "POST" and isinstance(body, dict):
            # Nothing outside of the namespace is named without the story's word.
            meta = body["metadata"]
            if "generateName" in meta:
                meta["generateName"] = "${u}-" + str(meta["generateName"])
            if "name" in meta and "${u}" not in str(meta["name"]):
                meta["name"] = "${u}-" + str(meta["name"])
        steps.append(step)
    return steps


def dry_runs(draw: Draw) -> list[Step]:
    """What is shown, and that nothing stays."""
    kind = draw.one((*NAMESPACED, CONFIG_MAP))
    steps: list[Step] = []
    for _ in range(draw.rng.randint(2, 5)):
        query = [("dryRun", draw.one(("All", "All", "All", "None", ""))), *draw.maybe(0.1, _DRY)]
        choice = draw.rng.randint(0, 4)
        if choice == 0:
            steps.append(create(kind, good(draw, kind, "a"), query))
        elif choice == 1:
            steps.append(put(kind, "a", good(draw, kind, "a"), query))
        elif choice == 2:
            steps.append(patch(kind, "a", MERGE_PATCH, {"metadata": {"labels": labels(draw)}}, query))
        elif choice == 3:
            steps.append(delete(kind, "a", query))
        else:
            steps.append(Step("DELETE", kind.collection, tuple(query)))
        steps.append(get(kind, "a"))
        if draw.chance(0.4):
            steps.append(create(kind, good(draw, kind, "a")))
    return steps
