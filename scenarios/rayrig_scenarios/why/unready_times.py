"""When a pod was not ready, and in which stages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from rayrig_scenarios.why.chain import Span, Unready
from rayrig_scenarios.why.evidence import Evidence, Version
from rayrig_scenarios.why.stages import Stage, standing


def unready_times(versions: Sequence[Version], evidence: Evidence) -> list[Unready]:
    """Of one pod's life. On a real cluster only the present is known: since when it is not ready, if it is not."""
    if evidence.clock.is_live:
        return _present(versions, evidence)
    found: list[Unready] = []
    spans: list[Span] = []
    for version in versions:
        stage, container = standing(version.object)
        if version.is_gone or stage is Stage.READY:
            _close(found, spans, version.t_ns)
            spans = []
            continue
        if spans and (spans[-1].stage, spans[-1].what) == (stage, container):
            continue
        if spans:
            spans[-1] = replace(spans[-1], to_ns=version.t_ns)
        spans.append(Span(stage, container, version.t_ns, None))
    _close(found, spans, None)
    return found


def _close(found: list[Unready], spans: list[Span], to_ns: int | None) -> None:
    if spans:
        spans[-1] = replace(spans[-1], to_ns=to_ns)
        # What took no time at all is between two writes of one moment.
        kept = tuple(span for span in spans if span.to_ns != span.from_ns)
        found.append(Unready(spans[0].from_ns, to_ns, kept))


def _present(versions: Sequence[Version], evidence: Evidence) -> list[Unready]:
    stage, container = standing(versions[-1].object)
    if stage is Stage.READY:
        return []
    since_ns = evidence.condition_since(versions, "Ready") or versions[0].t_ns
    return [Unready(since_ns, None, (Span(stage, container, since_ns, None),))]
