"""Which API server a command works at, and as whom."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rayrig_core.errors import InputError

if TYPE_CHECKING:
    from rayrig_backends.cluster.connection import Connection


@dataclass(frozen=True, slots=True)
class Reach:
    """The options that say which API server, and as whom."""

    server: str
    kubeconfig: Path | None
    context: str
    token: str
    certificate_authority: Path | None
    insecure: bool

    def connection(self) -> Connection:
        """Raises `InputError`: unclear which server, a file that cannot be used, a package that is not installed."""
        try:
            import httpx  # noqa: F401
        except ImportError:
            raise InputError("httpx is not installed", remedy="pip install 'rayrig[cluster]'") from None
        from rayrig_backends.cluster.connection import connect_to, from_kubeconfig

        if bool(self.server) == (self.kubeconfig is not None):
            raise InputError(
                "which API server?" if not self.server else "give either --server or --kubeconfig, not both",
                remedy="give --server URL, or --kubeconfig FILE",
            )
        if self.kubeconfig is not None:
            return from_kubeconfig(self.kubeconfig, self.context)
        return connect_to(
            self.server, token=self.token, certificate_authority=self.certificate_authority, insecure=self.insecure
        )
