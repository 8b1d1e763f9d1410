"""The numbers of an incremental upgrade, without any cluster (kuberay-operator 2.9.3 to 2.9.8)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rayrig_controllers.rayservice.incremental import (
    Capacity,
    UpgradeOptions,
    capacity_step,
    is_rollback_complete,
    is_upgrade_complete,
    traffic_weights,
)
from rayrig_controllers.rayservice.status import Slot
from rayrig_core.timestamps import NS, rfc3339

EPOCH_S = 1_767_225_600


def options(step: int, interval_s: int, surge: int) -> UpgradeOptions:
    return UpgradeOptions(surge, step, interval_s, "istio")


@dataclass
class Upgrade:
    """The two slots, played by ticks of 2 s. Serve reconciles pending first, then the traffic moves."""

    options: UpgradeOptions
    active: Slot = field(default_factory=lambda: Slot("a", target_capacity=100, traffic_percent=100))
    pending: Slot = field(default_factory=lambda: Slot("p", target_capacity=0, traffic_percent=0))
    rolling_back: bool = False
    pending_ready: bool = True
    now_s: int = 0

    def numbers(self) -> str:
        slots = (self.active.target_capacity, self.pending.target_capacity, self.active.traffic_percent)
        return "/".join(str(each) for each in (*slots, self.pending.traffic_percent))

    def tick(self) -> str:
        for slot, on_active in ((self.pending, False), (self.active, True)):
            step = capacity_step(
                self.active, self.pending, self.options, on_active=on_active, is_rolling_back=self.rolling_back
            )
            if step.kind is Capacity.CHANGE:
                slot.target_capacity = step.percent
        now_ns = (EPOCH_S + self.now_s) * NS
        weights = traffic_weights(
            self.active,
            self.pending,
            self.options,
            now_ns=now_ns,
            is_pending_ready=self.pending_ready,
            is_rolling_back=self.rolling_back,
        )
        for slot, weight in ((self.active, weights.active), (self.pending, weights.pending)):
            if slot.traffic_percent != weight:
                slot.traffic_percent, slot.last_traffic_migrated = weight, rfc3339(now_ns)
        self.now_s += 2
        return self.numbers()

    def run(self, until_s: int = 600) -> list[tuple[int, str]]:
        """Changes as (second, numbers) until promotion, rollback or the time are reached."""
        seen: list[tuple[int, str]] = []
        while self.now_s <= until_s:
            at, numbers = self.now_s, self.tick()
            if not seen or seen[-1][1] != numbers:
                seen.append((at, numbers))
            if self.rolling_back:
                if is_rollback_complete(self.active, self.pending, is_pending_head_ready=True):
                    break
            elif is_upgrade_complete(self.active, self.pending):
                break
        return seen


@pytest.mark.accepts("RS-117", "RS-118", "RS-119", "RS-121")
@pytest.mark.parametrize(
    ("pace", "story"),
    [
        ((100, 1, 100), [(0, "100/100/0/100"), (2, "0/100/0/100")]),
        (
            (25, 5, 50),
            [
                (0, "100/50/75/25"),
                (6, "100/50/50/50"),
                (8, "50/50/50/50"),
                (10, "50/100/50/50"),
                (12, "50/100/25/75"),
                (18, "50/100/0/100"),
                (20, "0/100/0/100"),
            ],
        ),
    ],
    ids=["BlueGreen", "Aggressive"],
)
def test_the_published_traces(pace: tuple[int, int, int], story: list[tuple[int, str]]) -> None:
    assert Upgrade(options(*pace)).run() == story


@pytest.mark.accepts("RS-121")
def test_the_sample_files_pace_makes_a_triple_every_thirty_seconds() -> None:
    story = Upgrade(options(10, 30, 10)).run()
    assert story[:6] == [
        (0, "100/10/90/10"),
        (2, "90/10/90/10"),
        (4, "90/20/90/10"),
        (30, "90/20/80/20"),
        (32, "80/20/80/20"),
        (34, "80/30/80/20"),
    ]
    assert story[-2:] == [(270, "10/100/0/100"), (272, "0/100/0/100")]


@pytest.mark.accepts("RS-121")
def test_a_conservative_pace_ends_after_192_seconds() -> None:
    story = Upgrade(options(5, 10, 25)).run()
    assert story[0] == (0, "100/25/95/5")
    assert story[-1] == (192, "0/100/0/100")


@pytest.mark.accepts("RS-125")
@pytest.mark.parametrize(
    ("pace", "before", "story"),
    [
        ((25, 2, 50), "100/50/75/25", ["100/50/100/0", "100/0/100/0"]),
        ((25, 2, 50), "100/50/50/50", ["100/50/75/25", "100/50/100/0", "100/0/100/0"]),
        (
            (30, 2, 30),
            "10/100/0/100",
            ["10/100/10/90", "40/70/40/60", "70/40/70/30", "100/10/100/0", "100/0/100/0"],
        ),
    ],
)
def test_going_back_the_published_way(pace: tuple[int, int, int], before: str, story: list[str]) -> None:
    numbers = [int(each) for each in before.split("/")]
    upgrade = Upgrade(options(*pace), rolling_back=True)
    upgrade.active = Slot("a", target_capacity=numbers[0], traffic_percent=numbers[2])
    upgrade.pending = Slot("p", target_capacity=numbers[1], traffic_percent=numbers[3])
    assert [numbers for _, numbers in upgrade.run()] == story


@pytest.mark.accepts("RS-116")
@pytest.mark.parametrize("on_active", [True, False])
def test_capacity_waits_for_the_traffic(on_active: bool) -> None:
    active, pending = Slot("a", target_capacity=100), Slot("p", target_capacity=50, traffic_percent=25)
    step = capacity_step(active, pending, options(25, 5, 50), on_active=on_active, is_rolling_back=False)
    assert step.kind is Capacity.KEEP


@pytest.mark.accepts("RS-120")
def test_traffic_waits_for_a_pending_cluster_that_is_not_ready() -> None:
    upgrade = Upgrade(options(25, 5, 50), pending_ready=False)
    assert upgrade.run(40) == [(0, "100/50/100/0")]


@pytest.mark.accepts("RS-128")
def test_a_rollback_does_not_wait_for_a_pending_head_that_is_not_ready() -> None:
    active, pending = (
        Slot("a", target_capacity=100, traffic_percent=100),
        Slot("p", target_capacity=50, traffic_percent=0),
    )
    assert not is_rollback_complete(active, pending, is_pending_head_ready=True)
    assert is_rollback_complete(active, pending, is_pending_head_ready=False)


def test_unset_numbers_are_neither_0_nor_100() -> None:
    assert not is_upgrade_complete(Slot("a"), Slot("p", traffic_percent=100))
    assert not is_rollback_complete(Slot("a", traffic_percent=100), Slot("p"), is_pending_head_ready=False)


paces = st.builds(options, st.integers(1, 100), st.integers(1, 60), st.integers(1, 100)).filter(
    lambda pace: pace.step <= pace.surge
)


@given(paces, st.data())
def test_what_always_holds_on_the_way(pace: UpgradeOptions, data: Any) -> None:
    upgrade = Upgrade(pace)
    turned = data.draw(st.integers(0, 100))
    moved_s = -10_000
    for number in range(400):
        if number == turned:
            upgrade.rolling_back = True
        before = [int(each) for each in upgrade.numbers().split("/")]
        upgrade.tick()
        active_capacity, pending_capacity, active_traffic, pending_traffic = (
            int(each) for each in upgrade.numbers().split("/")
        )
        assert active_traffic + pending_traffic == 100
        assert abs(active_traffic - before[2]) <= pace.step
        assert active_capacity + pending_capacity <= 100 + pace.surge
        assert abs(active_capacity - before[0]) <= pace.surge
        assert abs(pending_capacity - before[1]) <= pace.surge
        if upgrade.rolling_back:
            assert active_traffic <= active_capacity
        else:
            assert pending_traffic <= pending_capacity
            if pending_traffic > before[3]:
                assert upgrade.now_s - 2 - moved_s >= pace.interval_s
                moved_s = upgrade.now_s - 2
            if is_upgrade_complete(upgrade.active, upgrade.pending):
                break
