"""Which names a CustomResourceDefinition gets: two definitions of a group do not share one (K8-040)."""

from __future__ import annotations

from collections.abc import Iterable

from rayrig_core.objects import JsonObject
from rayrig_core.timestamps import rfc3339


def accept_names(crd: JsonObject, others: Iterable[JsonObject], unix_ns: int) -> JsonObject:
    """The status of a definition whose names were looked at beside those that `others` have."""
    status = crd.get("status") or {}
    asked, had = crd["spec"]["names"], status.get("acceptedNames") or {}
    resources: list[str] = []
    kinds: list[str] = []
    for other in others:
        names = (other.get("status") or {}).get("acceptedNames") or {}
        resources += [names.get("plural", ""), names.get("singular", ""), *(names.get("shortNames") or ())]
        kinds += [names.get("kind", ""), names.get("listKind", "")]
    accepted: JsonObject = {"plural": "", "kind": "", **had}
    reason, message = "", ""
    for part, taken, why in (
        ("plural", resources, "PluralConflict"),
        ("singular", resources, "SingularConflict"),
        ("shortNames", resources, "ShortNamesConflict"),
        ("kind", kinds, "KindConflict"),
        ("listKind", kinds, "ListKindConflict"),
    ):
        problem = _conflict(asked.get(part), had.get(part), taken)
        if problem:
            reason, message = why, problem
        elif asked.get(part):
            accepted[part] = asked[part]
        else:
            accepted.pop(part, None)
    if asked.get("categories"):
        accepted["categories"] = asked["categories"]
    else:
        accepted.pop("categories", None)
    good = not reason
    conditions = {condition["type"]: condition for condition in status.get("conditions") or ()}
    now = rfc3339(unix_ns)
    _set(conditions, "NamesAccepted", good, reason or "NoConflicts", message or "no conflicts found", now)
    established = conditions.get("Established")
    if established is None or established["status"] != "True":
        if good:
            _set(conditions, "Established", True, "InitialNamesAccepted", "the initial names have been accepted", now)
        else:
            _set(conditions, "Established", False, "NotAccepted", "not all names are accepted", now)
    ordered = ("plural", "singular", "shortNames", "kind", "listKind", "categories")
    return {
        "conditions": list(conditions.values()),
        "acceptedNames": {part: accepted[part] for part in ordered if part in accepted},
        "storedVersions": status.get("storedVersions"),
    }


def _conflict(asked: object, had: object, taken: list[str]) -> str:
    if not asked or asked == had:
        return ""
    own = had if isinstance(had, list) else []
    names = asked if isinstance(asked, list) else [asked]
    problems = [f'"{name}" is already in use' for name in names if name in taken and name not in own]
    return problems[0] if len(problems) == 1 else f"[{', '.join(problems)}]" if problems else ""


def _set(conditions: dict[str, JsonObject], kind: str, holds: bool, reason: str, message: str, now: str) -> None:
    old = conditions.get(kind)
    value = "True" if holds else "False"
    since = old["lastTransitionTime"] if old is not None and old["status"] == value else now
    conditions[kind] = {
        "type": kind,
        "status": value,
        "lastTransitionTime": since,
        "reason": reason,
        "message": message,
    }


#: What a definition that is being deleted says of itself: status, reason, message.
PENDING = (
    "Terminating",
    True,
    "InstanceDeletionPending",
    "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon",
)
IN_PROGRESS = ("Terminating", True, "InstanceDeletionInProgress", "CustomResource deletion is in progress")
COMPLETED = ("Terminating", False, "InstanceDeletionCompleted", "removed all instances")


def with_condition(status: JsonObject, kind: str, holds: bool, reason: str, message: str, unix_ns: int) -> JsonObject:
    """The status with this condition."""
    conditions = {condition["type"]: condition for condition in status.get("conditions") or ()}
    _set(conditions, kind, holds, reason, message, rfc3339(unix_ns))
    return {**status, "conditions": list(conditions.values())}


def is_established(crd: JsonObject) -> bool:
    """It was accepted at some time, and has been served since."""
    conditions = (crd.get("status") or {}).get("conditions") or ()
    return any(each["type"] == "Established" and each["status"] == "True" for each in conditions)
