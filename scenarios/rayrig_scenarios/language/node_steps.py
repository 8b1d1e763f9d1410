"""Steps on nodes: drain, cordon, uncordon, in the words of kubectl."""

from __future__ import annotations

from typing import ClassVar, Self

from pydantic import Field, model_validator

from rayrig_scenarios.language.model import Model
from rayrig_scenarios.language.units import Duration, bad
from rayrig_sim.kubernetes.nodes.drain import DrainOptions


class NodeOf(Model):
    """A node by its name, or the one that the first pod (by name) with these labels is on."""

    shorthand: ClassVar[str] = "node"

    node: str = ""
    labels: dict[str, str] = Field(default_factory=dict)
    namespace: str = "default"

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if bool(self.node) == bool(self.labels):
            raise bad(
                "names no node" if not self.node else "names a node twice",
                "give node: NAME, or labels of a pod that is on it",
            )
        return self


class DrainOf(NodeOf):
    """`kubectl drain`: cordon the node, evict its pods and wait until they are gone.

    `refused` is a part of the error it must end with; with `background` the next step does not wait for its end.
    """

    ignore_daemonsets: bool = False
    delete_emptydir_data: bool = False
    force: bool = False
    disable_eviction: bool = False
    grace_period: Duration | None = None
    timeout: Duration = 0.0
    skip_wait_for_delete_timeout: Duration = 0.0
    pod_selector: str = ""
    refused: str = ""
    background: bool = False

    @model_validator(mode="after")
    def _whole_seconds(self) -> Self:
        for name in ("grace_period", "skip_wait_for_delete_timeout"):
            value = getattr(self, name)
            if value is not None and value % 1:
                raise bad(f"{value:g} s are no whole seconds", "Kubernetes knows whole seconds only")
        if self.refused and self.background:
            raise bad("wants an error and does not wait for one", "leave out refused or background")
        return self


def drain_options(written: DrainOf) -> DrainOptions:
    """For the drain itself."""
    return DrainOptions(
        ignore_daemonsets=written.ignore_daemonsets,
        delete_emptydir_data=written.delete_emptydir_data,
        force=written.force,
        disable_eviction=written.disable_eviction,
        grace_period_s=None if written.grace_period is None else round(written.grace_period),
        timeout_s=written.timeout,
        pod_selector=written.pod_selector,
        skip_wait_for_delete_timeout_s=round(written.skip_wait_for_delete_timeout),
    )
