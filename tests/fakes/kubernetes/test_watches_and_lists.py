"""Lists, pages, selectors and watches over the revision log."""

from __future__ import annotations

import pytest

from rayrig_core.errors import ApiError, Gone
from rayrig_core.ports import WatchType
from rayrig_core.resource_types import CONFIG_MAP, NAMESPACE, POD
from rayrig_fakes.kubernetes.calls import ApiCall
from rayrig_fakes.kubernetes.storage.store import Store
from tests.fakes.kubernetes.conftest import START_NS, WIDGET, Api, events

ADDED, MODIFIED, DELETED = WatchType.ADDED, WatchType.MODIFIED, WatchType.DELETED


@pytest.mark.accepts("K8-050")
def test_lists_are_in_key_order_over_one_or_all_namespaces(api: Api) -> None:
    api.create(NAMESPACE, {"metadata": {"name": "default-b"}})
    for name in ("b", "a.z", "a"):
        api.config_map(name)
    api.create(CONFIG_MAP, {"metadata": {"name": "c"}}, namespace="default-b")
    assert api.names(CONFIG_MAP) == ["a", "a.z", "b"]
    # As etcd orders keys: `-` comes before the `/` that ends a namespace.
    assert api.names(CONFIG_MAP, namespace="") == ["c", "a", "a.z", "b"]


@pytest.mark.accepts("K8-048")
def test_pages_show_one_snapshot(api: Api) -> None:
    for name in "abcde":
        api.config_map(name)

    def page(token: str = "") -> tuple[list[str], str, int | None, int]:
        found = api.server.list(ApiCall("list", CONFIG_MAP, "default", limit=2, continue_token=token))
        names = [each.obj["metadata"]["name"] for each in found.items]
        return names, found.continue_token, found.remaining, found.revision

    names, token, remaining, revision = page()
    assert (names, remaining) == (["a", "b"], 3)
    api.config_map("bb")
    api.delete(CONFIG_MAP, "c")
    api.patch(CONFIG_MAP, "d", {"data": {"k": "later"}})
    second, token, remaining, at = page(token)
    assert (second, remaining, at) == (["c", "d"], 1, revision)
    assert page(token)[:3] == (["e"], "", None)
    with pytest.raises(ApiError, match="continue key is not valid") as bad:
        page("garbage")
    assert bad.value.code == 400


@pytest.mark.accepts("K8-048")
def test_an_expired_token_gives_a_way_on(api: Api) -> None:
    for name in "abc":
        api.config_map(name)
    token = api.server.list(ApiCall("list", CONFIG_MAP, "default", limit=1)).continue_token
    api.delete(CONFIG_MAP, "c")
    api.server.compact()
    with pytest.raises(Gone) as expired:
        api.names(CONFIG_MAP, continue_token=token)
    assert api.names(CONFIG_MAP, continue_token=expired.value.status["metadata"]["continue"]) == ["b"]


@pytest.mark.accepts("K8-049")
def test_lists_at_a_revision(api: Api) -> None:
    first = api.config_map("a")["metadata"]["resourceVersion"]
    api.config_map("b")
    assert api.names(CONFIG_MAP, resource_version=first, resource_version_match="Exact") == ["a"]
    assert api.names(CONFIG_MAP, resource_version=first, resource_version_match="NotOlderThan") == ["a", "b"]
    assert api.names(CONFIG_MAP, resource_version="0") == ["a", "b"]
    with pytest.raises(ApiError, match="Too large resource version") as future:
        api.names(CONFIG_MAP, resource_version="999999")
    assert future.value.code == 504
    api.server.compact()
    with pytest.raises(Gone):
        api.names(CONFIG_MAP, resource_version=first, resource_version_match="Exact")


@pytest.mark.accepts("K8-046")
@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ("app=x", ["a"]),
        ("app==x", ["a"]),
        ("app!=x", ["b", "c"]),
        ("app in (x, y)", ["a", "b"]),
        ("app notin (x)", ["b", "c"]),
        ("app", ["a", "b"]),
        ("!app", ["c"]),
        ("app,tier=1", ["a"]),
        ("tier>1", ["b"]),
        ("app in (x,y),tier!=1", ["b"]),
        ("", ["a", "b", "c"]),
    ],
)
def test_label_selectors(api: Api, selector: str, expected: list[str]) -> None:
    api.config_map("a", metadata={"labels": {"app": "x", "tier": "1"}})
    api.config_map("b", metadata={"labels": {"app": "y", "tier": "2"}})
    api.config_map("c")
    assert api.names(CONFIG_MAP, label_selector=selector) == expected


@pytest.mark.accepts("K8-046")
@pytest.mark.parametrize("selector", ["a=b=c", "in (x)", "a in x", "a in (x", "a,", "-a", "a=-b", "!"])
def test_bad_label_selectors_are_400(api: Api, selector: str) -> None:
    with pytest.raises(ApiError) as refused:
        api.names(CONFIG_MAP, label_selector=selector)
    assert refused.value.code == 400


@pytest.mark.accepts("K8-047", "K8-045")
def test_field_selectors_by_kind(custom: Api) -> None:
    custom.pod("p")
    custom.pod("q", bound=False)
    custom.patch(POD, "p", {"status": {"phase": "Running"}}, subresource="status")
    assert custom.names(POD, field_selector="spec.nodeName=n1") == ["p"]
    assert custom.names(POD, field_selector="spec.nodeName=") == ["q"]
    assert custom.names(POD, field_selector="status.phase!=Running,metadata.namespace=default") == ["q"]
    assert custom.names(POD, field_selector="metadata.name=p") == ["p"]
    custom.widget("w", colour="green")
    custom.widget("x")
    assert custom.names(WIDGET, field_selector="spec.colour=green") == ["w"]
    for kind, field, says in (
        (POD, "spec.image=x", "field label not supported: spec.image"),
        (CONFIG_MAP, "data.x=y", '"data.x" is not a known field selector: only "metadata.name", "metadata.namespace"'),
    ):
        with pytest.raises(ApiError) as refused:
            custom.names(kind, field_selector=field)
        assert (refused.value.code, refused.value.message) == (400, says)


@pytest.mark.accepts("K8-051")
def test_a_watch_tells_each_change_with_its_version(api: Api) -> None:
    watch = api.watch(CONFIG_MAP)
    versions = [
        api.config_map("a", data={"k": "1"})["metadata"]["resourceVersion"],
        api.patch(CONFIG_MAP, "a", {"data": {"k": "2"}})["metadata"]["resourceVersion"],
    ]
    api.delete(CONFIG_MAP, "a")
    told = [watch.take(), watch.take(), watch.take()]
    assert [each and each.type for each in told] == [ADDED, MODIFIED, DELETED]
    seen = [each.object["metadata"]["resourceVersion"] for each in told if each]
    assert seen == [*versions, str(int(versions[1]) + 1)]
    assert told[2] is not None
    assert told[2].object["data"] == {"k": "2"}
    assert watch.take() is None


def test_an_event_names_the_trace_event_of_its_write(api: Api) -> None:
    watch = api.watch(CONFIG_MAP)
    api.config_map("a")
    told = watch.take()
    assert told is not None
    assert told.cause is not None
    assert api.trace[told.cause].subject == "configmaps/default/a"


@pytest.mark.accepts("K8-052")
def test_where_a_watch_starts(api: Api) -> None:
    version = api.config_map("a")["metadata"]["resourceVersion"]
    api.config_map("b")
    assert events(api.watch(CONFIG_MAP)) == [(ADDED, "a"), (ADDED, "b")]
    assert events(api.watch(CONFIG_MAP, resource_version="0")) == [(ADDED, "a"), (ADDED, "b")]
    assert events(api.watch(CONFIG_MAP, resource_version=version)) == [(ADDED, "b")]
    api.server.compact()
    lost = api.watch(CONFIG_MAP, resource_version=version)
    with pytest.raises(Gone, match="too old resource version"):
        lost.take()


@pytest.mark.accepts("K8-053")
def test_objects_enter_and_leave_a_selector(api: Api) -> None:
    api.config_map("a")
    watch = api.watch(CONFIG_MAP, label_selector="on=yes")
    api.patch(CONFIG_MAP, "a", {"metadata": {"labels": {"on": "yes"}}})
    api.patch(CONFIG_MAP, "a", {"data": {"k": "v"}})
    left = api.patch(CONFIG_MAP, "a", {"metadata": {"labels": {"on": "no"}}})
    api.patch(CONFIG_MAP, "a", {"data": {"k": "w"}})
    assert events(watch) == [(ADDED, "a"), (MODIFIED, "a"), (DELETED, "a")]
    again = api.watch(
        CONFIG_MAP, label_selector="on=yes", resource_version=str(int(left["metadata"]["resourceVersion"]) - 1)
    )
    gone = again.take()
    assert gone is not None
    assert gone.object["metadata"]["labels"] == {"on": "yes"}
    assert gone.object["metadata"]["resourceVersion"] == left["metadata"]["resourceVersion"]


@pytest.mark.accepts("K8-056")
def test_slow_and_reconnecting_watchers_see_each_change_once(api: Api) -> None:
    fast, slow = api.watch(CONFIG_MAP), api.watch(CONFIG_MAP)
    seen_fast: list[tuple[WatchType, str]] = []
    seen_again: list[tuple[WatchType, str]] = []
    last = str(api.server.revision)
    for round_ in range(20):
        api.config_map(f"m{round_}")
        if round_ % 3 == 0:
            api.delete(CONFIG_MAP, f"m{round_}")
        seen_fast += events(fast)
        if round_ % 4 == 0:
            reconnected = api.watch(CONFIG_MAP, resource_version=last)
            while (told := reconnected.take()) is not None:
                seen_again.append((told.type, told.object["metadata"]["name"]))
                last = told.object["metadata"]["resourceVersion"]
    expected = [(kind, f"m{n}") for n in range(20) for kind in ((ADDED, DELETED) if n % 3 == 0 else (ADDED,))]
    assert seen_fast == expected
    assert events(slow) == expected
    assert seen_again == expected[: len(seen_again)]
    assert len(seen_again) == len([each for each in expected if int(each[1][1:]) <= 16])


def test_only_a_change_that_concerns_a_watcher_wakes_it(api: Api) -> None:
    watch = api.watch(POD, field_selector="spec.nodeName=n1")
    woken: list[str] = []
    watch.call_when_ready(lambda: woken.append("!"))
    api.pod("elsewhere", bound=False)
    assert woken == []
    api.pod("here")
    assert woken == ["!"]
    assert events(watch) == [(ADDED, "here")]
    api.pod("here-too")
    assert woken == ["!"], "told once, until it asks again"


@pytest.mark.accepts("K8-058")
def test_a_watcher_that_falls_behind_what_is_kept_is_told_so() -> None:
    store = Store(history_limit=10)
    collection = store.collection("things")
    from rayrig_fakes.kubernetes.storage.watch import WatchCursor

    slow = WatchCursor(collection)
    for number in range(30):
        collection.put(f"default/t{number}", {"metadata": {"name": f"t{number}"}}, START_NS)
    with pytest.raises(Gone, match="fell behind"):
        slow.take()
    assert len(collection.log.entries) <= 10


def test_a_snapshot_undoes_later_changes() -> None:
    store = Store()
    things = store.collection("things")
    things.put("a", {"metadata": {"name": "a"}, "n": 1}, START_NS)
    things.put("b", {"metadata": {"name": "b"}, "n": 1}, START_NS)
    then = store.revision
    things.put("a", {"metadata": {"name": "a"}, "n": 2}, START_NS)
    things.put("a", {"metadata": {"name": "a"}, "n": 3}, START_NS)
    things.remove("b", {"metadata": {"name": "b"}, "n": 1}, START_NS)
    things.put("c", {"metadata": {"name": "c"}, "n": 1}, START_NS)
    assert {key: obj["n"] for key, obj in things.snapshot(then).items()} == {"a": 1, "b": 1}
    assert [stored.obj["n"] for stored in things.scan()] == [3, 1]
