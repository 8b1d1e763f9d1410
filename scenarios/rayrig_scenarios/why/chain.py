"""What an explanation consists of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rayrig_core.timestamps import NS, rfc3339, seconds
from rayrig_scenarios.why.stages import Stage


@dataclass(frozen=True, slots=True)
class Link:
    """One step down: what was so, since when, and the particulars. Each link of a chain is the cause of the one before it.

    `t_ns` is on the chain's clock, None when nothing tells; `source` is the trace event it was read from.
    """

    text: str
    t_ns: int | None = None
    details: tuple[str, ...] = ()
    source: int | None = None


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time in one stage, that of the pod's containers named in `what`; `to_ns` None: it lasts."""

    stage: Stage
    what: str
    from_ns: int
    to_ns: int | None


@dataclass(frozen=True, slots=True)
class Unready:
    """A time at which the pod was not ready, with the stages it went through; `to_ns` None: it lasts."""

    from_ns: int
    to_ns: int | None
    spans: tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class Clock:
    """How times are told: seconds of virtual time, or, on a real cluster, the time of day in UTC."""

    is_live: bool = False
    origin_unix_ns: int = 0

    def tell(self, t_ns: int) -> str:
        return rfc3339(t_ns)[11:] if self.is_live else f"{t_ns / NS:.2f} s"

    def value(self, t_ns: int | None) -> Any:
        """As JSON: seconds since the run began, or RFC 3339."""
        if t_ns is None:
            return None
        return rfc3339(t_ns) if self.is_live else seconds(t_ns)


@dataclass(frozen=True, slots=True)
class Chain:
    """Why a pod was as it was at `at_ns`. `links` begin with the verdict and end with the cause; `since_ns` is when the pod became
    ready, or not ready. `unready` are the times at which it was not, up to `at_ns`."""

    namespace: str
    pod: str
    node: str
    at_ns: int
    stage: Stage
    since_ns: int | None
    links: tuple[Link, ...]
    unready: tuple[Unready, ...]
    clock: Clock

    @property
    def is_ready(self) -> bool:
        return self.stage is Stage.READY

    @property
    def wants_ready(self) -> bool:
        """Whether the pod is there and is neither ready nor done: what somebody who looks for trouble wants to see."""
        return self.stage not in (Stage.READY, Stage.DONE, Stage.GONE, Stage.ABSENT)

    @property
    def verdict(self) -> str:
        return self.links[0].text

    @property
    def cause(self) -> str:
        """The end of the chain."""
        return self.links[-1].text

    def short(self) -> str:
        """One line: the verdict, what is behind it, and the end of the chain."""
        links = list(enumerate(self.links))
        if len(links) > 3:
            links = [*links[:2], links[-1]]
        return ", ".join(f"{self.word(index)}{link.text}" for index, link in links)

    def word(self, index: int) -> str:
        """What joins a link to the one before it. What follows on "it is ready" does not explain that."""
        return "" if not index else "but " if self.is_ready and index == 1 else "because "

    def as_json_value(self) -> dict[str, Any]:
        value = self.clock.value
        return {
            "namespace": self.namespace,
            "pod": self.pod,
            "node": self.node or None,
            "at": value(self.at_ns),
            "ready": self.is_ready,
            "stage": self.stage.value,
            "since": value(self.since_ns),
            "chain": [
                {
                    "at": value(link.t_ns),
                    "text": link.text,
                    "details": list(link.details),
                    "event": link.source,
                }
                for link in self.links
            ],
            "unready": [
                {
                    "from": value(one.from_ns),
                    "to": value(one.to_ns),
                    "stages": [
                        {
                            "stage": span.stage.value,
                            "what": span.what,
                            "from": value(span.from_ns),
                            "to": value(span.to_ns),
                        }
                        for span in one.spans
                    ],
                }
                for one in self.unready
            ],
        }
