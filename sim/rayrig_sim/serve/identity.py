"""How Serve names a deployment."""

from __future__ import annotations

from typing import NamedTuple


class DeploymentId(NamedTuple):
    """Identity of a deployment; printed as Serve prints it in messages."""

    name: str
    app: str

    def __str__(self) -> str:
        return f"Deployment(name={self.name!r}, app={self.app!r})"
