"""A site on two sockets of the loopback interface, for clients that know no virtual time: with every request it gets older."""

from __future__ import annotations

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

from rayrig_core.http import HttpRequest, HttpResponse
from rayrig_fakes.kubernetes.rest.handler import ApiResponse, handle
from tests.apiserver.conftest import Site

#: How much older it gets.
STEP_S = 1.0


class ServedSite:
    """The KubeRay API server at `api`, Kubernetes itself at `kubernetes`; to be used as a context. One request at a time."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._turn = threading.Lock()
        self._servers = (self._listening(self._api), self._listening(self._kubernetes))
        self.api, self.kubernetes = (f"http://127.0.0.1:{server.server_port}" for server in self._servers)

    def __enter__(self) -> ServedSite:
        for server in self._servers:
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        for server in self._servers:
            server.shutdown()
            server.server_close()

    def _api(self, request: HttpRequest) -> HttpResponse:
        answer: HttpResponse = self._site.run(self._site.server.handle(request))
        return answer

    def _kubernetes(self, request: HttpRequest) -> HttpResponse:
        answer = handle(self._site.world.api, request)
        assert isinstance(answer, ApiResponse)
        return HttpResponse(answer.status, answer.body, dict(answer.headers))

    def _listening(self, answer: Callable[[HttpRequest], HttpResponse]) -> HTTPServer:
        turn, site = self._turn, self._site

        class Handler(BaseHTTPRequestHandler):
            def handle_one_request(self) -> None:
                self.raw_requestline = self.rfile.readline(65537)
                if not self.raw_requestline or not self.parse_request():
                    self.close_connection = True
                    return
                parts = urlsplit(self.path)
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                headers = {name.lower(): value for name, value in self.headers.items()}
                query = HttpRequest.of("", f"?{parts.query}").query if parts.query else {}
                with turn:
                    found = answer(HttpRequest(self.command, unquote(parts.path), query, headers, body))
                    site.sleep(STEP_S)
                self.send_response(found.status)
                for name, value in found.headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(found.body)))
                self.end_headers()
                self.wfile.write(found.body)

            def log_message(self, *_: Any) -> None:
                pass

        return HTTPServer(("127.0.0.1", 0), Handler)
