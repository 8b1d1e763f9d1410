"""The account of a source's requests, read from the trace: every request once, by fate, class, application, pod and
time.

The trace is the only book that is kept; an account is a fold over it, and goes on where it stopped when asked again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from rayrig_core.trace import Kind, Scalar, Trace
from rayrig_sim.traffic.quantiles import quantile
from rayrig_sim.traffic.requests import Fate

_REQUEST = Kind.REQUEST.label


@dataclass(frozen=True, slots=True)
class Latencies:
    """Quantiles of answered requests, in nanoseconds; nearest rank, exact."""

    count: int
    p50_ns: int
    p90_ns: int
    p99_ns: int
    max_ns: int
    mean_ns: int


@dataclass(frozen=True, slots=True)
class Bucket:
    """Requests that ended within [start_ns, start_ns + width)."""

    start_ns: int
    fates: Mapping[str, int]


@dataclass(slots=True)
class Accounting:
    """What became of the requests of one source. `sent` = sum of `fates` + `in_flight`.

    `causes` counts failures by (fate, detail); `by_class`, `by_app` and `by_pod` count by (name, fate).
    `latencies_ns` are those of requests with fate ok, in order of their end.
    """

    sent: int = 0
    in_flight: int = 0
    fates: Counter[str] = field(default_factory=Counter)
    causes: Counter[tuple[str, str]] = field(default_factory=Counter)
    by_class: Counter[tuple[str, str]] = field(default_factory=Counter)
    by_app: Counter[tuple[str, str]] = field(default_factory=Counter)
    by_pod: Counter[tuple[str, str]] = field(default_factory=Counter)
    latencies_ns: list[int] = field(default_factory=list)
    ended_ns: list[int] = field(default_factory=list)
    #: (end, fate) of each failure, in order.
    failures: list[tuple[int, str]] = field(default_factory=list)

    @property
    def failed(self) -> int:
        """Requests whose fate is not `ok`; those under way have none yet."""
        return sum(count for fate, count in self.fates.items() if fate != Fate.OK)

    def latencies(self) -> Latencies | None:
        """None when no request was answered well."""
        ordered = sorted(self.latencies_ns)
        if not ordered:
            return None
        return Latencies(
            len(ordered),
            quantile(ordered, 0.5),
            quantile(ordered, 0.9),
            quantile(ordered, 0.99),
            ordered[-1],
            sum(ordered) // len(ordered),
        )

    def quantile_ns(self, q: float) -> int | None:
        """The latency that the share `q` of the requests answered well did not exceed; None without any."""
        return quantile(sorted(self.latencies_ns), q) if self.latencies_ns else None

    def timeline(self, width_ns: int) -> list[Bucket]:
        """Fates by time of their end, in buckets without gaps from the first to the last."""
        counts: dict[int, Counter[str]] = {}
        for end in self.ended_ns:
            counts.setdefault(end // width_ns, Counter())[Fate.OK.value] += 1
        for end, fate in self.failures:
            counts.setdefault(end // width_ns, Counter())[fate] += 1
        if not counts:
            return []
        return [Bucket(index * width_ns, dict(counts.get(index, ()))) for index in range(min(counts), max(counts) + 1)]


class Ledger:
    """Folds the requests of one source (an actor of the trace) into an `Accounting`."""

    __slots__ = ("_account", "_actor", "_from", "_trace")

    def __init__(self, trace: Trace, actor: str) -> None:
        self._trace = trace
        self._actor = actor
        self._from = 0
        self._account = Accounting()

    def account(self, sent: int, in_flight: int) -> Accounting:
        """All requests that have ended so far. The object is the ledger's own and grows with the next call."""
        account = self._account
        account.sent, account.in_flight = sent, in_flight
        records = self._trace.records(self._from)
        self._from += len(records)
        actor, skip = self._actor, len(self._actor) + 1
        tally: Counter[tuple[str, Scalar, Scalar, Scalar]] = Counter()
        ok = Fate.OK.value
        latencies, ended = account.latencies_ns, account.ended_ns
        for t_ns, by, kind, subject, data, _ in records:
            if kind != _REQUEST or by != actor:
                continue
            _, fate, latency_ns, _, app, pod, detail = data
            if fate == ok:
                latencies.append(latency_ns)  # type: ignore[arg-type]
                ended.append(t_ns)
            else:
                account.failures.append((t_ns, str(fate)))
                account.causes[str(fate), str(detail)] += 1
            tally[subject, fate, app, pod] += 1
        for (subject, fate, app, pod), count in tally.items():
            account.fates[str(fate)] += count
            account.by_class[subject[skip:], str(fate)] += count
            if app:
                account.by_app[str(app), str(fate)] += count
            if pod:
                account.by_pod[str(pod), str(fate)] += count
        return account
