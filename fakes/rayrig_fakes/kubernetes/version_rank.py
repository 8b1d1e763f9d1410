"""Which of several versions of a group comes first (K8-002)."""

from __future__ import annotations


def version_rank(version: str) -> tuple[int, int, int, str]:
    """v2 before v1 before v1beta1 before v1alpha1."""
    for maturity, word in ((1, "beta"), (2, "alpha")):
        major, found, minor = version.removeprefix("v").partition(word)
        if found and major.isdecimal() and minor.isdecimal():
            return maturity, -int(major), -int(minor), version
    major = version.removeprefix("v")
    return (0, -int(major), 0, version) if major.isdecimal() else (3, 0, 0, version)
