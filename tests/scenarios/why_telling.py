"""Chains as stories to compare, and the pods they are about.

Stories are literal, but durations and names are drawn: another draw moves times a little and gives other names. So names lose what
was generated of them, and times may differ by what the test allows; words, and all numbers that are no times, may not.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from rayrig_core.objects import JsonObject, labels_of, name_of
from rayrig_core.resources.labels import CLUSTER, NODE_TYPE
from rayrig_scenarios.results import RunResult
from rayrig_scenarios.why.chain import Chain

PROBE: JsonObject = {"httpGet": {"path": "/ready", "port": 8080}, "periodSeconds": 1}
#: 51.27 of "51.27 s" and of "51.27 to 91.27 s".
_TIME = re.compile(r"\d+\.\d\d(?= s\b| to | and )")
_GENERATED = re.compile(r"(?<=-)(?=[a-z0-9]*[0-9bcdfghjklmnpqrstvwxz])[bcdfghjklmnpqrstvwxz2456789]{5}\b")


def story(chain: Chain) -> list[str]:
    """`51.27 s: the readiness probe of main fails`, a line for each link; no time where nothing tells it."""
    return [link.text if link.t_ns is None else f"{chain.clock.tell(link.t_ns)}: {link.text}" for link in chain.links]


def details(chain: Chain, link: int = 0) -> list[str]:
    return list(chain.links[link].details)


def without_names(text: str) -> str:
    """`a-worker-w2mgq` is `a-worker-x`."""
    return _GENERATED.sub("x", text)


def assert_told(lines: Sequence[str], expected: Sequence[str], *, within_s: float = 0.8) -> None:
    """The same words and numbers; times at most so far apart."""
    __tracebackhide__ = True
    assert [_TIME.sub("T", without_names(line)) for line in lines] == [_TIME.sub("T", line) for line in expected], lines
    for line, other in zip(lines, expected, strict=True):
        for found, wanted in zip(_TIME.findall(line), _TIME.findall(other), strict=True):
            assert abs(float(found) - float(wanted)) <= within_s, f"{line!r} is not near {other!r}"


def stages(chain: Chain) -> list[str]:
    """Beginning, stage and container of each span of the last time of unreadiness."""
    tell = chain.clock.tell
    return [f"{tell(span.from_ns)}: {span.stage.value} {span.what}".strip() for span in chain.unready[-1].spans]


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


def ray_pods(result: RunResult, role: str, cluster: int) -> list[str]:
    """Names of the head or the workers of the first, second … Ray cluster of a run, in order of creation."""
    found: dict[str, dict[str, str]] = {}
    for change in result.record.changes["pods"]:
        labels = labels_of(change.object)
        found.setdefault(labels.get(CLUSTER, ""), {})[name_of(change.object)] = labels.get(NODE_TYPE, "")
    return [name for name, its in list(found.values())[cluster].items() if its == role]
