"""Jobs and CronJobs: defaults, labels the server gives, what may not change (`kubernetes-api.md`; K8-079)."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rayrig_core.kubernetes_names import dns_subdomain, qualified_name
from rayrig_core.objects import JsonObject
from rayrig_fakes.kubernetes import status
from rayrig_fakes.kubernetes.kind_rules import Admission, setdefault
from rayrig_fakes.kubernetes.kinds.checks import each, not_negative, one_of, selector_problems, selects, shown_selector
from rayrig_fakes.kubernetes.kinds.cron_schedules import schedule_problem, zone_problem
from rayrig_fakes.kubernetes.kinds.pod_defaults import default_pod_spec
from rayrig_fakes.kubernetes.kinds.pod_warnings import template_warnings
from rayrig_fakes.kubernetes.kinds.workloads import TemplateRules, mismatch, pod_names_warnings, template_problems
from rayrig_fakes.kubernetes.objectmeta import IMMUTABLE, Looks
from rayrig_fakes.kubernetes.status import Cause
from rayrig_fakes.kubernetes.typed.inside import inside

_MODES = ("NonIndexed", "Indexed")
_REPLACEMENTS = ("Failed", "TerminatingOrFailed")
_ACTIONS = ("Count", "FailIndex", "FailJob", "Ignore")
_CONCURRENCY = ("Allow", "Forbid", "Replace")
_UID_LABELS = ("batch.kubernetes.io/controller-uid", "controller-uid")
_NAME_LABELS = ("batch.kubernetes.io/job-name", "job-name")
_MANY = 100_000
_INTERVAL = re.compile(r"[0-9]+(-[0-9]+)?")
_UNLIMITED = 0x7FFFFFFF


def default_job_spec(spec: JsonObject) -> None:
    if spec.get("completions") is None and spec.get("parallelism") is None:
        spec["completions"], spec["parallelism"] = 1, 1
    setdefault(spec, parallelism=1, completionMode="NonIndexed", suspend=False)
    # Failures of each index have limits of their own.
    setdefault(spec, backoffLimit=6 if spec.get("backoffLimitPerIndex") is None else _UNLIMITED)
    failures = spec.get("podFailurePolicy")
    if spec.get("podReplacementPolicy") is None:
        spec["podReplacementPolicy"] = "TerminatingOrFailed" if failures is None else "Failed"
    for rule in (failures or {}).get("rules") or ():
        for condition in rule.get("onPodConditions") or ():
            if not condition.get("status"):
                condition["status"] = "True"
    setdefault(spec, manualSelector=False)


class JobRules(TemplateRules):
    kind = "Job"
    looks = Looks(2, 2, 2)

    def default(self, obj: JsonObject) -> None:
        super().default(obj)
        default_job_spec(obj["spec"])

    def stored_form(self, obj: JsonObject) -> JsonObject:
        # A job without labels has those of its pods.
        labels = (self.template_of(obj).get("metadata") or {}).get("labels")
        if labels and not obj["metadata"].get("labels"):
            obj["metadata"]["labels"] = dict(labels)
        return obj

    def before_create(self, obj: JsonObject, admission: Admission) -> None:
        spec = obj.setdefault("spec", {})
        template = spec.setdefault("template", {})
        had = (template.get("metadata") or {}).get("labels")
        alike = had is not None and not obj["metadata"].get("labels")
        if not spec.get("manualSelector"):
            uid, name = obj["metadata"]["uid"], obj["metadata"].get("name", "")
            labels = {**dict.fromkeys(_UID_LABELS, uid), **dict.fromkeys(_NAME_LABELS, name)}
            template["metadata"] = {**(template.get("metadata") or {}), "labels": {**(had or {}), **labels}}
            if alike:
                obj["metadata"]["labels"] = dict(template["metadata"]["labels"])
            selector = spec["selector"] = dict(spec.get("selector") or {})
            selector["matchLabels"] = {**(selector.get("matchLabels") or {}), _UID_LABELS[0]: uid}
        super().before_create(obj, admission)

    def validate(self, obj: JsonObject, admission: Admission) -> Sequence[Cause]:
        spec = obj["spec"]
        selector = spec.get("selector")
        causes = job_spec_problems(spec, "spec")
        if selector is None:
            causes.append(status.required("spec.selector"))
        else:
            causes += selector_problems(selector, "spec.selector")
        labels = (spec["template"].get("metadata") or {}).get("labels")
        if not spec.get("manualSelector"):
            uid = obj["metadata"]["uid"]
            generated = [{"matchLabels": {label: uid}} for label in _UID_LABELS]
            if selector is not None and selector not in generated:
                text = "`selector` not auto-generated"
                causes.append(status.invalid_value("spec.selector", shown_selector(selector), text))
        if not selects(selector, labels or {}):
            causes.append(mismatch(labels))
        return causes

    def validate_update(self, obj: JsonObject, old: JsonObject, admission: Admission) -> Sequence[Cause]:
        spec, had = obj["spec"], old["spec"]
        causes: list[Cause] = []
        if spec.get("completions") != had.get("completions"):
            elastic = (
                spec.get("completionMode") == "Indexed"
                and spec.get("completions") is not None
                and had.get("completions") is not None
                and spec.get("completions") == spec.get("parallelism")
            )
            if not elastic:
                text = IMMUTABLE
                if spec.get("completionMode") == "Indexed" and spec.get("completions") != spec.get("parallelism"):
                    text = "can only be modified in tandem with spec.parallelism"
                causes.append(status.invalid_value("spec.completions", spec.get("completions"), text))
        if spec.get("selector") != had.get("selector"):
            shown = shown_selector(spec.get("selector"))
            causes.append(status.invalid_value("spec.selector", shown, IMMUTABLE))
        causes += _template_change(spec["template"], had["template"], suspended=bool(had.get("suspend")))
        for field in ("completionMode", "backoffLimitPerIndex", "managedBy"):
            if spec.get(field) != had.get(field):
                causes.append(status.invalid_value(f"spec.{field}", spec.get(field), IMMUTABLE))
        for field, show in (("podFailurePolicy", _shown_failures), ("successPolicy", _shown_success)):
            if spec.get(field) != had.get(field):
                causes.append(status.invalid_value(f"spec.{field}", show(spec.get(field)), IMMUTABLE))
        return causes

    def validate_status(self, obj: JsonObject, old: JsonObject, admission: Admission) -> Sequence[Cause]:
        return job_status_problems(obj.get("status") or {}, old.get("status") or {})

    def name_warnings(self, name: str) -> list[str]:
        return pod_names_warnings(name)


def _template_change(template: JsonObject, had: JsonObject, *, suspended: bool) -> list[Cause]:
    """Nothing but where the pods of a suspended job may run may change."""
    if template == had:
        return []
    if not suspended:
        return [status.invalid_value("spec.template", inside(template, "PodTemplateSpec"), IMMUTABLE)]
    free = ("nodeSelector", "affinity", "tolerations", "schedulingGates")
    new, before = (
        {field: value for field, value in each_one["spec"].items() if field not in free} for each_one in (template, had)
    )
    if new == before:
        return []
    return [status.invalid_value("spec.template.spec", inside(template["spec"], "PodSpec"), IMMUTABLE)]


def _shown_failures(policy: JsonObject | None) -> JsonObject | None:
    if policy is None:
        return None
    rules = []
    for rule in policy.get("rules") or ():
        codes, conditions = rule.get("onExitCodes"), rule.get("onPodConditions") or []
        rules.append(
            {
                "Action": rule.get("action") or "",
                "OnExitCodes": codes
                and {
                    "ContainerName": codes.get("containerName"),
                    "Operator": codes.get("operator") or "",
                    "Values": codes.get("values"),
                },
                "OnPodConditions": [{"Type": c.get("type"), "Status": c.get("status")} for c in conditions] or None,
            }
        )
    return {"Rules": rules}


def _shown_success(policy: JsonObject | None) -> JsonObject | None:
    if policy is None:
        return None
    return {
        "Rules": [
            {"SucceededIndexes": rule.get("succeededIndexes"), "SucceededCount": rule.get("succeededCount")}
            for rule in policy.get("rules") or ()
        ]
    }


def job_spec_problems(spec: JsonObject, field: str) -> list[Cause]:
    causes: list[Cause] = []
    for number in (
        "parallelism",
        "completions",
        "activeDeadlineSeconds",
        "backoffLimit",
        "ttlSecondsAfterFinished",
        "backoffLimitPerIndex",
        "maxFailedIndexes",
    ):
        causes += not_negative(f"{field}.{number}", spec.get(number))
    manager = spec.get("managedBy")
    if manager is not None:
        prefix, slash, path = manager.partition("/")
        if not slash or not prefix or not path or dns_subdomain(prefix):
            text = 'must be a domain-prefixed path (such as "acme.io/foo")'
            causes.append(status.invalid_value(f"{field}.managedBy", manager, text))
    causes += _index_problems(spec, field)
    causes += one_of(f"{field}.podReplacementPolicy", spec.get("podReplacementPolicy"), _REPLACEMENTS)
    pod = spec["template"].get("spec") or {}
    causes += template_problems(spec["template"], f"{field}.template")
    at = f"{field}.template.spec.restartPolicy"
    policy = pod.get("restartPolicy")
    if policy == "Always":
        causes.append(status.required(at, 'valid values: "OnFailure", "Never"'))
    failures = spec.get("podFailurePolicy")
    if failures is not None:
        replacement = spec.get("podReplacementPolicy")
        if replacement in _REPLACEMENTS and replacement != "Failed":
            causes.append(status.not_supported(f"{field}.podReplacementPolicy", replacement, ["Failed"]))
        if policy == "OnFailure":
            text = 'only "Never" is supported when podFailurePolicy is specified'
            causes.append(status.invalid_value(at, policy, text))
        causes += _failure_problems(spec, failures, f"{field}.podFailurePolicy")
    success = spec.get("successPolicy")
    if success is not None:
        causes += _success_problems(spec, success, f"{field}.successPolicy")
    return causes


def _index_problems(spec: JsonObject, field: str) -> list[Cause]:
    causes: list[Cause] = []
    mode, completions = spec.get("completionMode"), spec.get("completions")
    causes += one_of(f"{field}.completionMode", mode, _MODES)
    per_index, failed = spec.get("backoffLimitPerIndex"), spec.get("maxFailedIndexes")
    if failed is not None and per_index is None:
        causes.append(status.required(f"{field}.backoffLimitPerIndex", "when maxFailedIndexes is specified"))
    if mode == "Indexed":
        if completions is None:
            text = f"when completion mode is {mode}"
            return [*causes, status.required(f"{field}.completions", text)]
        parallelism = spec.get("parallelism") or 0
        if parallelism > _MANY:
            text = f"must be less than or equal to {_MANY} when completion mode is {mode}"
            causes.append(status.invalid_value(f"{field}.parallelism", parallelism, text))
        if failed is not None and failed > completions:
            text = "must be less than or equal to completions"
            causes.append(status.invalid_value(f"{field}.maxFailedIndexes", failed, text))
        return causes
    for name, value in (("backoffLimitPerIndex", per_index), ("maxFailedIndexes", failed)):
        if value is not None:
            causes.append(status.invalid_value(f"{field}.{name}", value, "requires indexed completion mode"))
    return causes


def _failure_problems(spec: JsonObject, failures: JsonObject, field: str) -> list[Cause]:
    causes: list[Cause] = []
    rules = failures.get("rules") or []
    if len(rules) > 20:
        causes.append(status.too_many(f"{field}.rules", len(rules), 20))
    pod = spec["template"].get("spec") or {}
    names = [each_one.get("name") for part in ("containers", "initContainers") for each_one in pod.get(part) or ()]
    for index, rule in enumerate(rules):
        at, action = f"{field}.rules[{index}]", rule.get("action") or ""
        if not action:
            listed = " ".join(f'"{each_one}"' for each_one in _ACTIONS)
            causes.append(status.required(f"{at}.action", f"valid values: [{listed}]"))
        elif action not in _ACTIONS:
            causes.append(status.not_supported(f"{at}.action", action, _ACTIONS))
        elif action == "FailIndex" and spec.get("backoffLimitPerIndex") is None:
            text = "requires the backoffLimitPerIndex to be set"
            causes.append(status.invalid_value(f"{at}.action", action, text))
        codes, conditions = rule.get("onExitCodes"), rule.get("onPodConditions") or []
        if codes is not None:
            causes += _exit_code_problems(codes, f"{at}.onExitCodes", names)
        for position, condition in enumerate(conditions):
            here, kind = f"{at}.onPodConditions[{position}]", condition.get("type") or ""
            causes += each(f"{here}.type", kind, qualified_name(kind))
            causes += one_of(f"{here}.status", condition.get("status"), ("False", "True", "Unknown"))
        wrong = "Invalid value: specifying {} OnExitCodes and OnPodConditions is {}"
        if codes is not None and conditions:
            causes.append(Cause(at, "FieldValueInvalid", wrong.format("both", "not supported")))
        elif codes is None and not conditions:
            causes.append(Cause(at, "FieldValueInvalid", wrong.format("one of", "required")))
    return causes


def _exit_code_problems(codes: JsonObject, field: str, names: list[str | None]) -> list[Cause]:
    causes: list[Cause] = []
    operator, values = codes.get("operator") or "", codes.get("values") or []
    if not operator:
        causes.append(status.required(f"{field}.operator", 'valid values: ["In" "NotIn"]'))
    elif operator not in ("In", "NotIn"):
        causes.append(status.not_supported(f"{field}.operator", operator, ("In", "NotIn")))
    name = codes.get("containerName")
    if name is not None and name not in names:
        text = "must be one of the container or initContainer names in the pod template"
        causes.append(status.invalid_value(f"{field}.containerName", name, text))
    if not values:
        causes.append(status.invalid_value(f"{field}.values", [], "at least one value is required"))
    elif len(values) > 255:
        causes.append(status.too_many(f"{field}.values", len(values), 255))
    for index, value in enumerate(values):
        at = f"{field}.values[{index}]"
        if operator == "In" and value == 0:
            causes.append(status.invalid_value(at, value, "must not be 0 for the In operator"))
        if value in values[:index]:
            causes.append(status.duplicate(at, value))
    if values != sorted(values):
        causes.append(status.invalid_value(f"{field}.values", values, "must be ordered"))
    return causes


def _success_problems(spec: JsonObject, success: JsonObject, field: str) -> list[Cause]:
    rules = success.get("rules") or []
    if spec.get("completionMode") != "Indexed":
        return [status.invalid_value(field, _shown_success(success), "requires indexed completion mode")]
    if not rules:
        return [
            status.required(
                f"{field}.rules", "at least one rules must be specified when the successPolicy is specified"
            )
        ]
    causes: list[Cause] = []
    completions = spec.get("completions") or 0
    for index, rule in enumerate(rules):
        at, count, indexes = f"{field}.rules[{index}]", rule.get("succeededCount"), rule.get("succeededIndexes")
        if count is None and indexes is None:
            text = "at least one of succeededCount or succeededIndexes must be specified"
            causes.append(status.required(at, text))
        total = completions
        if indexes is not None:
            total, problem = _count_indexes(indexes, completions)
            if problem:
                text = f"error parsing succeededIndexes: {problem}"
                causes.append(status.invalid_value(f"{at}.succeededIndexes", indexes, text))
        if count is not None:
            causes += not_negative(f"{at}.succeededCount", count)
            if count > completions:
                text = f"must be less than or equal to {completions} (the number of specified completions)"
                causes.append(status.invalid_value(f"{at}.succeededCount", count, text))
            if indexes is not None and count > total:
                text = f"must be less than or equal to {total} (the number of indexes in the specified succeededIndexes field)"
                causes.append(status.invalid_value(f"{at}.succeededCount", count, text))
    return causes


def _count_indexes(text: str, completions: int) -> tuple[int, str]:
    """How many indexes a list of intervals has, or what is wrong with it."""
    total, last = 0, -1
    for interval in text.split(","):
        if not _INTERVAL.fullmatch(interval):
            bad = next((part for part in interval.split("-") if not part.isdigit()), interval)
            return 0, f'cannot convert string to integer for index: "{bad}"'
        first, _, end = interval.partition("-")
        start, stop = int(first), int(end or first)
        for each_one in (start, stop):
            if each_one >= completions:
                return 0, f'too large index: "{each_one}"'
        if stop < start or start <= last:
            return 0, f"non-increasing order, previous: {last}, current: {start}"
        total, last = total + stop - start + 1, stop
    return total, ""


def job_status_problems(new: JsonObject, old: JsonObject) -> list[Cause]:
    """Counts, and conditions that do not go together."""
    causes: list[Cause] = []
    for name in ("active", "succeeded", "failed", "ready", "terminating"):
        causes += not_negative(f"status.{name}", new.get(name))
    conditions = {each_one.get("type"): each_one.get("status") for each_one in new.get("conditions") or ()}
    complete, failed = conditions.get("Complete") == "True", conditions.get("Failed") == "True"
    wrong = []
    if complete and failed:
        wrong.append("cannot set Complete=True and Failed=true conditions")
    if failed and conditions.get("FailureTarget") != "True":
        wrong.append("cannot set Failed=True condition without the FailureTarget=true condition")
    if complete and conditions.get("SuccessCriteriaMet") != "True":
        wrong.append("cannot set Complete=True condition without the SuccessCriteriaMet=true condition")
    causes += [Cause("status.conditions", "FieldValueInvalid", f"Invalid value: {text}") for text in wrong]
    ended, started = new.get("completionTime"), new.get("startTime")
    if complete and not ended:
        causes.append(status.required("status.completionTime", "completionTime is required for Complete jobs"))
    if ended and not complete:
        text = "cannot set completionTime when there is no Complete=True condition"
        causes.append(status.invalid_value("status.completionTime", ended, text))
    if (complete or failed) and not started:
        causes.append(status.required("status.startTime", "startTime is required for finished job"))
    active, ready = new.get("active") or 0, new.get("ready") or 0
    if 0 <= active < ready:
        causes.append(status.invalid_value("status.ready", ready, "cannot set more ready pods than active"))
    for name in ("succeeded", "failed"):
        if (new.get(name) or 0) < (old.get(name) or 0):
            text = f"cannot decrease the {name} counter"
            causes.append(status.invalid_value(f"status.{name}", new.get(name) or 0, text))
    for name, uids in (new.get("uncountedTerminatedPods") or {}).items():
        for index, uid in enumerate(uids or ()):
            if uid in uids[:index]:
                causes.append(status.duplicate(f"status.uncountedTerminatedPods.{name}[{index}]", uid))
    return causes


class CronJobRules(TemplateRules):
    kind = "CronJob"
    status_looks = Looks(1, 1, 0)
    template = "spec.jobTemplate.spec.template"

    def default(self, obj: JsonObject) -> None:
        spec = obj.setdefault("spec", {})
        setdefault(spec, concurrencyPolicy="Allow", suspend=False)
        setdefault(spec, successfulJobsHistoryLimit=3, failedJobsHistoryLimit=1)
        job = spec.setdefault("jobTemplate", {})
        job.setdefault("metadata", {})
        template = job.setdefault("spec", {}).setdefault("template", {})
        template.setdefault("metadata", {})
        default_pod_spec(template.setdefault("spec", {}), self.kind)

    def template_of(self, obj: JsonObject) -> JsonObject:
        template: JsonObject = obj["spec"]["jobTemplate"]["spec"]["template"]
        return template

    def validate(self, obj: JsonObject, admission: Admission) -> Sequence[Cause]:
        spec = obj["spec"]
        causes: list[Cause] = []
        name = obj["metadata"].get("name", "")
        if len(name) > 52:
            causes.append(status.invalid_value("metadata.name", name, "must be no more than 52 characters"))
        schedule, zone = spec.get("schedule") or "", spec.get("timeZone")
        if not schedule:
            causes.append(status.required("spec.schedule"))
        else:
            if problem := schedule_problem(schedule):
                causes.append(status.invalid_value("spec.schedule", schedule, problem))
            if "TZ" in schedule:
                text = "cannot use TZ or CRON_TZ in schedule, use timeZone field instead"
                causes.append(status.invalid_value("spec.schedule", schedule, text))
        causes += _zone_problems(zone)
        causes += not_negative("spec.startingDeadlineSeconds", spec.get("startingDeadlineSeconds"))
        policy = spec.get("concurrencyPolicy") or ""
        causes += one_of("spec.concurrencyPolicy", policy, _CONCURRENCY)
        causes += self._job_problems(spec["jobTemplate"])
        for limit in ("successfulJobsHistoryLimit", "failedJobsHistoryLimit"):
            causes += not_negative(f"spec.{limit}", spec.get(limit))
        return causes

    def _job_problems(self, job: JsonObject) -> list[Cause]:
        at, spec = "spec.jobTemplate", job["spec"]
        causes = job_spec_problems(spec, f"{at}.spec")
        if spec.get("manualSelector"):
            causes.append(status.not_supported(f"{at}.spec.manualSelector", True, ["nil", "false"]))
        if spec.get("selector") is not None:
            text = "`selector` will be auto-generated"
            causes.append(status.invalid_value(f"{at}.spec.selector", spec["selector"], text))
        return causes

    def warn(self, obj: JsonObject, old: JsonObject | None, admission: Admission) -> None:
        if not admission.looks_for_unknown:
            return
        if old is None:
            admission.warnings += pod_names_warnings(obj["metadata"]["name"])
        admission.warnings += template_warnings(self.template_of(obj), self.template)


def _zone_problems(zone: str | None) -> list[Cause]:
    at = "spec.timeZone"
    if zone is None:
        return []
    if not zone:
        return [status.invalid_value(at, zone, "timeZone must be nil or non-empty string")]
    if zone.lower() == "local":
        text = "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones"
        return [status.invalid_value(at, zone, text)]
    problem = zone_problem(zone)
    return [status.invalid_value(at, zone, problem)] if problem else []
