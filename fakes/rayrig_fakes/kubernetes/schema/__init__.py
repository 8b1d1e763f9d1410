"""Structural schemas of custom resources (`kubernetes-api.md` section 4): pruning, defaulting and validation in one pass.

`nodes` compiles a schema, piece by piece as objects first visit it, so that a schema of a megabyte costs only what is used of it;
`values` checks numbers, strings and formats. CEL rules are found (`has_rules`) but evaluated by whoever is given as a rule checker.
"""

from __future__ import annotations

from rayrig_fakes.kubernetes.schema.nodes import Path, SchemaNode, render

__all__ = ["Path", "SchemaNode", "render"]
