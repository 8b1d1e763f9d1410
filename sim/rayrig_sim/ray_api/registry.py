"""Applications by import path, from modules in a folder: what a Ray image has on its Python path."""

from __future__ import annotations

import importlib
import inspect
import sys
from pathlib import Path
from types import FunctionType
from typing import Any

from pydantic import BaseModel

from rayrig_core.objects import JsonObject
from rayrig_sim.ray_api.deployments import Application, built
from rayrig_sim.serve.application_code import ApplicationCode, Registry, split_import_path


class AppDirRegistry(Registry):
    """Import paths lead into modules of a folder, imported when first asked for. To be used within `ray_modules`."""

    def __init__(self, folder: Path, known: Registry | None = None) -> None:
        """`known` are applications that need no module."""
        super().__init__()
        self._known = known or Registry()
        self._folder = str(folder.resolve())
        self._modules: dict[str, Any] = {}

    def lookup(self, import_path: str) -> object:
        """What the module has there. Raises what its import raises, `ModuleNotFoundError` and `AttributeError` among it."""
        if self._known.has(import_path):
            return self._known.lookup(import_path)
        module, attribute = split_import_path(import_path)
        found = getattr(self._import(module), attribute)
        if isinstance(found, Application):
            return built(found, import_path)
        return _Builder(found, import_path) if isinstance(found, FunctionType) else found

    def _import(self, name: str) -> Any:
        if name not in self._modules:
            sys.path.insert(0, self._folder)
            try:
                self._modules[name] = importlib.import_module(name)
            finally:
                sys.path.remove(self._folder)
        return self._modules[name]


class _Builder:
    """A function that makes an application from `args`."""

    def __init__(self, function: Any, import_path: str) -> None:
        self._function = function
        self._import_path = import_path

    def __call__(self, args: JsonObject) -> ApplicationCode:
        """Raises `TypeError` for a builder that takes or returns something else, `ValueError` for arguments that are not valid."""
        parameters = list(inspect.signature(self._function).parameters.values())
        if len(parameters) != 1:
            raise TypeError(
                "Application builder functions should take exactly one parameter, a dictionary containing the passed arguments."
            )
        wanted = parameters[0].annotation
        is_model = isinstance(wanted, type) and issubclass(wanted, BaseModel)
        found = self._function(wanted.model_validate(args) if is_model else args)
        if not isinstance(found, Application):
            raise TypeError(
                "Application builder functions must return an `Application` returned `from `Deployment.bind()`, but got: "
                f"{type(found)}."
            )
        return built(found, self._import_path)
