"""The kubeconfig of a served fake: one cluster, one user, one context."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path

from rayrig_core.errors import InputError
from rayrig_core.objects import JsonObject

_NAME = "rayrig"


def kubeconfig(
    server: str,
    *,
    authority: bytes = b"",
    token: str = "",
    user: str = "",
    certificate: tuple[bytes, bytes] | None = None,
) -> JsonObject:
    """`server` is a URL, `authority` the certificate authority in PEM that https clients are to trust, `certificate` a client's
    certificate and key in PEM."""
    cluster: JsonObject = {"server": server}
    if authority:
        cluster["certificate-authority-data"] = base64.b64encode(authority).decode()
    user = user or _NAME
    credentials: JsonObject = {"token": token} if token else {}
    if certificate is not None:
        data, key = (base64.b64encode(part).decode() for part in certificate)
        credentials |= {"client-certificate-data": data, "client-key-data": key}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": _NAME, "cluster": cluster}],
        "users": [{"name": user, "user": credentials}],
        "contexts": [{"name": _NAME, "context": {"cluster": _NAME, "user": user}}],
        "current-context": _NAME,
    }


def write_kubeconfig(path: Path, config: JsonObject) -> None:
    """Whole or not at all, readable by its owner only. JSON is YAML, and is read faster. Raises `InputError`."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as out:
            json.dump(config, out, indent=2)
            out.write("\n")
        beside.replace(path)
    except OSError as error:
        raise InputError(f"cannot write: {error.strerror}", where=str(path)) from None
