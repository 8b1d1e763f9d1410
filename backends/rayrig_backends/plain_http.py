"""One HTTP request over a connection of its own, waited for: for threads, and for those who have nothing else to do."""

from __future__ import annotations

from http.client import HTTPConnection, HTTPException
from urllib.parse import urlencode

from rayrig_core.http import Failure, HttpFailure, HttpRequest, HttpResponse

_HOP_BY_HOP = ("connection", "transfer-encoding", "content-length", "keep-alive", "host")


def ask(url: str, request: HttpRequest, *, timeout_s: float) -> HttpResponse:
    """`url`: scheme (http), host and port. Raises `HttpFailure`."""
    connection = HTTPConnection(url.removeprefix("http://"), timeout=timeout_s)
    target = request.path + (f"?{urlencode(request.query, doseq=True)}" if request.query else "")
    headers = {name: value for name, value in request.headers.items() if name not in _HOP_BY_HOP}
    try:
        connection.request(request.method, target, request.body or None, headers)
        answer = connection.getresponse()
        found = {name.lower(): value for name, value in answer.getheaders() if name.lower() not in _HOP_BY_HOP}
        return HttpResponse(answer.status, answer.read(), found, answer.reason)
    except ConnectionRefusedError as error:
        raise HttpFailure(Failure.REFUSED, str(error)) from None
    except TimeoutError as error:
        raise HttpFailure(Failure.TIMEOUT, str(error)) from None
    except (OSError, HTTPException) as error:
        raise HttpFailure(Failure.RESET, str(error)) from None
    finally:
        connection.close()
