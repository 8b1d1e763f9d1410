"""What servers choose for themselves is equal when it stands for the same thing on both sides."""

from __future__ import annotations

from rayrig_backends.differential.unknowns import Unknowns

ONE, TWO, THREE = (f"{number}1111111-1111-4111-8111-111111111111" for number in (1, 2, 3))


def test_a_uid_stands_for_one_thing_only() -> None:
    unknowns = Unknowns()
    assert unknowns.agree("uid", ONE, TWO)
    assert unknowns.agree("uid", ONE, TWO)
    assert not unknowns.agree("uid", ONE, THREE)
    assert not unknowns.agree("uid", THREE, TWO)


def test_versions_grow_together() -> None:
    unknowns = Unknowns()
    assert unknowns.agree("resourceVersion", "10", "700")
    assert unknowns.agree("resourceVersion", "12", "701")
    assert not unknowns.agree("resourceVersion", "13", "701")
    assert not unknowns.agree("resourceVersion", "11", "702")


def test_unknowns_in_a_text_are_those_met_before() -> None:
    unknowns = Unknowns()
    assert unknowns.agree("uid", ONE, TWO)
    assert unknowns.agree("message", f"found {ONE} here", f"found {TWO} here")
    assert not unknowns.agree("message", f"found {ONE} here", f"found {THREE} here")
    assert not unknowns.agree("message", f"found {ONE} here", f"lost {TWO} here")


def test_other_numbers_in_a_text_are_what_they_are() -> None:
    assert not Unknowns().agree("message", "must have at most 5 items", "must have at most 6 items")
    assert Unknowns().agree("message", "too old resource version: 5 (90)", "too old resource version: 7 (80)")


def test_generated_names_are_bound_by_their_prefix() -> None:
    unknowns = Unknowns()
    assert unknowns.bind_name("web-", "web-abcde", "web-fghij")
    assert unknowns.agree("message", 'pods "web-abcde" not found', 'pods "web-fghij" not found')
    assert not unknowns.agree("message", 'pods "web-abcde" not found', 'pods "web-other" not found')
    assert not unknowns.bind_name("web-", "web-abcde", "api-fghij")


def test_times_are_alike_and_addresses_are_bound() -> None:
    unknowns = Unknowns()
    assert unknowns.agree("creationTimestamp", "2026-01-01T00:00:00Z", "2026-01-01T00:00:09Z")
    assert unknowns.agree("clusterIP", "10.0.0.1", "10.96.3.4")
    assert not unknowns.agree("clusterIP", "10.0.0.2", "10.96.3.4")
