"""The router inside a handle: which replica gets a call, and what waits when none has room.

Power of two choices over cached queue lengths, own node first in proxies; a search that finds nothing is repeated
after growing pauses (`reference/ray-serve.md` 7.1–7.3, golden/serve-decisions/limits.json). Attempts that cannot
succeed, because every replica is full, are not simulated one by one: when a slot gets free, the router continues at
the next instant at which one of its searches looks again. Probes answer at once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from random import Random
from typing import TYPE_CHECKING, Any

from rayrig_core.timestamps import NS, to_ns
from rayrig_sim.serve.calls import BackPressure, Call, DeploymentUnavailable
from rayrig_sim.serve.handle_metrics import MetricsOptions

if TYPE_CHECKING:
    from rayrig_sim.kernel import Kernel
    from rayrig_sim.serve.execution import ReplicaExecution
    from rayrig_sim.serve.identity import DeploymentId

#: Cached queue lengths older than this are asked for anew.
QUEUE_LENGTH_CACHE_TIMEOUT_NS = 10 * NS
#: Upper bound of concurrent searches; the other is twice the number of replicas.
MAX_SEARCHES = 50

#: A call waits at least this long, and at most twice as long, for replicas with few models before it takes any
#: (MULTIPLEXED_MODEL_ID_MATCHING_TIMEOUT_S).
MODEL_MATCHING_NS = NS

#: Of the first and of the longest question for queue lengths (QUEUE_LENGTH_RESPONSE_DEADLINE_S).
_PROBE_DEADLINE_S = 0.1
_PROBE_DEADLINE_MAX_S = 1.0


@dataclass(frozen=True, slots=True)
class RouterConfig:
    """Options of a deployment that its handles follow. Defaults as in reference/ray-serve.md 3.4 and 10."""

    max_queued_requests: int = -1
    backpressure_status: int = 503
    backpressure_retry_after_s: float | None = None
    initial_backoff_s: float = 0.025
    backoff_multiplier: float = 2.0
    max_backoff_s: float = 0.5
    #: While the deployment is autoscaled.
    metrics: MetricsOptions | None = None


def backoff_s(attempt: int, *, initial_s: float = 0.025, multiplier: float = 2.0, max_s: float = 0.5) -> float:
    """Pause after the given repeated attempt, counted from 0."""
    try:
        return min(initial_s * multiplier**attempt, max_s)
    except OverflowError:
        return max_s


def probe_deadline_s(attempt: int) -> float:
    """How long the given repeated attempt, counted from 0, waits for replicas to tell their queue lengths."""
    return backoff_s(attempt, initial_s=_PROBE_DEADLINE_S, max_s=_PROBE_DEADLINE_MAX_S)


@lru_cache(maxsize=256)
def _attempt_offsets(config: RouterConfig) -> tuple[tuple[int, ...], int]:
    """When a search that began at 0 looks again, up to the first pause of full length, and that pause; nanoseconds."""
    offsets: list[int] = []
    elapsed = 0
    for attempt in range(64):
        pause_s = backoff_s(
            attempt,
            initial_s=config.initial_backoff_s,
            multiplier=config.backoff_multiplier,
            max_s=config.max_backoff_s,
        )
        elapsed += max(1, to_ns(pause_s))
        offsets.append(elapsed)
        if pause_s >= config.max_backoff_s:
            break
    return tuple(offsets), max(1, to_ns(pause_s))


class Candidate:
    """A replica as one router sees it: `queue_len` is what the router believes, as of `seen_ns`.

    Of the calls of this router it has accepted `sent`, of which `ended` are over.
    """

    __slots__ = ("ended", "execution", "queue_len", "seen_ns", "sent")

    def __init__(self, execution: ReplicaExecution) -> None:
        self.execution = execution
        self.queue_len = 0
        self.seen_ns = 0
        self.sent = 0
        self.ended = 0


class _Search:
    """One task that looks for room: when it began, and when it looks next (or would have, had there been room)."""

    __slots__ = ("began_ns", "due_ns", "is_over")

    def __init__(self, now_ns: int, first_pause_ns: int) -> None:
        self.began_ns = now_ns
        self.due_ns = now_ns + first_pause_ns
        self.is_over = False


class _Matching:
    """A call that waits for a model: since when, and whether its time for that has been over at a look."""

    __slots__ = ("is_over", "since_ns")

    def __init__(self, now_ns: int) -> None:
        self.since_ns = now_ns
        self.is_over = False


class Router:
    """Assigns the calls of one handle. `node_id` is given in proxies only: their own node's replicas come first.

    `on_starved` is called when a call begins to wait while there is no replica at all.
    """

    __slots__ = (
        "_all",
        "_config",
        "_departed",
        "_env",
        "_local",
        "_matching",
        "_offsets",
        "_pause",
        "_random",
        "_searches",
        "_timer",
        "_timer_ns",
        "_unavailable",
        "cause",
        "deployment",
        "has_had_replicas",
        "kernel",
        "node_id",
        "on_starved",
        "owner",
        "waiting",
    )

    def __init__(
        self,
        kernel: Kernel,
        deployment_id: DeploymentId,
        rng: Random,
        node_id: str | None = None,
        *,
        owner: str = "",
    ) -> None:
        self.kernel = kernel
        self.deployment = deployment_id
        self.node_id = node_id
        self.owner = owner
        self.on_starved: Callable[[], None] | None = None
        #: Calls that no replica has accepted yet, in order.
        self.waiting: deque[Call] = deque()
        #: Never goes back to False.
        self.has_had_replicas = False
        #: Trace event of the last change of the replicas or of the availability.
        self.cause: int | None = None
        self._env: Any = kernel.env
        self._random = rng.random
        self.configure(RouterConfig())
        self._unavailable = False
        self._all: list[Candidate] = []
        self._local: list[Candidate] = []
        #: No longer given calls, but not through with those that they have.
        self._departed: list[Candidate] = []
        self._searches: list[_Search] = []
        self._matching: dict[Call, _Matching] = {}
        self._timer: Any = None
        self._timer_ns = 0

    # What the control plane pushes

    def update_replicas(self, replicas: Sequence[ReplicaExecution], cause: int | None = None) -> None:
        """The list of replicas that get calls. New ones are asked for their queue length; calls on removed ones go
        on.
        """
        now = self.kernel.monotonic_ns()
        self.cause = self.kernel.cause if cause is None else cause
        known = {candidate.execution.replica_id: candidate for candidate in self._all}
        departed = {candidate.execution.replica_id: candidate for candidate in self._departed}
        kept: list[Candidate] = []
        for execution in replicas:
            candidate = known.pop(execution.replica_id, None)
            if candidate is None:
                candidate = departed.pop(execution.replica_id, None) or Candidate(execution)
                candidate.queue_len, candidate.seen_ns = execution.ongoing, now
                execution.watchers.append(self)
            kept.append(candidate)
        for candidate in known.values():
            candidate.execution.watchers.remove(self)
        self._departed = [each for each in (*departed.values(), *known.values()) if each.sent > each.ended]
        self._all = kept
        self._split()
        if kept:
            self.has_had_replicas = True
        if not kept:
            self._searches.clear()
        elif self.waiting:
            self._search_more(now)

    def set_unavailable(self, is_unavailable: bool, cause: int | None = None) -> None:
        """Whether calls fail at once because the deployment failed to deploy. Waiting ones go on waiting."""
        if is_unavailable != self._unavailable:
            self._unavailable = is_unavailable
            self.cause = self.kernel.cause if cause is None else cause

    def configure(self, config: RouterConfig) -> None:
        self._config = config
        self._offsets, self._pause = _attempt_offsets(config)

    def close(self) -> None:
        """The process that holds the handle is gone: waiting calls are dropped, nothing is watched any more."""
        for call in self.waiting:
            call.is_done = True
        self.waiting.clear()
        self._matching.clear()
        self._searches.clear()
        for candidate in self._all:
            candidate.execution.watchers.remove(self)
        self._all = []
        self._local = []

    # Reading

    @property
    def queued(self) -> int:
        """Calls that wait for a replica."""
        return len(self.waiting)

    @property
    def ongoing(self) -> int:
        """Calls that a replica has accepted and not ended."""
        return sum(candidate.sent - candidate.ended for candidate in (*self._all, *self._departed))

    @property
    def has_replicas(self) -> bool:
        return bool(self._all)

    def ongoing_by_replica(self) -> dict[str, int]:
        """Calls under way, by id, of the replicas that it has ever sent any; replicas that are gone and idle are not listed."""
        used = (candidate for candidate in (*self._departed, *self._all) if candidate.sent)
        return {candidate.execution.replica_id: candidate.sent - candidate.ended for candidate in used}

    @property
    def replicas(self) -> list[ReplicaExecution]:
        return [candidate.execution for candidate in self._all]

    # Calls

    def assign(self, call: Call) -> None:
        """Route a call: it runs, waits, or fails at once (`DeploymentUnavailable`, `BackPressure`) by
        `call.finished`.
        """
        call.router = self
        waiting = self.waiting
        if self._unavailable:
            call.finished(False, DeploymentUnavailable(self.deployment, self.cause))
            return
        if not waiting:
            if self._all and self._place(call):
                return
            waiting.append(call)
            if self._all:
                self._searches.append(_Search(int(self._env._now), self._offsets[0]))
                self._arm()
            elif self.on_starved is not None:
                self.on_starved()
            return
        limit = self._config.max_queued_requests
        if 0 <= limit <= len(waiting):
            status, retry_after_s = self._config.backpressure_status, self._config.backpressure_retry_after_s
            call.finished(False, BackPressure(len(waiting), limit, status, retry_after_s))
            return
        waiting.append(call)
        if self._all:
            self._search_more(int(self._env._now))
        elif self.on_starved is not None:
            self.on_starved()

    def withdraw(self, call: Call) -> None:
        """The caller no longer waits."""
        try:
            self.waiting.remove(call)
        except ValueError:
            return
        self._matching.pop(call, None)
        for search in self._searches[self._searches_wanted() :]:
            self._end(search)

    def slot_freed(self) -> None:
        """A replica of the list that was full has room, or has died, while calls wait."""
        self._arm()

    # Searching

    def _place(self, call: Call) -> bool:
        """A fresh search without pauses: own node once, all, all again. True when a replica has accepted the call."""
        if call.model_id:
            return self._place_model(call)
        if self._local and self._attempt(self._local, call):
            return True
        return self._attempt(self._all, call) or self._attempt(self._all, call)

    def _place_model(self, call: Call) -> bool:
        """Replicas that hold the model, then those with the fewest models; nodes do not count (7.4)."""
        holders = [each for each in self._all if call.model_id in each.execution.models]
        if self._attempt(holders or self._emptiest(), call) or self._attempt(self._emptiest(), call):
            self._matching.pop(call, None)
            return True
        self._matching.setdefault(call, _Matching(self._env._now))
        return False

    def _emptiest(self) -> list[Candidate]:
        """Replicas with the fewest models."""
        fewest = min((len(each.execution.models) for each in self._all), default=0)
        return [each for each in self._all if len(each.execution.models) == fewest]

    def _candidates(self, call: Call) -> list[Candidate]:
        """For a repeated attempt."""
        matching = self._matching.get(call) if call.model_id else None
        if matching is None or matching.is_over:
            return self._all
        waited_ns = self._env._now - matching.since_ns
        matching.is_over = waited_ns >= MODEL_MATCHING_NS * (1 + self._random())
        return self._emptiest()

    def _attempt(self, candidates: list[Candidate], call: Call) -> bool:
        """Two distinct candidates, the shorter believed queue wins; a rejection or a dead replica starts the attempt
        anew.
        """
        env = self._env
        while True:
            count = len(candidates)
            if count == 1:
                first = candidates[0]
                second = None
            elif count == 2:
                if self._random() < 0.5:
                    first, second = candidates
                else:
                    second, first = candidates
            elif count:
                i = int(self._random() * count)
                j = int(self._random() * (count - 1))
                first = candidates[i]
                second = candidates[j + 1 if j >= i else j]
            else:
                return False
            now = env._now
            oldest = now - QUEUE_LENGTH_CACHE_TIMEOUT_NS
            chosen = None
            shortest = first.queue_len
            if first.seen_ns > oldest and shortest < first.execution.max_ongoing_requests:
                chosen = first
            if second is not None:
                length = second.queue_len
                if (
                    second.seen_ns > oldest
                    and length < second.execution.max_ongoing_requests
                    and (chosen is None or length < shortest)
                ):
                    chosen = second
            if chosen is None:
                chosen = self._probe(first, second)
                if chosen is None:
                    return False
            execution = chosen.execution
            if execution.death is not None:
                candidates = [each for each in candidates if each is not chosen]
                self._remove(chosen)
                continue
            chosen.queue_len += 1
            chosen.seen_ns = now
            chosen.sent += 1
            call.candidate = chosen
            if execution.accept(call):
                return True
            chosen.sent -= 1
            chosen.queue_len = max(execution.ongoing, 0 if execution.is_accepting else execution.max_ongoing_requests)

    def _probe(self, first: Candidate, second: Candidate | None) -> Candidate | None:
        """Ask both candidates, whose cached lengths are full or too old, for their queue length."""
        best: Candidate | None = None
        now = self._env._now
        for candidate in (first, second):
            if candidate is None:
                continue
            execution = candidate.execution
            if execution.death is not None:
                return candidate
            if execution.is_dark:
                continue  # no answer before the deadline of the probe
            candidate.queue_len = execution.ongoing
            candidate.seen_ns = now
            has_room = execution.is_accepting and candidate.queue_len < execution.max_ongoing_requests
            if has_room and (best is None or candidate.queue_len < best.queue_len):
                best = candidate
        return best

    def _remove(self, candidate: Candidate) -> None:
        candidate.execution.watchers.remove(self)
        self._all = [other for other in self._all if other is not candidate]
        self._split()

    def _split(self) -> None:
        node_id = self.node_id
        self._local = [] if node_id is None else [c for c in self._all if c.execution.node_id == node_id]
        if len(self._local) == len(self._all):
            self._local = []

    def _search_more(self, now: int) -> None:
        """Begin searches up to their limit; each looks at once."""
        while len(self._searches) < self._searches_wanted():
            search = _Search(now, self._offsets[0])
            self._searches.append(search)
            self._search(search, now)
        self._arm()

    def _search(self, search: _Search, now: int) -> None:
        """A search begins anew: place waiting calls, oldest first, until nothing is found or there are searches enough."""
        waiting = self.waiting
        while waiting and len(self._searches) <= self._searches_wanted():
            call = waiting.popleft()
            if not self._place(call):
                waiting.appendleft(call)
                search.began_ns, search.due_ns = now, now + self._offsets[0]
                return
        self._end(search)

    def _end(self, search: _Search) -> None:
        search.is_over = True
        self._searches.remove(search)

    def _searches_wanted(self) -> int:
        return min(MAX_SEARCHES, 2 * len(self._all), len(self.waiting))

    def _due_ns(self, search: _Search, now: int) -> int:
        """The next instant, now at the earliest, at which the search looks."""
        if search.due_ns < now:
            search.due_ns = self._look_after(search.began_ns, now - 1)
        return search.due_ns

    def _look_after(self, began: int, instant: int) -> int:
        """The first look later than that instant of a search that began then."""
        after, last = instant - began, self._offsets[-1]
        if after >= last:
            return began + last + ((after - last) // self._pause + 1) * self._pause
        return began + next(offset for offset in self._offsets if offset > after)

    def _arm(self) -> None:
        """Set the timer to the next look of any search, if a look can succeed."""
        if not self._searches or not self._has_room():
            return
        now = int(self._env._now)
        due = min([self._due_ns(search, now) for search in self._searches])
        if self._timer is not None and now <= self._timer_ns <= due:
            return
        self._timer_ns = due
        self._timer = self.kernel.call_later(due - now, self._look)

    def _has_room(self) -> bool:
        for candidate in self._all:
            execution = candidate.execution
            if execution.death is not None:
                return True
            if execution.is_dark:
                continue
            if execution.is_accepting and execution.ongoing < execution.max_ongoing_requests:
                return True
        return False

    def _look(self, timer: Any) -> None:
        if timer is not self._timer:
            return
        self._timer = None
        now = int(self._env._now)
        waiting = self.waiting
        for search in [search for search in self._searches if self._due_ns(search, now) == now]:
            if search.is_over or not waiting:
                continue
            search.due_ns = self._look_after(search.began_ns, now)
            call = waiting.popleft()
            if self._attempt(self._candidates(call), call):
                self._matching.pop(call, None)
                self._search(search, now)
            else:
                waiting.appendleft(call)
        self._arm()
