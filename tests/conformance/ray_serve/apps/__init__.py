"""The applications of the recordings, as the model takes them: what their comments say, under their import paths."""

from __future__ import annotations

from rayrig_sim.applications.registry import default_registry
from rayrig_sim.serve.application_code import Registry
from tests.conformance.ray_serve.apps import constructors, fast, pair, probe


def registry() -> Registry:
    """What the recording machine could import. The fruit stand and the calculator come with the model."""
    found = default_registry()
    for module in (constructors, fast, pair, probe):
        for import_path, code in module.entries().items():
            found.register(import_path, code)
    found.register("gold_import_error.app", ImportError("this module refuses to be imported"))
    return found
