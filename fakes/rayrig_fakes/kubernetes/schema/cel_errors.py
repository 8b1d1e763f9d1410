"""What can go wrong with a CEL rule."""

from __future__ import annotations


class RuleError(Exception):
    """A rule cannot be compiled or evaluated; the text is the server's, as far as it is known."""
