"""What Go's HTTP server does to every path before a handler sees it, and how it writes errors."""

from __future__ import annotations

import html
from urllib.parse import quote, urlencode

from rayrig_core.http import HttpRequest, HttpResponse


def plain_error(status: int, text: str, **headers: str) -> HttpResponse:
    return HttpResponse(
        status,
        f"{text}\n".encode(),
        {"content-type": "text/plain; charset=utf-8", "x-content-type-options": "nosniff", **headers},
    )


NOT_FOUND = plain_error(404, "404 page not found")


def clean_path(path: str) -> str:
    """Without empty, `.` and `..` segments; a slash at the end stays."""
    kept: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            del kept[-1:]
        elif segment not in ("", "."):
            kept.append(segment)
    ends_with_slash = path.endswith("/") and bool(kept)
    return "/" + "/".join(kept) + ("/" if ends_with_slash else "")


def redirect(request: HttpRequest, path: str) -> HttpResponse:
    """To the same with another path; as Go 1.26 says it, with a 307."""
    location = quote(path, safe="/:@!$&'()*+,;=~")
    if request.query:
        location += "?" + urlencode(request.query, doseq=True)
    if request.method not in ("GET", "HEAD"):
        return HttpResponse(307, b"", {"location": location})
    text = f'<a href="{html.escape(location)}">Temporary Redirect</a>.\n\n'
    return HttpResponse(307, text.encode(), {"location": location, "content-type": "text/html; charset=utf-8"})
