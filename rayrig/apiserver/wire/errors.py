"""Errors of a call: a gRPC code, the HTTP status that stands for it, and how the message is put together
(`reference/kuberay-apiserver.md` section 3).
"""

from __future__ import annotations

from enum import IntEnum

HTTP_STATUS = {
    1: 499,
    2: 500,
    3: 400,
    4: 504,
    5: 404,
    6: 409,
    7: 403,
    8: 429,
    9: 400,
    10: 409,
    11: 400,
    12: 501,
    13: 500,
}
HTTP_STATUS |= {14: 503, 15: 500, 16: 401}


class Code(IntEnum):
    """The gRPC status numbers."""

    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16


class CallError(Exception):
    """A call failed. What the caller reads is the external text, then the internal chain, outermost first."""

    def __init__(self, code: Code, external: str, internal: str = "") -> None:
        self.code = code
        self.external = external
        self.internal = internal
        super().__init__(self.message)

    @property
    def message(self) -> str:
        return ": ".join(text for text in (self.external, self.internal) if text)

    @property
    def http_status(self) -> int:
        return HTTP_STATUS[self.code]

    def wrap(self, text: str) -> CallError:
        """The same error with `text` before its internal chain."""
        return CallError(self.code, self.external, f"{text}: {self.internal}" if self.internal else text)


def invalid_input(text: str) -> CallError:
    """What the caller sent fails a check of its own."""
    return CallError(Code.INVALID_ARGUMENT, text, f"Invalid input error: {text}")


def invalid_input_because(text: str, cause: object) -> CallError:
    """What the caller sent could not be converted."""
    return CallError(Code.INVALID_ARGUMENT, text, f"InvalidInputError: {text}: {cause}")


def not_found(text: str, cause: object) -> CallError:
    """`text` says what is missing, `cause` is Kubernetes' own text."""
    return CallError(Code.NOT_FOUND, text, f"NotFoundError: {text}: {cause}")


def already_exists(text: str) -> CallError:
    return CallError(Code.ALREADY_EXISTS, text, f"Already exist error: {text}")


def internal_error(text: str, cause: object) -> CallError:
    """Kubernetes refused, or stored state does not fit; `text` says what was being done."""
    return CallError(Code.INTERNAL, "Internal Server Error", f"InternalServerError: {text}: {cause}")


def plain(text: str) -> CallError:
    """An error nobody gave a code: Unknown."""
    return CallError(Code.UNKNOWN, "", text)
