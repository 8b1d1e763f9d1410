"""The error of conversions to objects."""


class Unconvertible(Exception):
    """A value that has no form in Kubernetes; the text is what the caller is told."""
