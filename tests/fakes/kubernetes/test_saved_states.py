"""A state is saved, restored and compared (K8-085)."""

from __future__ import annotations

import pytest

from rayrig_core.errors import ApiError, InputError
from rayrig_core.resource_types import CONFIG_MAP, CUSTOM_RESOURCE_DEFINITION, POD, SERVICE
from rayrig_fakes.kubernetes.saved_state import SavedState
from tests.fakes.kubernetes.conftest import WIDGET, Api, events, widget_definition


def fill(api: Api) -> None:
    api.server.add_definitions([widget_definition()])
    api.config_map("a", data={"k": "v"})
    api.pod("p")
    api.widget("w", size=3)
    api.create(SERVICE, {"metadata": {"name": "s"}, "spec": {"type": "NodePort", "ports": [{"port": 80}]}})


@pytest.mark.accepts("K8-085")
def test_a_new_server_takes_up_a_saved_state_and_goes_on_as_the_first_does(api: Api) -> None:
    fill(api)
    saved = SavedState.from_json(SavedState.of(api.server).to_json())
    other = Api(seed=99)
    saved.restore(other.server)
    assert SavedState.of(other.server) == SavedState.of(api.server)
    assert other.server.revision == api.server.revision

    def go_on(each: Api) -> list[object]:
        made = each.create(CONFIG_MAP, {"metadata": {"generateName": "g-"}})
        service = each.create(SERVICE, {"metadata": {"name": "t"}, "spec": {"ports": [{"port": 80}]}})
        return [made, service, each.widget("x"), each.patch(WIDGET, "w", {"spec": {"size": 4}})]

    assert go_on(other) == go_on(api)


@pytest.mark.accepts("K8-085")
def test_what_came_after_is_gone_and_what_went_is_back(api: Api) -> None:
    fill(api)
    taken = api.get(SERVICE, "s")["spec"]
    saved = SavedState.of(api.server)
    api.delete(CONFIG_MAP, "a")
    api.config_map("b")
    api.delete(SERVICE, "s")
    api.delete(CUSTOM_RESOURCE_DEFINITION, "widgets.example.com")
    late = api.create(
        SERVICE, {"metadata": {"name": "late"}, "spec": {"clusterIP": "10.96.1.1", "ports": [{"port": 1}]}}
    )
    gone_to = api.server.revision
    saved.restore(api.server)

    assert saved.differences(SavedState.of(api.server), ignore=()) == []
    assert api.names(CONFIG_MAP) == ["a"]
    assert api.get(WIDGET, "w")["spec"]["size"] == 3
    spec = {"clusterIP": taken["clusterIP"], "ports": [{"port": 80}]}
    with pytest.raises(ApiError, match="provided IP is already allocated"):
        api.create(SERVICE, {"metadata": {"name": "t"}, "spec": spec})
    spec = {"clusterIP": late["spec"]["clusterIP"], "ports": [{"port": 80}]}
    assert api.create(SERVICE, {"metadata": {"name": "t"}, "spec": spec})["spec"]["clusterIP"] == "10.96.1.1"
    # A version that was given once is not given again.
    assert int(api.config_map("c")["metadata"]["resourceVersion"]) > gone_to


@pytest.mark.accepts("K8-085")
def test_custom_resources_defined_later_are_no_longer_served(api: Api) -> None:
    saved = SavedState.of(api.server)
    fill(api)
    saved.restore(api.server)
    with pytest.raises(ApiError, match="the server could not find the requested resource"):
        api.names(WIDGET)
    fill(api)
    assert api.names(WIDGET) == ["w"]


@pytest.mark.accepts("K8-085", "K8-058")
def test_watches_that_were_open_end_with_410_and_begin_anew(api: Api) -> None:
    fill(api)
    saved = SavedState.of(api.server)
    watch = api.watch(CONFIG_MAP, resource_version=str(api.server.revision))
    assert watch.take() is None
    woken: list[bool] = []
    watch.call_when_ready(lambda: woken.append(True))
    saved.restore(api.server)
    assert woken == [True]
    with pytest.raises(ApiError) as gone:
        watch.take()
    assert gone.value.code == 410
    again = api.watch(CONFIG_MAP)
    assert events(again) == [("ADDED", "a")]
    api.config_map("b")
    assert events(again) == [("ADDED", "b")]


@pytest.mark.accepts("K8-085")
def test_two_states_are_compared_value_by_value(api: Api) -> None:
    fill(api)
    before = SavedState.of(api.server)
    api.patch(CONFIG_MAP, "a", {"data": {"k": "w", "l": "x"}})
    api.delete(WIDGET, "w")
    api.config_map("b")
    api.patch(POD, "p", {"status": {"conditions": [{"type": "Ready", "status": "True"}]}}, subresource="status")
    told = [str(each) for each in before.differences(SavedState.of(api.server), ignore=("metadata", "status"))]
    assert told == [
        'configmaps default/a: data.k: "v" became "w"',
        'configmaps default/a: data.l added: "x"',
        "configmaps default/b added",
        "widgets.example.com default/w removed",
    ]
    (version,) = [
        each.path
        for each in before.differences(SavedState.of(api.server), ignore=("data", "metadata.managedFields"))
        if each.key == "default/a" and each.how == "changed" and each.path != "metadata.managedFields"
    ]
    assert version == "metadata.resourceVersion"


@pytest.mark.accepts("K8-085")
def test_a_saved_state_is_its_owners(api: Api) -> None:
    api.config_map("a", data={"k": "v"})
    saved = SavedState.of(api.server)
    saved.restore(api.server)
    saved.objects["configmaps"]["default/a"]["data"]["k"] = "other"
    assert api.get(CONFIG_MAP, "a")["data"] == {"k": "v"}


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": "rayrig.kubernetes/v1"}'])
def test_what_is_no_saved_state_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="no saved state"):
        SavedState.from_json(text)
