"""What the early API raises of its own."""

from __future__ import annotations


class RayServeException(Exception):
    """Serve cannot do that now."""
