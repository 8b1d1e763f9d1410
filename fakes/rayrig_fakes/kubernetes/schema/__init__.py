"""Structural schemas of custom resources (`kubernetes-api.md` section 4): pruning, defaulting and validation in one pass.

`nodes` compiles a schema, piece by piece as objects first visit it, so that a schema of a megabyte costs only what is used of it;
`values` checks numbers, strings and formats. `rules` checks CEL rules (by `small_rules`, or by `cel_library` where these are
not enough), `rule_checks` and `cel_types` what a definition's rules say before there are objects; `structure` and `shape` say what
makes a schema structural; `changes` what an update is not held to.
"""

from __future__ import annotations

from rayrig_fakes.kubernetes.schema.nodes import Path, SchemaNode, render

__all__ = ["Path", "SchemaNode", "render"]
