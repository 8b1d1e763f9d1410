"""Plays a load over time to the modelled autoscaler: its handles' notes and reports, its windows, wishes and decisions.

Only what surrounds them is played: how calls spread over replicas, and when replicas that are wanted run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rayrig_core.objects import JsonObject
from rayrig_core.timestamps import NS, to_ns
from rayrig_sim.calibration import Constant
from rayrig_sim.kernel import Kernel
from rayrig_sim.serve.application_code import ApplicationCode, DeploymentCode
from rayrig_sim.serve.autoscaler import DeploymentAutoscaler
from rayrig_sim.serve.deployment_config import DeploymentInfo, deployment_infos
from rayrig_sim.serve.deployment_update import DeploymentTarget, plan_update
from rayrig_sim.serve.handle_metrics import HandleMetrics, HandleReport, MetricsOptions
from rayrig_sim.serve.target_capacity import Direction

_STEP_NS = NS // 10
_CODE = ApplicationCode("m:a", "D", {"D": DeploymentCode("D", Constant(0.0))})


def play(given: JsonObject, *, is_each_step_made: bool = True) -> JsonObject:
    """`given` is the `input` of a recorded trajectory; gives its `output`. As the controller does, steps may be left out at which
    the autoscaler is not to be asked."""
    deployment = Deployment(given, is_each_step_made)
    for handle in given["handles"]:
        deployment.kernel.call_later(to_ns(handle["begins_s"]), deployment.adder_of(handle))
    for deploy in given["deploys"]:
        deployment.kernel.call_later(to_ns(deploy["at_s"]), deployment.deployer_of(deploy))
    deployment.step(None)
    deployment.kernel.run(until_s=given["until_s"] + 0.001)
    return {"registered_target": deployment.registered, "target_changes": deployment.changes}


class Deployment:
    """The deployment that is scaled. Wanted replicas run after a while; of too many, the newest go, unready ones first."""

    def __init__(self, given: JsonObject, is_each_step_made: bool) -> None:
        self.kernel = Kernel()
        self._is_each_step_made = is_each_step_made
        self._is_woken = True
        self.running: list[str] = []
        self.changes: list[list[float]] = []
        self._ready_after_ns = to_ns(given["replica_ready_after_s"])
        self._starting: list[list[int]] = []
        self._made = 0
        self._handles: list[Handle] = []
        self._autoscaler = DeploymentAutoscaler(self)
        self.target: DeploymentTarget | None = None
        self._plan(given)
        assert self.target is not None
        self.registered: int = self.target.num_replicas
        self._run(self.registered)
        self.changes.append([0.0, self.registered])

    # As the autoscaler knows it

    def routable_ids(self) -> Sequence[str]:
        return list(self.running)

    def running_at_target(self) -> int:
        return len(self.running)

    def autoscale(self, num_replicas: int, *, is_within_bounds: bool, detail: str, cause: int | None) -> None:
        assert self.target is not None
        before, now_ns = self.target.num_replicas, self.kernel.monotonic_ns()
        if num_replicas == before:
            return
        self._is_woken = True
        self.changes.append([round(now_ns / NS, 3), num_replicas])
        self.target = self.target.with_count(num_replicas)
        if num_replicas > before:
            self._starting.append([now_ns + self._ready_after_ns, num_replicas - before])
            return
        surplus = before - num_replicas
        for batch in reversed(self._starting):
            unready = min(surplus, batch[1])
            batch[1] -= unready
            surplus -= unready
        if surplus:
            del self.running[num_replicas:]

    # What happens to it

    def step(self, _: Any) -> None:
        now_ns = self.kernel.monotonic_ns()
        for at_ns, count in self._starting:
            if at_ns <= now_ns:
                self._run(count)
        self._starting = [batch for batch in self._starting if batch[0] > now_ns]
        due_ns = min(self._autoscaler.next_ns(), self._autoscaler.silent_ns())
        if self._is_each_step_made or self._is_woken or due_ns <= now_ns:
            self._is_woken = False
            self._autoscaler.decide(now_ns, self.kernel.unix_ns() / NS, None)
        self.kernel.call_later(_STEP_NS, self.step)

    def adder_of(self, given: JsonObject) -> Any:
        return lambda _: self._handles.append(Handle(self, given))

    def deployer_of(self, given: JsonObject) -> Any:
        def deploy(_: Any) -> None:
            assert self.target is not None
            before = self.target
            self._plan(given)
            wanted, self.target = self.target.num_replicas, self.target.with_count(before.num_replicas)
            self._autoscaler.deployed()
            self._is_woken = True
            self.autoscale(wanted, is_within_bounds=True, detail="", cause=None)
            for handle in self._handles:
                handle.metrics.follow(self.options)

        return deploy

    def received(self, report: HandleReport) -> None:
        self._is_woken |= self._autoscaler.received(report, self.kernel.monotonic_ns())

    @property
    def options(self) -> MetricsOptions:
        assert self.target is not None
        config = self.target.info.config.autoscaling
        assert config is not None
        return MetricsOptions(config.metrics_interval_s, config.look_back_period_s)

    def _plan(self, given: JsonObject) -> None:
        listed = [{"name": "D", "autoscaling_config": given["autoscaling_config"]}]
        document: JsonObject = {"name": "a", "import_path": "m:a", "deployments": listed}
        info: DeploymentInfo = deployment_infos(document, _CODE)["D"]
        capacity, direction = given["target_capacity"], given["target_capacity_direction"]
        update = plan_update(
            self.target,
            info,
            target_capacity=capacity,
            direction=Direction(direction) if direction else None,
        )
        assert update is not None, "each deploy changes something"
        self.target = update.target

    def _run(self, count: int) -> None:
        self._is_woken = True
        self.running += [f"r{self._made + number}" for number in range(count)]
        self._made += count


class Handle:
    """Calls of one handle: as many as are demanded, on each replica in turn at most `per_replica`; the others wait."""

    def __init__(self, deployment: Deployment, given: JsonObject) -> None:
        self._deployment = deployment
        self._given = given
        self._kernel = deployment.kernel
        self._used: dict[str, None] = {}
        self._demand = 0
        silent_from_s = given["silent_from_s"]
        self._silent_from_ns = None if silent_from_s is None else to_ns(silent_from_s)
        self.metrics = HandleMetrics(self._kernel, self, self._report)
        now_ns = self._kernel.monotonic_ns()
        for at_s, demand in given["demand"]:
            if to_ns(at_s) <= now_ns:
                self._demand = demand
            else:
                self._kernel.call_later(to_ns(at_s) - now_ns, self._changer(demand))
        self.metrics.follow(deployment.options)

    @property
    def queued(self) -> int:
        return self._demand - sum(self._spread().values())

    @property
    def has_replicas(self) -> bool:
        return bool(self._deployment.running)

    def ongoing_by_replica(self) -> Mapping[str, int]:
        spread = self._spread()
        used = dict.fromkeys([*self._used, *(replica for replica, count in spread.items() if count)])
        self._used = {replica: None for replica in used if replica in spread}
        return {replica: spread[replica] for replica in self._used}

    def _spread(self) -> dict[str, int]:
        spread, left = {}, self._demand
        for replica in self._deployment.running:
            spread[replica] = min(self._given["per_replica"], left)
            left -= spread[replica]
        return spread

    def _changer(self, demand: int) -> Any:
        def change(_: Any) -> None:
            is_more, self._demand = demand > self._demand, demand
            self.ongoing_by_replica()
            if is_more:
                self.metrics.starved()

        return change

    def _report(self, report: HandleReport) -> None:
        if self._silent_from_ns is None or self._kernel.monotonic_ns() < self._silent_from_ns:
            self._deployment.received(report)
