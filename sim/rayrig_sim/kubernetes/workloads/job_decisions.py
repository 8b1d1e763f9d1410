"""What a Job asks for now, decided from the Job and its pods alone.

A pod counts once: while it carries the tracking finalizer it is not counted; its uid is first noted among the uncounted, then the
finalizer goes, then it is counted. A Job that is to end says so at once (FailureTarget, SuccessCriteriaMet) and has ended only when
none of its pods is left running (Failed, Complete).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice

from rayrig_core.objects import (
    JsonObject,
    condition_of,
    has_condition,
    is_being_deleted,
    name_of,
    namespace_of,
    uid_of,
)
from rayrig_core.timestamps import NS, parse_rfc3339, rfc3339
from rayrig_sim.kubernetes.workloads.job_indexes import (
    awaiting_replacement,
    failed_indexes,
    failures_with,
    has_limit_per_index,
    index_of,
    indexes,
    pause_s,
    ranges,
)

TRACKING_FINALIZER = "batch.kubernetes.io/job-tracking"
_FIRST_BACKOFF_S, _LAST_BACKOFF_S = 10, 600
_OVER = ("Succeeded", "Failed")
_FAILURE, _SUCCESS = "FailureTarget", "SuccessCriteriaMet"


@dataclass(slots=True)
class Backoff:
    """Failures since the last success, and when the latest was. A controller remembers it no longer than it lives."""

    failures: int = 0
    latest_ns: int = 0

    def left_s(self, now_ns: int) -> float:
        """Seconds until a failed pod may be replaced."""
        if self.failures == 0:
            return 0.0
        pause_s = min(_FIRST_BACKOFF_S << min(self.failures - 1, 10), _LAST_BACKOFF_S)
        return max(0.0, pause_s - (now_ns - self.latest_ns) / NS)

    def note(self, failed: Sequence[JsonObject], succeeded: Sequence[JsonObject]) -> None:
        """Pods that were seen to have ended."""
        ends = sorted([(ended_ns(pod), False) for pod in succeeded] + [(ended_ns(pod), True) for pod in failed])
        for at_ns, has_failed in ends:
            self.failures = self.failures + 1 if has_failed else 0
            if has_failed:
                self.latest_ns = at_ns


@dataclass(slots=True)
class JobPlan:
    """What is to be done, in the order of the fields; `finalize` lies between the writes of `noted` and `counted`.

    `again_s` is when it must be looked at without a change, None for never.
    """

    create: int = 0
    #: Completion indexes of the pods to be made, for an indexed Job.
    indexes: list[int] = field(default_factory=list)
    #: (counted, ignored) failures of those indexes, for a Job with a limit for each.
    failures: dict[int, tuple[int, int]] = field(default_factory=dict)
    #: Pods that are not to be counted any more, before they are deleted.
    release: list[JsonObject] = field(default_factory=list)
    delete: list[JsonObject] = field(default_factory=list)
    noted: JsonObject = field(default_factory=dict)
    #: Pods that have been counted once the status is written.
    finalize: list[JsonObject] = field(default_factory=list)
    counted: JsonObject = field(default_factory=dict)
    #: (type, reason, message) of the event that tells of it.
    told: tuple[str, str, str] | None = None
    again_s: float | None = None


def plan_job(job: JsonObject, pods: list[JsonObject], now_ns: int, backoff: Backoff) -> JobPlan:
    """Decide for a Job that is not over. `now_ns` is Unix time; `backoff` takes note of pods that have ended."""
    spec, status = job["spec"], job.get("status") or {}
    now = rfc3339(now_ns)
    plan = JobPlan()
    is_indexed = spec.get("completionMode") == "Indexed"
    replaces_failed_only = spec.get("podReplacementPolicy") == "Failed"
    active = [pod for pod in pods if phase_of(pod) not in _OVER and not is_being_deleted(pod)]
    terminating = sum(phase_of(pod) not in _OVER and is_being_deleted(pod) for pod in pods)
    ready = sum(has_condition(pod, "Ready") for pod in active)

    # Who is to be counted
    conditions = list(status.get("conditions") or ())
    target = next(
        (each for each in conditions if each["type"] in (_FAILURE, _SUCCESS) and each["status"] == "True"), None
    )
    before = status.get("uncountedTerminatedPods") or {}
    tracked = {uid_of(pod): pod for pod in pods if is_tracked(pod)}
    finished_s, finished_f = int(status.get("succeeded") or 0), int(status.get("failed") or 0)
    noted_s: list[str] = list(before.get("succeeded") or ())
    noted_f: list[str] = list(before.get("failed") or ())
    done = indexes(status.get("completedIndexes") or "") if is_indexed else []
    succeeded: list[JsonObject] = []
    failed: list[JsonObject] = []
    fatal = ""
    per_index = has_limit_per_index(spec)
    given_up: list[int] = []
    awaiting: dict[int, JsonObject] = {}
    #: Failed pods whose count must wait for their replacement.
    held: list[JsonObject] = []
    if per_index:
        policy = spec.get("podFailurePolicy")
        given_up = failed_indexes(spec, status, pods, lambda pod: _judge(policy, pod)[0])
        won = [index_of(pod) for pod in pods if phase_of(pod) == "Succeeded"]
        awaiting = awaiting_replacement(spec, pods, [*done, *won, *given_up], active)
    for uid, pod in tracked.items():
        phase = phase_of(pod)
        leaves = is_being_deleted(pod) and phase not in _OVER
        if uid in noted_s or uid in noted_f:
            plan.finalize.append(pod)
        elif phase == "Succeeded":
            plan.finalize.append(pod)
            succeeded.append(pod)
        elif leaves and target is not None and target["type"] == _SUCCESS:
            plan.finalize.append(pod)
        elif phase == "Failed" or (leaves and (target is not None or not replaces_failed_only)):
            action, message = _judge(spec.get("podFailurePolicy"), pod) if phase == "Failed" else ("Count", "")
            if action == "FailJob":
                fatal = fatal or message
            if target is None and awaiting.get(index_of(pod)) is pod:
                held.append(pod)
                continue
            plan.finalize.append(pod)
            if action != "Ignore":
                failed.append(pod)
        elif leaves and is_being_deleted(job):
            plan.finalize.append(pod)
    backoff.note(failed, succeeded)
    if is_indexed:
        fresh = {index_of(pod) for pod in succeeded} - set(done)
        done = sorted([*done, *(index for index in fresh if index < spec.get("completions", 1))])
        finished_s = len(done)
    else:
        noted_s += [uid_of(pod) for pod in succeeded]
    noted_f += [uid_of(pod) for pod in failed]
    all_s, all_f = finished_s + len(noted_s), finished_f + len(noted_f)

    started = status.get("startTime")
    if started is None and not spec.get("suspend"):
        started = now
    if target is None:
        target = (
            _failure(spec, active, all_f + len(held), fatal, started, now_ns)
            or (_failure_of_indexes(spec, done, given_up, now) if per_index else None)
            or _success_by_policy(spec, done, now)
        )
        if target is not None:
            conditions.append(target)
    if target is not None and held:
        # Nothing will replace them.
        plan.finalize += held
        counted_late = [uid_of(pod) for pod in held if _judge(spec.get("podFailurePolicy"), pod)[0] != "Ignore"]
        noted_f += counted_late
        all_f += len(counted_late)

    active_n = len(active)
    if target is not None:
        plan.delete = active
        plan.finalize += [pod for pod in active if is_tracked(pod)]
        if target["type"] == _FAILURE:
            # With the Job they have failed; of a Job that has succeeded they are only not needed any more.
            counted_with = [uid_of(pod) for pod in active if is_tracked(pod)]
            noted_f += counted_with
            all_f += len(counted_with)
        terminating += active_n
        active_n = ready = 0
    elif spec.get("suspend"):
        plan.release = plan.delete = active
        terminating += active_n
        active_n = ready = 0
        started = None
        if _condition(conditions, "Suspended", "True") is None:
            conditions = _with_suspended(conditions, "True", "JobSuspended", "Job suspended", now)
            plan.told = ("Normal", "Suspended", "Job suspended")
    else:
        if _condition(conditions, "Suspended", "True") is not None:
            started = now
            conditions = _with_suspended(conditions, "False", "JobResumed", "Job resumed", now)
            plan.told = ("Normal", "Resumed", "Job resumed")
        completions, parallelism = spec.get("completions"), spec.get("parallelism", 1)
        if completions is None:
            wanted = active_n if all_s else parallelism
        else:
            wanted = min(parallelism, max(0, completions - all_s))
        surplus = active_n - min(active_n, wanted)
        if surplus:
            plan.release = plan.delete = sorted(active, key=_worth)[:surplus]
            terminating += surplus
            active_n -= surplus
        missing = wanted - active_n - (terminating if replaces_failed_only else 0)
        left_s = backoff.left_s(now_ns) if missing > 0 and not per_index else 0.0
        if left_s > 0:
            plan.again_s = left_s
        elif missing > 0:
            plan.create = missing
            if is_indexed:
                taken = {*done, *given_up, *(index_of(pod) for pod in active)}
                if replaces_failed_only:
                    taken |= {index_of(pod) for pod in pods if is_being_deleted(pod) and phase_of(pod) not in _OVER}
                free = (index for index in range(spec.get("completions", 1)) if index not in taken)
                plan.indexes = list(islice(free, plan.create))
                if per_index:
                    _wait_for_each(plan, awaiting, now_ns)
                    policy = spec.get("podFailurePolicy")
                    plan.failures = {
                        index: failures_with(awaiting[index], lambda pod: _judge(policy, pod)[0])
                        if index in awaiting
                        else (0, 0)
                        for index in plan.indexes
                    }
                plan.create = len(plan.indexes)
            active_n += plan.create
        enough = all_s > 0 if completions is None else all_s >= completions
        if enough and active_n == 0:
            message = "Reached expected number of succeeded pods"
            target = new_condition(_SUCCESS, "True", "CompletionsReached", message, now)
            conditions.append(target)
        deadline_s = spec.get("activeDeadlineSeconds")
        if deadline_s is not None and started is not None and target is None:
            left_s = deadline_s - (now_ns - parse_rfc3339(started)) / NS
            plan.again_s = left_s if plan.again_s is None else min(plan.again_s, left_s)

    common: JsonObject = {"startTime": started, "active": active_n or None, "ready": ready, "terminating": terminating}
    if is_indexed:
        common["completedIndexes"] = ranges(done) or None
    if per_index:
        common["failedIndexes"] = ranges(given_up)
    if conditions:
        common["conditions"] = conditions
    uncounted = {"succeeded": noted_s or None, "failed": noted_f or None}
    plan.noted = {
        **common,
        "succeeded": finished_s or None,
        "failed": finished_f or None,
        "uncountedTerminatedPods": uncounted,
    }
    plan.counted = {
        **common,
        "succeeded": all_s or None,
        "failed": all_f or None,
        "uncountedTerminatedPods": {"succeeded": None, "failed": None},
    }
    if target is not None and terminating == 0:
        _end(plan, conditions, target, now, fatal)
    return plan


def phase_of(pod: JsonObject) -> str:
    return str((pod.get("status") or {}).get("phase", "Pending"))


def is_tracked(pod: JsonObject) -> bool:
    return TRACKING_FINALIZER in (pod["metadata"].get("finalizers") or ())


def ended_ns(pod: JsonObject) -> int:
    """When a pod ended: with its last container, when it ceased to be ready, or when it was asked to go."""
    status, metadata = pod.get("status") or {}, pod["metadata"]
    ends = [
        ((each.get("state") or {}).get("terminated") or {}).get("finishedAt")
        for each in status.get("containerStatuses") or ()
    ]
    known = [parse_rfc3339(end) for end in ends if end]
    if known and len(known) == len(ends):
        return max(known)
    condition = condition_of(pod, "Ready") or {}
    if condition.get("status") == "False" and condition.get("lastTransitionTime"):
        return parse_rfc3339(condition["lastTransitionTime"])
    if metadata.get("deletionTimestamp"):
        return parse_rfc3339(metadata["deletionTimestamp"]) - int(metadata.get("deletionGracePeriodSeconds") or 0) * NS
    return parse_rfc3339(metadata["creationTimestamp"])


def new_condition(kind: str, value: str, reason: str, message: str, now: str) -> JsonObject:
    return {
        "type": kind,
        "status": value,
        "lastProbeTime": now,
        "lastTransitionTime": now,
        "reason": reason,
        "message": message,
    }


def _failure(
    spec: JsonObject, active: list[JsonObject], failed: int, fatal: str, started: str | None, now_ns: int
) -> JsonObject | None:
    """The condition by which the Job is to fail, if it is."""
    now, limit = rfc3339(now_ns), spec.get("backoffLimit", 6)
    if fatal:
        return new_condition(_FAILURE, "True", "PodFailurePolicy", fatal, now)
    restarts = 0
    if spec["template"]["spec"].get("restartPolicy") == "OnFailure":
        statuses = [
            each
            for pod in active
            for part in ("initContainerStatuses", "containerStatuses")
            for each in (pod.get("status") or {}).get(part) or ()
        ]
        restarts = sum(int(each.get("restartCount") or 0) for each in statuses)
    if failed > limit or (restarts > 0 and restarts >= limit):
        message = "Job has reached the specified backoff limit"
        return new_condition(_FAILURE, "True", "BackoffLimitExceeded", message, now)
    deadline_s = spec.get("activeDeadlineSeconds")
    if deadline_s is None or started is None or spec.get("suspend"):
        return None
    if (now_ns - parse_rfc3339(started)) / NS < deadline_s:
        return None
    return new_condition(_FAILURE, "True", "DeadlineExceeded", "Job was active longer than specified deadline", now)


def _failure_of_indexes(spec: JsonObject, done: list[int], given_up: list[int], now: str) -> JsonObject | None:
    """The condition by which a Job with a limit for each index fails: too many have failed, or none is left to try."""
    most = spec.get("maxFailedIndexes")
    if most is not None and len(given_up) > most:
        text = "Job has exceeded the specified maximal number of failed indexes"
        return new_condition(_FAILURE, "True", "MaxFailedIndexesExceeded", text, now)
    if given_up and len(given_up) + len(done) >= spec.get("completions", 1):
        return new_condition(_FAILURE, "True", "FailedIndexes", "Job has failed indexes", now)
    return None


def _wait_for_each(plan: JobPlan, awaiting: dict[int, JsonObject], now_ns: int) -> None:
    """Of the indexes to be made those that need not wait; when all must, until the first need not."""
    left = {
        index: max(0.0, pause_s(awaiting[index]) - (now_ns - ended_ns(awaiting[index])) / NS)
        for index in plan.indexes
        if index in awaiting
    }
    if plan.indexes and all(left.get(index, 0.0) > 0 for index in plan.indexes):
        plan.again_s = min(left.values())
    plan.indexes = [index for index in plan.indexes if left.get(index, 0.0) == 0]


def _success_by_policy(spec: JsonObject, done: list[int], now: str) -> JsonObject | None:
    """The condition by which an indexed Job succeeds before all of its indexes have."""
    for number, rule in enumerate((spec.get("successPolicy") or {}).get("rules") or ()):
        wanted, count = rule.get("succeededIndexes"), rule.get("succeededCount")
        among = set(indexes(wanted)) if wanted is not None else None
        having = len(done) if among is None else sum(index in among for index in done)
        needed = count if count is not None else len(among or ())
        if having >= needed:
            return new_condition(_SUCCESS, "True", "SuccessPolicy", f"Matched rules at index {number}", now)
    return None


def _end(plan: JobPlan, conditions: list[JsonObject], target: JsonObject, now: str, fatal: str) -> None:
    """None of the pods is left: the Job is over."""
    reason, message = target["reason"], target.get("message", "")
    kind = "Failed" if target["type"] == _FAILURE else "Complete"
    plan.counted["conditions"] = [*conditions, new_condition(kind, "True", reason, message, now)]
    if kind == "Complete":
        plan.counted["completionTime"] = now
        plan.told = ("Normal", "Completed", "Job completed")
    else:
        plan.told = ("Warning", reason, message)


def _judge(policy: JsonObject | None, pod: JsonObject) -> tuple[str, str]:
    """What the first matching rule says of a failed pod (`Count` without one), and why that fails the Job."""
    status = pod.get("status") or {}
    who = f"{namespace_of(pod)}/{name_of(pod)}"
    for number, rule in enumerate((policy or {}).get("rules") or ()):
        action, codes = rule["action"], rule.get("onExitCodes")
        if codes is not None:
            for each in [*(status.get("containerStatuses") or ()), *(status.get("initContainerStatuses") or ())]:
                code = ((each.get("state") or {}).get("terminated") or {}).get("exitCode") or 0
                name = codes.get("containerName")
                if code == 0 or (name and name != each["name"]):
                    continue
                if (code in codes["values"]) == (codes["operator"] == "In"):
                    what = f"Container {each['name']} for pod {who} failed with exit code {code}"
                    return action, f"{what} matching {action} rule at index {number}"
        for wanted in rule.get("onPodConditions") or ():
            condition = condition_of(pod, wanted["type"])
            if condition is not None and condition.get("status") == wanted.get("status", "True"):
                return action, f"Pod {who} has condition {wanted['type']} matching {action} rule at index {number}"
    return "Count", ""


def _worth(pod: JsonObject) -> tuple[bool, bool, bool, int]:
    """Those that have got least far go first, of equals the youngest."""
    born_ns = parse_rfc3339(pod["metadata"]["creationTimestamp"])
    return bool(pod["spec"].get("nodeName")), phase_of(pod) == "Running", has_condition(pod, "Ready"), -born_ns


def _condition(conditions: list[JsonObject], kind: str, value: str) -> JsonObject | None:
    return next((each for each in conditions if (each.get("type"), each.get("status")) == (kind, value)), None)


def _with_suspended(conditions: list[JsonObject], value: str, reason: str, message: str, now: str) -> list[JsonObject]:
    kept = [each for each in conditions if each.get("type") != "Suspended"]
    return [*kept, new_condition("Suspended", value, reason, message, now)]
