"""A chain as a story to compare: the time of each link and its text."""

from __future__ import annotations

import json

from rayrig_core.objects import JsonObject
from rayrig_scenarios.why.chain import Chain

PROBE: JsonObject = {"httpGet": {"path": "/ready", "port": 8080}, "periodSeconds": 1}


def story(chain: Chain) -> list[str]:
    """`51.27 s: the readiness probe of main fails`, a line for each link; no time where nothing tells it."""
    return [link.text if link.t_ns is None else f"{chain.clock.tell(link.t_ns)}: {link.text}" for link in chain.links]


def details(chain: Chain, link: int = 0) -> list[str]:
    return list(chain.links[link].details)


def stages(chain: Chain) -> list[tuple[str, str, str]]:
    """Stage, container and beginning of each span of the last time of unreadiness."""
    tell = chain.clock.tell
    return [(span.stage.value, span.what, tell(span.from_ns)) for span in chain.unready[-1].spans]


def pod(name: str, script: JsonObject | None = None, spec: JsonObject | None = None, **container: object) -> JsonObject:
    """A pod with a container `main` that plays a script."""
    annotations = {"script": json.dumps(script)} if script is not None else {}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "annotations": annotations},
        "spec": {"containers": [{"name": "main", "image": "web:1", **container}], **(spec or {})},
    }


def answers(*states: tuple[int, str]) -> JsonObject:
    """A script that answers /ready on 8080 over time: (seconds since the start, answer)."""
    return {"main": {"http": {"8080": {"/ready": [list(state) for state in states]}}}}
