"""How an API server is reached: its URL, whom we are to it and whom we trust."""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from rayrig_core.errors import InputError

#: Set in every container of a pod by its kubelet.
_IN_CLUSTER = "KUBERNETES_SERVICE_HOST"


@dataclass(frozen=True, slots=True)
class Connection:
    """One API server as one user. `server` has no slash at its end; `authorization` gives the header's value, or an empty one."""

    server: str
    tls: ssl.SSLContext | None = None
    authorization: Callable[[], str] = lambda: ""

    @property
    def is_loopback(self) -> bool:
        host = urlsplit(self.server).hostname or ""
        try:
            return ip_address(host).is_loopback
        except ValueError:
            return host == "localhost"


def is_in_cluster() -> bool:
    """Whether this process runs in a pod, where names of Services resolve."""
    return _IN_CLUSTER in os.environ


def connect_to(
    server: str, *, token: str = "", certificate_authority: Path | None = None, insecure: bool = False
) -> Connection:
    """A server by its URL. Raises `InputError` for what is no URL of a server, or a file that is no certificate."""
    parts = urlsplit(server)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InputError(
            f"{server!r} is not the URL of an API server", where="--server", remedy="such as http://127.0.0.1:8001"
        )
    tls = _tls_context(certificate_authority, insecure=insecure) if parts.scheme == "https" else None
    return Connection(server.rstrip("/"), tls, lambda: f"Bearer {token}" if token else "")


def _tls_context(authority: Path | None, *, insecure: bool) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=str(authority) if authority is not None else None)
    except (OSError, ssl.SSLError) as error:
        raise InputError(
            f"holds no certificate that can be used: {error}", where=str(authority), remedy="give a PEM file"
        ) from None
    if insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def from_kubeconfig(file: Path, context: str = "") -> Connection:
    """What a kubeconfig says, by the rules of the `kubernetes` package (exec plugins, client certificates, tokens).

    Raises `InputError`: the file cannot be used, or the package is not installed.
    """
    try:
        from kubernetes.client import Configuration
        from kubernetes.config import ConfigException, load_kube_config
        from yaml import YAMLError
    except ImportError:
        raise InputError("the kubernetes package is not installed", remedy="pip install 'rayrig[cluster]'") from None
    settings = Configuration()
    try:
        load_kube_config(  # type: ignore[no-untyped-call]
            config_file=str(file), context=context or None, client_configuration=settings, persist_config=False
        )
    except (ConfigException, YAMLError, OSError, ValueError, TypeError, AttributeError, KeyError) as error:
        told = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"cannot be used: {told}", where=str(file), remedy="give a kubeconfig") from None
    tls = None
    if settings.host.startswith("https"):
        authority = Path(settings.ssl_ca_cert) if settings.ssl_ca_cert else None
        tls = _tls_context(authority, insecure=not settings.verify_ssl)
        if settings.cert_file:
            try:
                tls.load_cert_chain(settings.cert_file, settings.key_file)
            except (OSError, ssl.SSLError) as error:
                raise InputError(f"the client certificate cannot be used: {error}", where=str(file)) from None

    def authorization() -> str:
        # Asked for at each request: a token of an exec plugin is fetched again when it runs out.
        offered: Any = settings.auth_settings()
        for setting in offered.values():
            if setting["in"] == "header" and setting["key"].lower() == "authorization" and setting["value"]:
                return str(setting["value"])
        return str(settings.get_basic_auth_token() or "") if settings.username else ""

    return Connection(settings.host.rstrip("/"), tls, authorization)
