"""Errors by what the caller can do about them.

RayrigError
├── InputError              fix the input (file, line, field); exit code 2
├── ServeUnavailable        the Serve controller does not answer: try later
│   └── ServeStartFailed    Serve did not come up: its controller or a proxy died
├── ServeRefused            the Serve instance refused a request (carries its text)
└── ApiError                a Kubernetes API server refused (carries its Status)
    ├── NotFound            404
    ├── AlreadyExists       409, reason AlreadyExists
    ├── Conflict            409, reason Conflict: read again and retry
    ├── Gone                410: list again
    ├── Invalid             422
    ├── Forbidden           403
    └── ServerTimeout …     the other reasons stay plain ApiError
HttpFailure                 no HTTP answer came (see `rayrig_core.http`)
"""

from __future__ import annotations

from rayrig_core.objects import JsonObject


class RayrigError(Exception):
    """Base of the errors a user may see."""


class InputError(RayrigError):
    """Input that cannot be used. The text is one line: where, what, remedy.

    `where` is a file with line and field (`upgrade.yaml:14 steps[2].wait`) or a JSON path; `remedy` says what to do instead.
    """

    def __init__(self, what: str, *, where: str = "", remedy: str = "") -> None:
        self.what, self.where, self.remedy = what, where, remedy
        text = f"{where}: {what}" if where else what
        super().__init__(f"{text} ({remedy})" if remedy else text)


class ServeUnavailable(RayrigError):
    """The Serve controller does not answer; it may come back."""


class ServeStartFailed(ServeUnavailable):
    """The controller or the proxies of a Serve instance did not come up."""


class ServeRefused(RayrigError):
    """The Serve instance refused; the text is what its caller is told."""


class ApiError(RayrigError):
    """The API server answered with a `Status` object of status Failure."""

    def __init__(self, status: JsonObject) -> None:
        self.status = status
        self.code: int = int(status.get("code", 500))
        self.reason: str = str(status.get("reason", ""))
        self.message: str = str(status.get("message", ""))
        #: What the server remarked on beside, as texts of Warning headers.
        self.warnings: tuple[str, ...] = ()
        super().__init__(self.message)


class NotFound(ApiError):
    """404."""


class AlreadyExists(ApiError):
    """409 on create: the name is taken."""


class Conflict(ApiError):
    """409: the resourceVersion or a precondition no longer holds."""


class Gone(ApiError):
    """410: the asked-for history is compacted; list again."""


class Invalid(ApiError):
    """422: the object is not valid; `status.details.causes` say where."""


class Forbidden(ApiError):
    """403."""


_BY_REASON: dict[str, type[ApiError]] = {
    "NotFound": NotFound,
    "AlreadyExists": AlreadyExists,
    "Conflict": Conflict,
    "Gone": Gone,
    "Expired": Gone,
    "Invalid": Invalid,
    "Forbidden": Forbidden,
}


def api_error(status: JsonObject) -> ApiError:
    """The exception type that fits a Status body."""
    return _BY_REASON.get(str(status.get("reason", "")), ApiError)(status)
