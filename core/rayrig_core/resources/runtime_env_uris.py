"""URIs of a runtime environment's packages, as Serve's document takes them (ray-serve.md 3.3, SV-039; Ray 2.60)."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

#: Where packages may come from, in Ray's order; its error text names them.
_PROTOCOLS = ("gcs", "conda", "pip", "uv", "http", "https", "s3", "gs", "azure", "abfss", "file", "local")
_ARCHIVES = (".tar.gz", ".tar.xz", ".zip", ".tgz", ".whl")
_DRIVE = re.compile(r"[a-zA-Z]:[\\/]")
_LOCAL = "local://"


def uri_problem(uri: str) -> str:
    """What is wrong with it, in Ray's words; empty when nothing is."""
    scheme = urlsplit(uri).scheme
    if not scheme:
        return f"Expected URI but received path {uri}"
    if scheme not in _PROTOCOLS:
        supported = [protocol.upper() for protocol in _PROTOCOLS]
        return (
            f'Invalid protocol for runtime_env URI "{uri}". Supported protocols: {supported}. '
            f"Original error: '{scheme}' is not a valid Protocol"
        )
    return _local_problem(uri) if scheme == "local" else ""


def _local_problem(uri: str) -> str:
    """A directory that every node has: absolute, and no archive."""
    told = f'Invalid "{_LOCAL}" runtime_env URI "{uri}": '
    if not uri.lower().startswith(_LOCAL):
        return f"{told}a local URI must start with {_LOCAL}. Write local:///path/in/image, or local://C:/path/in/image on Windows."
    path = uri[len(_LOCAL) :]
    if not (path.startswith("/") or _DRIVE.match(path)):
        return f"{told}the path must be absolute. Write local:///path/in/image, or local://C:/path/in/image on Windows."
    archive = next((each for each in _ARCHIVES if path.lower().endswith(each)), "")
    if archive:
        return (
            f"{told}the path must be a directory, not a {archive} archive. A {_LOCAL} directory is used in place and is "
            "never unpacked."
        )
    return ""
