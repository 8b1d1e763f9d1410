"""The registry that a world begins with."""

from __future__ import annotations

from rayrig_sim.applications import calculator, deployment_graphs, fruit_stand, gpu_inference
from rayrig_sim.serve.application_code import Registry


def default_registry() -> Registry:
    """A registry of its own for each caller, with the examples of this package."""
    registry = Registry()
    registry.register(fruit_stand.IMPORT_PATH, fruit_stand.application())
    registry.register(calculator.IMPORT_PATH, calculator.application())
    registry.register(gpu_inference.IMPORT_PATH, gpu_inference.application())
    older = deployment_graphs.WORKING_DIR
    registry.register(fruit_stand.IMPORT_PATH, deployment_graphs.fruit_graph(), working_dir=older)
    registry.register(calculator.IMPORT_PATH, deployment_graphs.calculator_graph(), working_dir=older)
    return registry
