"""Something in the place of a Ray, that starts as it does."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from rayrig_backends.real_ray.local import RealRaySettings, check
from rayrig_core.errors import InputError

#: Asked for a version it tells one; else it is `ray start`: a server on each port, in a process of its own.
_STAND_IN = """#!{python}
import os, sys, threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

if "importlib.metadata" in sys.argv[2]:
    sys.exit(print("2.60.0"))
if os.environ.get("RAY_REDIS_ADDRESS") == "none":
    print("no place for tables")
    sys.exit(3)

class Answer(BaseHTTPRequestHandler):
    def do_GET(self):
        body = f"{self.server.server_port} {self.path}".encode()
        if self.path == "/interfaces":
            body = " ".join(line.split(":")[0].strip() for line in open("/proc/net/dev") if ":" in line).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *told):
        pass

servers = [ThreadingHTTPServer(("127.0.0.1", port), Answer) for port in (8265, 52365, 8000)]
if os.fork():
    os._exit(0)
os.setsid()
for server in servers:
    threading.Thread(target=server.serve_forever).start()
"""


@pytest.fixture
def stand_in(tmp_path: Path) -> RealRaySettings:
    program = tmp_path / "python"
    program.write_text(_STAND_IN.replace("{python}", sys.executable))
    program.chmod(0o755)
    settings = RealRaySettings(python=program)
    try:
        check(settings)
    except InputError as missing:
        pytest.skip(str(missing))
    return settings
