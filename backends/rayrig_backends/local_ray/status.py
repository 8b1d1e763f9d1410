"""What `serve.status()` tells, in the shape of Ray's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from rayrig_core.objects import JsonObject


@dataclass(frozen=True, slots=True)
class DeploymentStatusOverview:
    status: str
    status_trigger: str
    #: How many replicas are in which state.
    replica_states: Mapping[str, int]
    message: str


@dataclass(frozen=True, slots=True)
class ApplicationStatusOverview:
    status: str
    message: str
    last_deployed_time_s: float
    deployments: Mapping[str, DeploymentStatusOverview]


@dataclass(frozen=True, slots=True)
class ServeStatus:
    """`proxies` by node id."""

    proxies: Mapping[str, str]
    applications: Mapping[str, ApplicationStatusOverview]
    target_capacity: float | None


def status_of(details: JsonObject) -> ServeStatus:
    """From the dashboard's answer."""
    applications = {
        name: ApplicationStatusOverview(
            app["status"],
            app["message"],
            app["last_deployed_time_s"],
            {
                deployment: DeploymentStatusOverview(
                    given["status"],
                    given["status_trigger"],
                    dict(Counter(replica["state"] for replica in given["replicas"])),
                    given["message"],
                )
                for deployment, given in app["deployments"].items()
            },
        )
        for name, app in details["applications"].items()
    }
    proxies = {node: proxy["status"] for node, proxy in details["proxies"].items()}
    return ServeStatus(proxies, applications, details["target_capacity"])
