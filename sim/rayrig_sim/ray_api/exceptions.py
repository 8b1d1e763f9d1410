"""Errors of `ray.serve` that application code sees."""


class RayServeException(Exception):
    """Serve cannot do that here."""
