"""Random stories against a simple model of the whole history: lists at any version, pages, watches from anywhere, compaction,
finalizers, policies of deletion, owners, selectors."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from rayrig_core.errors import AlreadyExists, Conflict, Gone, Invalid, NotFound
from rayrig_core.resource_types import CONFIG_MAP
from rayrig_fakes.kubernetes.calls import ApiCall
from rayrig_fakes.kubernetes.storage.watch import WatchCursor
from tests.fakes.kubernetes.conftest import Api

#: What is compared of an object.
Content = tuple[tuple[tuple[str, str], ...], tuple[tuple[str, str], ...], tuple[str, ...], bool]
#: Key to content and version.
State = dict[str, tuple[Content, int]]

NAMESPACES, NAMES = ("default", "kube-public"), ("a", "b", "c")
KEYS = st.sampled_from([f"{namespace}/{name}" for namespace in NAMESPACES for name in NAMES])
LABELS = st.dictionaries(st.sampled_from(("app", "tier")), st.sampled_from(("x", "y")), max_size=2)
DATA = st.dictionaries(st.just("k"), st.sampled_from(("1", "2", "3")), max_size=1)
SCOPES = st.sampled_from(("", *NAMESPACES))
FINALIZERS = {"Foreground": "foregroundDeletion", "Orphan": "orphan"}


def _equals(labels: dict[str, str]) -> bool:
    return labels.get("app") == "x"


def _differs(labels: dict[str, str]) -> bool:
    return labels.get("app") != "x"


def _in(labels: dict[str, str]) -> bool:
    return labels.get("tier") in ("x", "y") and "app" not in labels


SELECTORS = {"": lambda labels: True, "app=x": _equals, "app!=x": _differs, "tier in (x,y),!app": _in}


def content(obj: dict[str, Any]) -> Content:
    meta = obj["metadata"]
    return (
        tuple(sorted((meta.get("labels") or {}).items())),
        tuple(sorted((obj.get("data") or {}).items())),
        tuple(meta.get("finalizers") or ()),
        "deletionTimestamp" in meta,
    )


@dataclass
class Watching:
    """An open watch: what it selects, and up to which version it has been read."""

    cursor: WatchCursor
    scope: str
    selector: str
    #: Only versions after this one are told.
    since: int
    #: What an informer would hold.
    cache: dict[str, Content] = field(default_factory=dict)


class Story(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.api = Api()
        self.first = self.api.server.revision
        self.compacted = self.first
        #: The state at each version; every version is one change.
        self.states: dict[int, State] = {self.first: {}}
        self.watches: list[Watching] = []
        self.pages: list[tuple[str, int, list[str], str, str]] = []

    # The model

    @property
    def now(self) -> State:
        return self.states[max(self.states)]

    def keep(self, key: str, changed: Content | None) -> None:
        """The next version: `key` has this content, or is gone."""
        version = max(self.states) + 1
        state = dict(self.now)
        if changed is None:
            del state[key]
        else:
            state[key] = (changed, version)
        self.states[version] = state

    def expected(self, state: State, scope: str, selector: str) -> dict[str, Content]:
        matches = SELECTORS[selector]
        return {
            key: found
            for key, (found, _) in sorted(state.items())
            if (not scope or key.startswith(f"{scope}/")) and matches(dict(found[0]))
        }

    # Writing

    def call(self, key: str, verb: Any, **options: Any) -> dict[str, Any]:
        namespace, name = key.split("/")
        given = "" if verb == "create" else name
        return self.api.server.call(ApiCall(verb, CONFIG_MAP, namespace, given, **options)).own()

    def body(self, key: str, labels: dict[str, str], data: dict[str, str], **meta: Any) -> dict[str, Any]:
        return {"metadata": {"name": key.split("/")[1], "labels": labels, **meta}, "data": data}

    @rule(key=KEYS, labels=LABELS, data=DATA, dry=st.booleans())
    def create(self, key: str, labels: dict[str, str], data: dict[str, str], dry: bool) -> None:
        body = self.body(key, labels, data)
        if key in self.now:
            with pytest.raises(AlreadyExists):
                self.call(key, "create", body=body, dry_run=dry)
            return
        made = self.call(key, "create", body=body, dry_run=dry)
        if not dry:
            self.keep(key, content(made))
            assert content(made)[:2] == (tuple(sorted(labels.items())), tuple(sorted(data.items())))

    @initialize(labels=st.lists(LABELS, min_size=6, max_size=6))
    def begin(self, labels: list[dict[str, str]]) -> None:
        """With most of the names taken, so that there is something to page through and to watch."""
        for number, key in enumerate(f"{namespace}/{name}" for namespace in NAMESPACES for name in NAMES):
            if labels[number]:
                self.create(key, labels[number], {}, False)

    @rule(key=KEYS, labels=LABELS, data=DATA, lag=st.integers(0, 3))
    def update(self, key: str, labels: dict[str, str], data: dict[str, str], lag: int) -> None:
        """With the present version or one of some changes ago."""
        if key not in self.now:
            with pytest.raises(NotFound):
                self.call(key, "update", body=self.body(key, labels, data))
            return
        (_, _, finalizers, deleting), version = self.now[key]
        body = self.body(key, labels, data, resourceVersion=str(version - lag), finalizers=list(finalizers))
        if lag:
            with pytest.raises(Conflict):
                self.call(key, "update", body=body)
            return
        wanted: Content = (tuple(sorted(labels.items())), tuple(sorted(data.items())), finalizers, deleting)
        made = self.call(key, "update", body=body)
        if wanted != self.now[key][0]:
            self.keep(key, wanted)
        assert int(made["metadata"]["resourceVersion"]) == self.now[key][1]

    @rule(key=KEYS, held=st.booleans())
    def finalize(self, key: str, held: bool) -> None:
        """Hold an object, or let it go."""
        if key not in self.now:
            return
        labels, data, finalizers, deleting = self.now[key][0]
        wanted = ("example.com/f",) if held else ()
        patch = {"metadata": {"finalizers": list(wanted) or None}}
        if deleting and set(wanted) - set(finalizers):
            with pytest.raises(Invalid):
                self.call(key, "patch", body=patch)
            return
        self.call(key, "patch", body=patch)
        if deleting and not wanted:
            self.keep(key, None)
        elif wanted != finalizers:
            self.keep(key, (labels, data, wanted, deleting))

    @rule(key=KEYS, policy=st.sampled_from((None, "Background", "Foreground", "Orphan")))
    def delete(self, key: str, policy: Any) -> None:
        if key not in self.now:
            with pytest.raises(NotFound):
                self.call(key, "delete", propagation_policy=policy)
            return
        labels, data, finalizers, deleting = self.now[key][0]
        if deleting:
            return
        self.call(key, "delete", propagation_policy=policy)
        if policy in FINALIZERS:
            finalizers = (*finalizers, FINALIZERS[policy])
        self.keep(key, (labels, data, finalizers, True) if finalizers else None)

    @rule(namespace=st.sampled_from(NAMESPACES), selector=st.sampled_from(sorted(SELECTORS)))
    def delete_some(self, namespace: str, selector: str) -> None:
        chosen = self.expected(self.now, namespace, selector)
        page = self.api.server.delete_collection(
            ApiCall("deletecollection", CONFIG_MAP, namespace, label_selector=selector)
        )
        assert [f"{namespace}/{stored.obj['metadata']['name']}" for stored in page.items] == list(chosen)
        for key, (labels, data, finalizers, deleting) in chosen.items():
            if not finalizers:
                self.keep(key, None)
            elif not deleting:
                self.keep(key, (labels, data, finalizers, True))

    # Reading

    def page(self, scope: str, selector: str, **options: Any) -> Any:
        return self.api.server.list(ApiCall("list", CONFIG_MAP, scope, label_selector=selector, **options))

    def keys(self, page: Any) -> list[str]:
        return [f"{each.obj['metadata']['namespace']}/{each.obj['metadata']['name']}" for each in page.items]

    @rule(scope=SCOPES, selector=st.sampled_from(sorted(SELECTORS)))
    def read_now(self, scope: str, selector: str) -> None:
        page = self.page(scope, selector)
        found = {key: content(each.obj) for key, each in zip(self.keys(page), page.items, strict=True)}
        assert found == self.expected(self.now, scope, selector)
        assert list(found) == sorted(found)
        assert page.revision == max(self.states)

    @rule(scope=SCOPES, back=st.integers(0, 12))
    def read_then(self, scope: str, back: int) -> None:
        """The state of some changes ago, unless it is forgotten."""
        version = max(self.first, max(self.states) - back)
        options = {"resource_version": str(version), "resource_version_match": "Exact"}
        if version < self.compacted:
            with pytest.raises(Gone):
                self.page(scope, "", **options)
            return
        page = self.page(scope, "", **options)
        assert {key: content(each.obj) for key, each in zip(self.keys(page), page.items, strict=True)} == self.expected(
            self.states[version], scope, ""
        )

    @rule(scope=SCOPES, selector=st.sampled_from(sorted(SELECTORS)), limit=st.integers(1, 3))
    def begin_pages(self, scope: str, selector: str, limit: int) -> None:
        page = self.page(scope, selector, limit=limit)
        chosen = list(self.expected(self.now, scope, selector))
        assert self.keys(page) == chosen[:limit]
        if not selector:
            assert (page.remaining or 0) == max(0, len(chosen) - limit)
        assert bool(page.continue_token) == (len(chosen) > limit)
        if page.continue_token:
            self.pages.append((page.continue_token, max(self.states), chosen[limit:], scope, selector))

    @precondition(lambda self: self.pages)
    @rule(limit=st.integers(1, 3), key=KEYS, labels=LABELS)
    def go_on_after_a_write(self, limit: int, key: str, labels: dict[str, str]) -> None:
        self.finalize(key, False)
        self.create(key, labels, {}, False)
        self.go_on(limit)

    @precondition(lambda self: self.pages)
    @rule(limit=st.integers(1, 3))
    def go_on(self, limit: int) -> None:
        """The next page is of the same state, whatever was written since."""
        token, version, rest, scope, selector = self.pages.pop(0)
        if version < self.compacted:
            with pytest.raises(Gone) as gone:
                self.page(scope, selector, limit=limit, continue_token=token)
            # The way on: what is there now behind the last key.
            again = gone.value.status["metadata"]["continue"]
            page = self.page(scope, selector, continue_token=again)
            present = [key for key in self.expected(self.now, scope, selector) if not rest or key >= rest[0]]
            assert [key for key in self.keys(page) if key >= rest[0]] == present
            return
        page = self.page(scope, selector, limit=limit, continue_token=token)
        assert self.keys(page) == rest[:limit]
        state = self.expected(self.states[version], scope, selector)
        assert [content(each.obj) for each in page.items] == [state[key] for key in rest[:limit]]
        if page.continue_token:
            self.pages.append((page.continue_token, version, rest[limit:], scope, selector))

    # Watching

    @rule(scope=SCOPES, selector=st.sampled_from(sorted(SELECTORS)), back=st.integers(-1, 8))
    def watch(self, scope: str, selector: str, back: int) -> None:
        """From the beginning (-1), or from some changes ago."""
        version = max(self.first, max(self.states) - back)
        asked = "" if back < 0 else str(version)
        cursor = self.api.server.watch(
            ApiCall("watch", CONFIG_MAP, scope, label_selector=selector, resource_version=asked)
        )
        if back >= 0 and version < self.compacted:
            with pytest.raises(Gone):
                cursor.take()
            return
        watching = Watching(cursor, scope, selector, version if asked else max(self.states))
        if asked:
            watching.cache = self.expected(self.states[version], scope, selector)
        else:
            for key, found in self.expected(self.now, scope, selector).items():
                told = cursor.take()
                assert told is not None
                assert (str(told.type), content(told.object)) == ("ADDED", found)
                watching.cache[key] = found
        self.watches = [*self.watches[-3:], watching]

    @invariant()
    def every_watch_tells_every_change_once_and_in_order(self) -> None:
        for watching in self.watches:
            if watching.since < self.compacted and watching.since < max(self.states):
                self._drain_after_compaction(watching)
                continue
            for version in range(watching.since + 1, max(self.states) + 1):
                before = self.expected(self.states[version - 1], watching.scope, watching.selector)
                after = self.expected(self.states[version], watching.scope, watching.selector)
                for key in sorted({**before, **after}):
                    if before.get(key) == after.get(key):
                        continue
                    told = watching.cursor.take()
                    assert told is not None, f"{key} at {version} is not told"
                    meta = told.object["metadata"]
                    assert (f"{meta['namespace']}/{meta['name']}", int(meta["resourceVersion"])) == (key, version)
                    kind = "ADDED" if key not in before else "DELETED" if key not in after else "MODIFIED"
                    assert str(told.type) == kind
                    if kind == "DELETED":
                        del watching.cache[key]
                    else:
                        watching.cache[key] = content(told.object)
            assert watching.cursor.take() is None
            assert watching.cache == self.expected(self.now, watching.scope, watching.selector)
            watching.since = max(self.states)

    def _drain_after_compaction(self, watching: Watching) -> None:
        """What had been forgotten before it was read: nothing wrong is told, but the watch may end."""
        try:
            while watching.cursor.take() is not None:
                pass
        except Gone:
            self.watches.remove(watching)
            return
        watching.since = max(self.states)
        watching.cache = self.expected(self.now, watching.scope, watching.selector)

    @rule(back=st.integers(0, 10))
    def compact(self, back: int) -> None:
        version = max(self.compacted, max(self.states) - back)
        self.api.server.compact(version)
        self.compacted = version

    @invariant()
    def the_store_counts_as_the_model_does(self) -> None:
        assert self.api.server.revision == max(self.states)


@pytest.mark.accepts("K8-021", "K8-022", "K8-046", "K8-048", "K8-049", "K8-050", "K8-053", "K8-056", "K8-059")
def test_stories_agree_with_the_model() -> None:
    run_state_machine_as_test(Story, settings=settings(max_examples=200, stateful_step_count=40, deadline=None))
