"""What a user is told when an API server does not answer the first requests, or refuses them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rayrig_core.errors import ApiError, InputError
from rayrig_core.http import HttpFailure


@contextmanager
def requires_answers(server: str) -> Iterator[None]:
    """Requests in here that fail raise `InputError`, which names the server and the remedy."""
    try:
        yield
    except HttpFailure as failure:
        remedy = "check the URL, and that the API server runs"
        raise InputError(f"no answer: {failure}", where=server, remedy=remedy) from None
    except ApiError as refused:
        remedy = "give a --token or --kubeconfig that may" if refused.code in (401, 403) else ""
        raise InputError(refused.message, where=server, remedy=remedy) from None
