"""One call of the API as a value: what both faces hand to the server, and what it answers."""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias

from rayrig_core.faultpoints import StaleRead
from rayrig_core.objects import Json, JsonObject
from rayrig_core.ports import PatchType, Preconditions, PropagationPolicy
from rayrig_core.resource_types import ResourceType
from rayrig_fakes.kubernetes.container_logs import LogOptions
from rayrig_fakes.kubernetes.identity import UserInfo
from rayrig_fakes.kubernetes.storage.store import Stored

Verb: TypeAlias = Literal["get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"]
WRITES: frozenset[str] = frozenset(("create", "update", "patch", "delete", "deletecollection"))

FieldValidation: TypeAlias = Literal["Ignore", "Warn", "Strict"]


class ApiCall(NamedTuple):
    """A verb on a resource. Strings are empty and numbers zero where they do not apply, as in a URL that leaves them out.

    `body` stays the caller's: the server copies what it keeps. For a patch it is the patch.
    """

    verb: Verb
    resource: ResourceType
    namespace: str = ""
    name: str = ""
    subresource: str = ""
    body: Json = None
    label_selector: str = ""
    field_selector: str = ""
    limit: int = 0
    continue_token: str = ""
    resource_version: str = ""
    resource_version_match: str = ""
    dry_run: bool = False
    patch_type: PatchType = "merge"
    field_manager: str = ""
    force: bool = False
    propagation_policy: PropagationPolicy | None = None
    grace_period_seconds: int | None = None
    preconditions: Preconditions | None = None
    field_validation: FieldValidation = "Ignore"
    #: Paths of fields that occur twice in the body.
    duplicates: tuple[str, ...] = ()
    #: A definition whose schemas are known to be good: looking through them takes longer than all else.
    trusted: bool = False
    #: Of a pod, for what is streamed to it.
    container: str = ""
    #: Which part of a container's log.
    log: LogOptions | None = None
    send_initial_events: bool = False
    #: A read that a fault answers from an older state.
    stale: StaleRead | None = None
    #: Takes what is found doubtful on the way, so that it is told also when the call is refused in the end.
    warnings: list[str] | None = None
    #: Who calls; None is the administrator, as for everything in this process.
    user: UserInfo | None = None


class Answer(NamedTuple):
    """What came of a call. `body` may be shared with the store: read it, or take `own()`."""

    code: int
    body: JsonObject
    stored: Stored | None = None
    warnings: tuple[str, ...] = ()
    #: Instead of a body, for logs.
    text: str | None = None

    def own(self) -> JsonObject:
        """The body as an object of the caller's own."""
        return self.stored.copy() if self.stored is not None else self.body


class Page(NamedTuple):
    """Answer to a list: shared objects of one revision."""

    items: list[Stored]
    revision: int
    continue_token: str = ""
    remaining: int | None = None
